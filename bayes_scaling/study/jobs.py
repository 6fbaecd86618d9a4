"""What a study is made of: one model, one series and one cut-off make a job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bayes_scaling.fitting.store import FitStore
from bayes_scaling.modelling.model import ScalingModel
from bayes_scaling.runs import Runs, SeriesKey
from bayes_scaling.runs.draft import PASS_AT_K

if TYPE_CHECKING:
    from bayes_scaling.inference.diagnostics import Diagnostics


class Job(NamedTuple):
    """The model and the runs of one fit of a study.

    Attributes
    ----------
    model : str
        Name of the model in the study.
    benchmark, metric, mixture : str
        The series.
    tokens_per_param : float or None
        Runs of this ratio; None for all.
    cutoff : float or None
        Runs of at most this budget in FLOPs; None for all.
    """

    model: str
    benchmark: str
    metric: str
    mixture: str
    tokens_per_param: float | None
    cutoff: float | None

    def __str__(self) -> str:
        words = f"{self.model}: {self.benchmark} {self.metric} on {self.mixture}"
        if self.tokens_per_param is not None:
            words += f", {self.tokens_per_param:g} tokens/param"
        return words if self.cutoff is None else f"{words}, C ≤ {self.cutoff:g}"

    def seed(self, study_seed: int) -> int:
        """Return the seed of this fit, which depends only on the study's seed and the job."""
        digest = hashlib.sha256(json.dumps([study_seed, *self]).encode()).digest()
        return int.from_bytes(digest[:4])


@dataclass(frozen=True)
class Task:
    """A job with everything that a worker needs.

    Attributes
    ----------
    name : str
        Name of its fit's file.
    job : Job
    runs : Runs
        The rows to be fitted.
    model : ScalingModel
    settings : dict
        For :func:`bayes_scaling.fitting.fit.fit_runs`.
    """

    name: str
    job: Job
    runs: Runs
    model: ScalingModel
    settings: dict[str, Any]

    def fit(self, store: FitStore, cores: int) -> Diagnostics:
        """Make the fit and keep it, or read it if it is there."""
        return store.fit(self.runs, self.model, cores=cores, **self.settings).diagnostics


class AnyTask(Protocol):
    """What a worker of a study can do: a fit of a law, or the trends of a task."""

    @property
    def name(self) -> str:
        """Name of the file of what it makes."""

    @property
    def job(self) -> Job:
        """What it is of."""

    def fit(self, store: FitStore, cores: int) -> Diagnostics:
        """Make it and keep it, or read it if it is there; say how well it was sampled."""


def jobs_of(
    models: Mapping[str, ScalingModel],
    runs: Runs,
    ratios: Sequence[float | None],
    cutoffs: Sequence[float | None],
) -> Iterator[tuple[Job, Runs]]:
    """Yield every job of a study with the rows of its series, also those above the cut-off."""
    selections = {ratio: runs.select(tokens_per_param=ratio) for ratio in ratios}
    for name, model in models.items():
        for ratio, selected in selections.items():
            for series, rows in _series(selected, reads_k="k" in model.law.columns):
                for cutoff in cutoffs:
                    yield Job(name, *series, ratio, cutoff), rows


def _series(runs: Runs, *, reads_k: bool) -> Iterator[tuple[SeriesKey, Runs]]:
    """Yield the series as a law sees them: if it does not read k, each k is a series."""
    for series, rows in runs.series():
        if series.metric != PASS_AT_K or reads_k:
            yield series, rows
        else:
            for k in sorted(rows.table["k"].unique()):
                yield series._replace(metric=f"pass@{k:g}"), rows.select(k=int(k))
