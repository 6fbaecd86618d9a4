"""The folder of a study: its specification, its fits, their outcomes, and the index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import xarray as xr

from bayes_scaling._io import atomic
from bayes_scaling._io.netcdf import read_tree, write_tree
from bayes_scaling.errors import BayesScalingError
from bayes_scaling.fitting.store import FitStore
from bayes_scaling.runs import Runs
from bayes_scaling.study.jobs import Job

VERSION, THIS_VERSION = "bayes_scaling", version("bayes-scaling")
_SPEC, _RUNS = "study.json", "runs.nc"
INDEX = "index.csv"
_FITS, _OUTCOMES = "fits", "outcomes"


@dataclass(frozen=True)
class Outcome:
    """What became of one fit.

    Attributes
    ----------
    status : {"done", "failed", "pending"}
    reason : str
        Why it failed.
    problems : str
        Why the draws of a finished fit should not be trusted; empty if it has converged.
    divergences, max_rhat, min_ess_bulk, min_ess_tail
        As in :class:`bayes_scaling.inference.diagnostics.Diagnostics`.
    seconds : float or None
        Time of the fit, with compilation if it was the first of its law; None if the fit already
        existed when its outcome was written.
    file : str
        Path of the fit's file within the folder of the study.
    version : str
        Version of the package that made it.
    """

    status: Literal["done", "failed", "pending"] = "pending"
    reason: str = ""
    problems: str = ""
    divergences: int | None = None
    max_rhat: float | None = None
    min_ess_bulk: float | None = None
    min_ess_tail: float | None = None
    seconds: float | None = None
    file: str = ""
    version: str = THIS_VERSION


def count_outcomes(index: pd.DataFrame) -> dict[str, int]:
    """Return how many fits of an index are done, done but not converged, failed, and left."""
    status = index["status"]
    return {
        "done": int((status == "done").sum()),
        "not_converged": int((index["problems"] != "").sum()),
        "failed": int((status == "failed").sum()),
        "left": int((status == "pending").sum()),
    }


@dataclass(frozen=True)
class StudyFolder:
    """Where a study is kept; several processes and machines may work in it at one time.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    """

    path: Path

    # ---- the study itself ----------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the folders of fits and outcomes."""
        for name in (_FITS, _OUTCOMES):
            (self.path / name).mkdir(parents=True, exist_ok=True)

    def write_spec(self, spec: dict[str, Any], runs: Runs) -> None:
        """Write the study's runs, then its specification, which shows that the rest is complete."""
        self.prepare()
        write_tree(self.path / _RUNS, xr.DataTree(runs.to_xarray()))
        atomic.write_text(self.path / _SPEC, json.dumps(spec, indent=2) + "\n")

    def read_spec(self) -> dict[str, Any] | None:
        """Return the specification, or None if there is no study in the folder."""
        try:
            text = (self.path / _SPEC).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            spec: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise BayesScalingError(f"{self.path / _SPEC} is damaged: {error}") from error
        return spec

    def read_runs(self) -> Runs:
        """Return the runs of the study."""
        path = self.path / _RUNS
        try:
            return Runs.from_xarray(read_tree(path).to_dataset())
        except (OSError, KeyError, ValueError) as error:
            raise BayesScalingError(f"{path} cannot be read: {error}") from error

    # ---- fits and outcomes ---------------------------------------------------------------------

    @cached_property
    def store(self) -> FitStore:
        """The fits, filed under the version that began the study; newer versions continue it."""
        return FitStore(self.path / _FITS, (self.read_spec() or {}).get(VERSION, THIS_VERSION))

    def fit_file(self, name: str) -> str:
        """Return the place of a fit's file within the folder."""
        return f"{_FITS}/{name}"

    def outcome(self, name: str) -> Outcome:
        """Return what became of a fit; pending if its file or outcome is missing or damaged."""
        try:
            found = Outcome(**json.loads(self._outcome_path(name).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return Outcome()
        if found.status == "done" and not (self.path / found.file).is_file():
            return Outcome()
        return found

    def record(self, name: str, outcome: Outcome) -> None:
        """Write what became of a fit."""
        atomic.write_text(self._outcome_path(name), json.dumps(asdict(outcome)) + "\n")

    def forget(self, name: str) -> None:
        """Make a fit pending again."""
        self._outcome_path(name).unlink(missing_ok=True)

    def finished(self) -> set[str]:
        """Return the names of all fits that have an outcome."""
        return {path.stem for path in (self.path / _OUTCOMES).glob("*.json")}

    def tidy(self) -> None:
        """Remove what writers that were killed long ago have left."""
        for folder in (self.path, self.path / _FITS, self.path / _OUTCOMES):
            atomic.remove_abandoned(folder)

    def index(self, jobs: Mapping[str, Job]) -> pd.DataFrame:
        """Return a row for each job, with its outcome; `jobs` are given by names of fits."""
        rows = [job._asdict() | asdict(self.outcome(name)) for name, job in jobs.items()]
        return pd.DataFrame(rows)

    def write_index(self, jobs: Mapping[str, Job]) -> None:
        """Write the index as a CSV file."""
        text = self.index(jobs).to_csv(index=False, lineterminator="\n")
        atomic.write_text(self.path / INDEX, text)

    def _outcome_path(self, name: str) -> Path:
        return self.path / _OUTCOMES / f"{name}.json"
