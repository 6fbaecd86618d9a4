"""The trends of one task: all mixtures together, and each mixture in each loss; kept in a file."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pandas as pd
import xarray as xr

from bayes_scaling._io.netcdf import read_tree, write_tree
from bayes_scaling.errors import BayesScalingError, ConvergenceWarning, ModelError, RunsWarning
from bayes_scaling.fitting.store import name_of_file
from bayes_scaling.fitting.trend_fit import USUAL, TrendFit, fit_trend
from bayes_scaling.runs import Runs

# Trends of one mixture or another loss say where a behaviour changes; fewer draws are enough.
_CONTEXT = {"draws": 600, "tune": 300}

Place = tuple[str, str]  # mixture ("" for all together) and loss


@dataclass(frozen=True)
class TaskTrends:
    """The trends of one task.

    Attributes
    ----------
    task : str
        Its name.
    fits : mapping of (str, str) to TrendFit
        Trends by mixture and loss; the mixture is "" for all together.
    reasons : mapping of (str, str) to str
        Why a trend could not be fitted.
    """

    task: str
    fits: Mapping[Place, TrendFit] = field(default_factory=dict)
    reasons: Mapping[Place, str] = field(default_factory=dict)

    @property
    def whole(self) -> TrendFit | None:
        """The trend of all mixtures together, if it could be fitted."""
        return next((fit for (mixture, _), fit in self.fits.items() if not mixture), None)

    def save(self, path: Path) -> None:
        """Write the trends to a file."""
        nodes: dict[str, xr.Dataset] = {"/": xr.Dataset(attrs=self._about())}
        for i, fit in enumerate(self.fits.values()):
            nodes |= {f"/{i}/{name}": dataset for name, dataset in fit.to_tree().items()}
        write_tree(path, xr.DataTree.from_dict(nodes))

    def _about(self) -> dict[str, str]:
        reasons = [[*place, why] for place, why in self.reasons.items()]
        return {
            "task": self.task,
            "places": json.dumps(list(self.fits)),
            "reasons": json.dumps(reasons),
        }

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the trends of a file.

        Raises
        ------
        BayesScalingError
            If the file cannot be read.
        """
        try:
            tree = read_tree(path)
            places = [(str(m), str(loss)) for m, loss in json.loads(tree.attrs["places"])]
            fits = {place: TrendFit.from_tree(tree[f"/{i}"]) for i, place in enumerate(places)}
            reasons = {(m, loss): why for m, loss, why in json.loads(tree.attrs["reasons"])}
            return cls(str(tree.attrs["task"]), fits, reasons)
        except (OSError, KeyError, ValueError) as error:
            raise BayesScalingError(f"{path} cannot be read: {error}") from error


def trends_file(
    made_by: str,
    name: str,
    runs: Runs,
    loss: str,
    losses: Sequence[str],
    settings: Mapping[str, Any],
) -> str:
    """Return the name of the file of a task's trends, a hash of all that they depend on."""
    spec = json.dumps([name, loss, [*losses], USUAL, _CONTEXT])
    return name_of_file(made_by, spec, runs, settings)


def fit_task_trends(
    name: str, runs: Runs, loss: str, losses: Sequence[str], settings: Mapping[str, Any]
) -> TaskTrends:
    """Return the trends of a task: of all mixtures in the loss, and of each in each of losses."""
    places = [("", loss), *((m, one) for m in runs.mixtures for one in losses)]
    fits: dict[Place, TrendFit] = {}
    reasons: dict[Place, str] = {}
    for place in places:
        mixture, column = place
        with warnings.catch_warnings():
            # Convergence is in the table, and the whole table of runs has given its warnings.
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", RunsWarning)
            kept = runs.table[runs.table[column].notna()]
            if mixture:
                kept = kept[kept["mixture"] == mixture]
            usual = _CONTEXT if mixture else {}
            try:
                if not len(kept):
                    raise ModelError(f"{name}: no run has {column!r}")
                fits[place] = fit_trend(Runs.from_frame(kept), column, **usual | dict(settings))
            except BayesScalingError as error:
                reasons[place] = str(error).splitlines()[0]
    return TaskTrends(name, fits, reasons)


def task_names(table: pd.DataFrame) -> pd.Series[str]:
    """Return the task of each row: its benchmark, and the metric where a benchmark has several."""
    several = table.groupby("benchmark")["metric"].transform("nunique") > 1
    return table["benchmark"].where(~several, table["benchmark"] + " " + table["metric"])
