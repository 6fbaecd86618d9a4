"""Choose the series and the fits that the figures of a backtest show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayes_scaling.evaluation.results import Backtest
from bayes_scaling.fitting.fit import Fit
from bayes_scaling.fitting.store import FitStore
from bayes_scaling.modelling.model import ScalingModel
from bayes_scaling.runs import Runs, SeriesKey

# One direct law, and one through the loss.
_TYPICAL = ("drifting_power_law", "two_stage_logistic")


@dataclass(frozen=True)
class Shown:
    """The series in the figures of a backtest.

    Attributes
    ----------
    fits : mapping of str to Fit
        Its fits by name; none if only point fits could be made.
    held_out : Runs
        Its runs above the cut-off.
    """

    fits: Mapping[str, Fit]
    held_out: Runs

    @property
    def typical(self) -> dict[str, Fit]:
        """The fits of a typical direct and two-stage law; the first two if neither is there."""
        names = [name for name in _TYPICAL if name in self.fits] or list(self.fits)[:2]
        return {name: self.fits[name] for name in names}


def choose_shown(
    result: Backtest,
    models: Mapping[str, ScalingModel],
    runs: Runs,
    cutoff: float,
    store: FitStore,
    **settings: Any,
) -> Shown:
    """Return the fits of the first series that most models could be fitted to.

    Parameters
    ----------
    result, models, runs, cutoff, store, **settings
        A backtest, and what it was made with.
    """
    if result.fits.empty:
        return Shown({}, runs.above(cutoff))
    groups = result.fits.groupby(["benchmark", "metric", "mixture"], sort=False)
    fitted = {SeriesKey(*map(str, key)): list(rows["model"]) for key, rows in groups}
    most = max(fitted, key=lambda key: len(fitted[key]))
    series = dict(runs.series())[most]
    below = series.below(cutoff)
    fits = {name: store.fit(below, models[name], **settings) for name in fitted[most]}
    return Shown(fits, series.above(cutoff))
