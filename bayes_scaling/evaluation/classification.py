"""Classification: behaviours of tasks, the share that is predictable, and where they change."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import BayesScalingError
from bayes_scaling.evaluation.behaviours import (
    BEHAVIOURS,
    PREDICTABLE,
    BehaviourRules,
    Measures,
    behaviour_of,
    behaviour_probabilities,
)
from bayes_scaling.fitting.task_trends import Place, TaskTrends
from bayes_scaling.fitting.trend_fit import TrendFit

CANNOT_TELL = "cannot tell"
SHAPES_DIFFER = 2.0
THRESHOLDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
_GRID = 21
# What names of set-ups of one task end with.
_SET_UP = re.compile(r"_(zeroshot|fewshot|\d+shot)$")


@dataclass(frozen=True)
class Classification:
    """Behaviours of tasks, with probabilities.

    Make one with :func:`classify`.

    Attributes
    ----------
    tasks : tuple of TaskTrends
        Trends of each task.
    loss : str
        The validation loss of the first table.
    rules : BehaviourRules
        What tells behaviours apart.
    """

    tasks: tuple[TaskTrends, ...]
    loss: str
    rules: BehaviourRules

    @property
    def _main(self) -> Place:
        return ("", self.loss)

    @cached_property
    def _measures(self) -> dict[tuple[str, Place], Measures]:
        return {
            (one.task, place): Measures.of(fit, self.rules)
            for one in self.tasks
            for place, fit in one.fits.items()
        }

    def table(self) -> pd.DataFrame:
        """Return a row for each task: all mixtures' runs together.

        Returns
        -------
        pandas.DataFrame
            task, n_runs, p_<behaviour> of the six behaviours, behaviour (the most probable one,
            or "cannot tell"), explained (median share of the variance beyond item noise that
            the trend explains), problems (of convergence), reason (why nothing can be told), and
            apart: the scatter of runs round the trend of all mixtures, over that round trends of
            each mixture by itself. All mixtures share the shape of the trend; above
            :data:`SHAPES_DIFFER` they should not, and :meth:`context` has each by itself. NaN
            where it has not.
        """
        rows = [self._row(one, self._main) | {"apart": self._apart(one)} for one in self.tasks]
        return pd.DataFrame(rows)

    def context(self) -> pd.DataFrame:
        """Return a row for each task × mixture × loss.

        Returns
        -------
        pandas.DataFrame
            The columns of :meth:`table`, mixture, loss, slope (median change of accuracy for
            each nat that the loss falls, over the range of the runs) with slope_q05 and
            slope_q95, p_rising, and p_change: the probability that the behaviour is another one
            than with the same mixture and the loss of the first table.
        """
        rows = []
        for one in self.tasks:
            for place in (*one.fits, *one.reasons):
                if place[0]:
                    usual = (place[0], self.loss)
                    row = self._row(one, place) | {"mixture": place[0], "loss": place[1]}
                    row |= self._slope(one, place)
                    row["p_change"] = self._change((one.task, usual), (one.task, place))
                    rows.append(row)
        return pd.DataFrame(rows)

    def contrasts(self) -> pd.DataFrame:
        """Return what changes between two corpora, losses or set-ups of one task.

        Returns
        -------
        pandas.DataFrame
            kind ("corpus" or "set-up"), task, loss, a and b, p_change (that the behaviours
            differ). For two corpora also, over the losses that both have: slope_difference
            (a less b, median, _q05 and _q95), p_steeper (that the slope on a is larger), p_better
            (that accuracy at equal loss is higher on a), and p_flip (that the better corpus is
            another one than with the loss of the first table; the two losses' posteriors are
            taken as independent).
        """
        return pd.DataFrame([*self._corpora(), *self._set_ups()])

    def share(self, thresholds: Sequence[float] = THRESHOLDS) -> dict[str, Any]:
        """Return the posterior of the share of tasks that are predictable.

        Parameters
        ----------
        thresholds : sequence of float
            Values of the rule `explained` to repeat it for.

        Returns
        -------
        dict
            median, q05 and q95, n_tasks (of which something can be told), cannot_tell, loss,
            rules, and by_threshold: the same three numbers for each threshold.
        """
        known = [self._measures[one.task, self._main] for one in self.tasks if self._known(one)]
        if not known:
            reasons = sorted({r for one in self.tasks for r in one.reasons.values()})
            raise BayesScalingError(f"nothing can be told of any task: {'; '.join(reasons)}")
        curve = [
            {"explained": value, **_share_of(known, replace(self.rules, explained=value))}
            for value in thresholds
        ]
        return {
            **_share_of(known, self.rules),
            "n_tasks": len(known),
            "cannot_tell": len(self.tasks) - len(known),
            "loss": self.loss,
            "rules": asdict(self.rules),
            "by_threshold": curve,
        }

    def _known(self, one: TaskTrends) -> bool:
        return self._main in one.fits

    def _row(self, one: TaskTrends, place: Place) -> dict[str, Any]:
        columns = [f"p_{name}" for name in BEHAVIOURS]
        if place not in one.fits:
            nothing = dict.fromkeys(columns, np.nan)
            reason = one.reasons.get(place, "not fitted")
            told = {"behaviour": CANNOT_TELL, "explained": np.nan, "problems": ""}
            return {"task": one.task, "n_runs": 0, **nothing, **told, "reason": reason}
        fit, measures = one.fits[place], self._measures[one.task, place]
        found = behaviour_probabilities(measures, self.rules)
        return {
            "task": one.task,
            "n_runs": fit.bound.observations.sizes["row"],
            **{f"p_{name}": value for name, value in found.items()},
            "behaviour": max(found, key=lambda name: found[name]),
            "explained": float(np.median(measures.explained)),
            "problems": "; ".join(fit.diagnostics.problems()),
            "reason": "",
        }

    def _apart(self, one: TaskTrends) -> float:
        own = [fit for (mixture, loss), fit in one.fits.items() if mixture and loss == self.loss]
        if not self._known(one) or not own:
            return np.nan
        runs = [fit.bound.observations.sizes["row"] for fit in own]
        by_mixture = np.average([_scatter(fit) for fit in own], weights=runs)
        return float(np.sqrt(_scatter(one.fits[self._main]) / by_mixture))

    def _slope(self, one: TaskTrends, place: Place) -> dict[str, float]:
        if place not in one.fits:
            return dict.fromkeys(("slope", "slope_q05", "slope_q95", "p_rising"), np.nan)
        scale = one.fits[place].bound.scale
        slope = _slopes(one.fits[place], scale.smallest, scale.largest)
        middle, low, high = np.quantile(slope, [0.5, 0.05, 0.95])
        ends = {"slope": middle, "slope_q05": low, "slope_q95": high}
        return {name: float(value) for name, value in ends.items()} | {
            "p_rising": float((slope > 0).mean())
        }

    def _change(self, a: tuple[str, Place], b: tuple[str, Place]) -> float:
        if a == b or a not in self._measures or b not in self._measures:
            return np.nan
        first, second = (behaviour_probabilities(self._measures[k], self.rules) for k in (a, b))
        return 1 - sum(first[name] * second[name] for name in BEHAVIOURS)

    def _corpora(self) -> Iterator[dict[str, Any]]:
        for one in self.tasks:
            losses = list(dict.fromkeys(loss for mixture, loss in one.fits if mixture))
            mixtures = list(dict.fromkeys(mixture for mixture, _ in one.fits if mixture))
            for a, b in itertools.combinations(mixtures, 2):
                better: dict[str, float] = {}
                for loss in sorted(losses, key=lambda name: name != self.loss):
                    pair = [one.fits.get((mixture, loss)) for mixture in (a, b)]
                    if pair[0] is None or pair[1] is None:
                        continue
                    row: dict[str, Any] = {
                        "kind": "corpus",
                        "task": one.task,
                        "loss": loss,
                        "a": a,
                        "b": b,
                    }
                    row["p_change"] = self._change((one.task, (a, loss)), (one.task, (b, loss)))
                    row |= _compare_curves(pair[0], pair[1])
                    better[loss] = row["p_better"]
                    p, q = better[loss], better.get(self.loss, np.nan)
                    row["p_flip"] = np.nan if loss == self.loss else p * (1 - q) + q * (1 - p)
                    yield row

    def _set_ups(self) -> Iterator[dict[str, Any]]:
        groups: dict[str, list[str]] = {}
        for one in self.tasks:
            if self._known(one):
                groups.setdefault(_SET_UP.sub("", one.task.partition(" ")[0]), []).append(one.task)
        for names in groups.values():
            for a, b in itertools.combinations(names, 2):
                change = self._change((a, self._main), (b, self._main))
                row = {"kind": "set-up", "task": _SET_UP.sub("", a.partition(" ")[0])}
                yield row | {"loss": self.loss, "a": a, "b": b, "p_change": change}


def _scatter(fit: TrendFit) -> float:
    """Return the median variance between runs beyond trend and item noise."""
    return float(fit.variances()["scatter"].median())


def _share_of(known: Sequence[Measures], rules: BehaviourRules) -> dict[str, float]:
    """Return quantiles of the share; draws of different tasks are independent."""
    last = BEHAVIOURS.index(PREDICTABLE)
    rows = [behaviour_of(measures, rules) == last for measures in known]
    size = min(map(len, rows))
    share = np.mean([row[:size] for row in rows], axis=0)
    quantiles = np.quantile(share, [0.5, 0.05, 0.95])
    return dict(zip(("median", "q05", "q95"), map(float, quantiles), strict=True))


def _slopes(fit: TrendFit, smallest: float, largest: float) -> np.ndarray:
    """Return the change of accuracy for each nat that the loss falls between two losses."""
    ends = fit.curve(xr.DataArray([largest, smallest], dims="end")).to_numpy()
    return np.asarray((ends[:, 1] - ends[:, 0]) / (largest - smallest))


def _compare_curves(a: TrendFit, b: TrendFit) -> dict[str, float]:
    """Return how trends of two mixtures in one loss differ over the losses that both have."""
    largest = min(a.bound.scale.largest, b.bound.scale.largest)
    smallest = max(a.bound.scale.smallest, b.bound.scale.smallest)
    names = ("slope_difference", "slope_difference_q05", "slope_difference_q95")
    if smallest >= largest:
        return dict.fromkeys((*names, "p_steeper", "p_better"), np.nan)
    size = min(a.draws.sizes["sample"], b.draws.sizes["sample"])
    slopes = _slopes(a, smallest, largest)[:size] - _slopes(b, smallest, largest)[:size]
    grid = xr.DataArray(np.linspace(smallest, largest, _GRID), dims="place")
    means = [fit.curve(grid).mean("place") for fit in (a, b)]
    apart = means[0].to_numpy()[:size] - means[1].to_numpy()[:size]
    quantiles = np.quantile(slopes, [0.5, 0.05, 0.95]).tolist()
    found = dict(zip(names, quantiles, strict=True))
    return found | {
        "p_steeper": float((slopes > 0).mean()),
        "p_better": float((apart > 0).mean()),
    }
