"""Questions that a forecast answers: how probable is a score, and which budget reaches it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isinf
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from bayes_scaling.errors import ModelError
from bayes_scaling.runs import BudgetLike, Budgets, Runs

Outcome = Literal["score", "curve"]

_AVERAGE = "average"
# Budgets are searched from a hundredth of the smallest run to a million times the largest one, and
# a second time where the probability rises. Between them it is interpolated.
_BELOW, _BEYOND, _POINTS = 1e-2, 1e6, 50
_RISING = (0.01, 0.99)
# If the last factor of ten adds less than this to the probability, more compute hardly helps.
_LEVEL = 0.02


@dataclass(frozen=True)
class RequiredBudget:
    """The budget that reaches a target, with the uncertainty about it.

    Attributes
    ----------
    target : float
        The accuracy to be reached.
    of : {"score", "curve"}
        Whether one run's measured score should reach it, or the law's mean accuracy.
    probability : float
        How sure one wants to be.
    flops : float
        The smallest budget in FLOPs at which the target is reached with that probability; infinite
        if no searched budget is enough.
    q05, median, q95 : float
        Budgets at which the target is reached with probability 5%, 50% and 95%. For the curve
        this is the 90% interval of the budget that the target takes.
    searched : float
        The largest budget that was searched.
    reached : float
        The probability at that budget.
    levels_off : bool
        Whether more compute hardly raises the probability there, as below a ceiling.
    """

    target: float
    of: Outcome
    probability: float
    flops: float
    q05: float
    median: float
    q95: float
    searched: float
    reached: float
    levels_off: bool

    @property
    def sentence(self) -> str:
        """The answer in words."""
        what = "The score of one run" if self.of == "score" else "The mean accuracy"
        if not isinf(self.flops):
            return (
                f"{what} reaches {self.target:g} with a probability of {self.probability:.0%} at "
                f"{self.flops:.2g} FLOPs (with 5% at {_flops(self.q05)}, with 95% at "
                f"{_flops(self.q95)})."
            )
        why = (
            "More compute hardly raises it: the ceiling is probably below the target in the rest "
            "of the draws."
            if self.levels_off
            else "It still rises there."
        )
        return (
            f"{what} reaches {self.target:g} with a probability of {self.probability:.0%} at no "
            f"budget up to {self.searched:.1g} FLOPs, where the probability is {self.reached:.0%}. "
            f"{why}"
        )


def _flops(value: float) -> str:
    return "no budget" if isinf(value) else f"{value:.2g} FLOPs"


class Forecaster(ABC):
    """What can forecast, and can therefore answer questions about the future."""

    @property
    @abstractmethod
    def runs(self) -> Runs:
        """The fitted runs."""

    @abstractmethod
    def forecast(
        self,
        budgets: Budgets | None = None,
        /,
        *,
        seed: int | None = None,
        **asked: BudgetLike | None,
    ) -> xr.Dataset:
        """Return `curve` and `score` at budgets, dimensions (chain, draw, budget[, benchmark])."""

    def probability(
        self,
        at_least: float,
        budgets: Budgets | None = None,
        /,
        *,
        of: Outcome = "score",
        **asked: BudgetLike | None,
    ) -> xr.DataArray:
        """Return the probability that the accuracy at budgets is a value or more.

        Parameters
        ----------
        at_least : float
            The value, an accuracy between 0 and 1.
        budgets : Budgets, optional
            Future runs.
        of : {"score", "curve"}
            The measured score of one future run, or the law's mean accuracy.
        **asked
            Future runs, in place of `budgets`; see :meth:`Budgets.of`.

        Returns
        -------
        xarray.DataArray
            Dimension budget, and benchmark for a ladder.

        Raises
        ------
        ModelError
            If the value is no accuracy.

        Examples
        --------
        >>> from bayes_scaling import fit_runs, load_dataset
        >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
        >>> fit = fit_runs(runs.below(6e21))
        >>> bool(fit.probability(0.8, flops=[1e22, 1e24]).diff("budget") > 0)
        True
        """
        _check_accuracy("at_least", at_least)
        given = Budgets.of(budgets, **asked)  # type: ignore[arg-type]
        outcome = self.forecast(given)[of]
        return (outcome >= at_least).mean(("chain", "draw")).rename("probability")

    def budget_for(
        self,
        target: float,
        *,
        probability: float = 0.9,
        of: Outcome = "score",
        benchmark: str | None = None,
        **asked: BudgetLike | None,
    ) -> RequiredBudget:
        """Return the smallest budget that reaches a target with a given probability.

        Parameters
        ----------
        target : float
            The accuracy to be reached, between 0 and 1.
        probability : float
            How sure one wants to be.
        of : {"score", "curve"}
            Whether one run's measured score should reach it, or the law's mean accuracy.
        benchmark : str, optional
            For a ladder: one of its benchmarks, or "average", the mean over all of them.
        **asked
            Whatever the law reads besides FLOPs, such as tokens_per_param; see
            :meth:`Budgets.of`. tokens_per_param is by default the median of the fitted runs.

        Returns
        -------
        RequiredBudget
            `flops` is infinite where no budget up to a million times the largest fitted is
            enough, as where the ceiling is below the target.

        Raises
        ------
        ModelError
            If target or probability is not between 0 and 1, or the benchmark is not given for a
            ladder.

        Examples
        --------
        >>> from bayes_scaling import fit_runs, load_dataset
        >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
        >>> answer = fit_runs(runs.below(6e21)).budget_for(0.8)
        >>> bool(answer.q05 < answer.median < answer.flops)
        True
        """
        _check_accuracy("target", target)
        if not 0 < probability < 1:
            raise ModelError(f"probability should be between 0 and 1, not {probability:g}")
        asked.setdefault("tokens_per_param", self.runs.usual_ratio)

        def reached(flops: NDArray[np.float64]) -> NDArray[np.float64]:
            budgets = Budgets.of(flops=flops, **asked)  # type: ignore[arg-type]
            outcome = _one_series(self.forecast(budgets)[of], benchmark)
            return (outcome >= target).mean(("chain", "draw")).to_numpy()

        return _required(*_search(reached, self.runs), target, probability, of)


def _check_accuracy(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ModelError(f"{name} should be an accuracy between 0 and 1, not {value:g}")


def _search(
    reached: Callable[[NDArray[np.float64]], NDArray[np.float64]], runs: Runs
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return budgets, and the probability that the target is reached at each.

    Every curve rises with the budget. The probability of simulated scores may fall by chance, so
    the rising sequence that is nearest to it is taken.
    """
    table = runs.table["flops"]
    coarse = np.geomspace(_BELOW * table.min(), _BEYOND * table.max(), _POINTS)
    found = reached(coarse)
    first, last = np.searchsorted(isotonic_regression(found).x, _RISING)
    low, high = coarse[[max(first - 1, 0), min(last, _POINTS - 1)]]
    fine = np.geomspace(low, high, _POINTS)[1:-1]
    flops, probability = np.r_[coarse, fine], np.r_[found, reached(fine)]
    order = np.argsort(flops)
    return flops[order], np.asarray(isotonic_regression(probability[order]).x)


def _one_series(outcome: xr.DataArray, benchmark: str | None) -> xr.DataArray:
    """Return the outcome of one benchmark, or of the average over benchmarks."""
    if "benchmark" not in outcome.dims:
        if benchmark is not None:
            raise ModelError("a fit of one benchmark answers for it: leave benchmark out")
        return outcome
    there = outcome["benchmark"].to_numpy().tolist()
    if benchmark == _AVERAGE:
        return outcome.mean("benchmark")
    if benchmark not in there:
        raise ModelError(
            f"which benchmark? There are {', '.join(there)}, and {_AVERAGE!r}, their mean"
        )
    return outcome.sel(benchmark=benchmark)


def _required(
    flops: NDArray[np.float64],
    reached: NDArray[np.float64],
    target: float,
    probability: float,
    of: Outcome,
) -> RequiredBudget:
    """Return the budgets at which a probability that rises with the budget has given values."""
    budget, q05, median, q95 = (
        _first(flops, reached, level) for level in (probability, 0.05, 0.5, 0.95)
    )
    before = float(np.interp(np.log(flops[-1] / 10), np.log(flops), reached))
    return RequiredBudget(
        target=target,
        of=of,
        probability=probability,
        flops=budget,
        q05=q05,
        median=median,
        q95=q95,
        searched=float(flops[-1]),
        reached=float(reached[-1]),
        levels_off=bool(reached[-1] - before < _LEVEL),
    )


def _first(flops: NDArray[np.float64], rising: NDArray[np.float64], level: float) -> float:
    """Return the budget at which a rising probability reaches a level; infinite if it does not."""
    place = int(np.searchsorted(rising, level))
    if place == len(flops):
        return inf
    if place == 0:
        return float(flops[0])
    below, above = rising[place - 1], rising[place]
    part = (level - below) / (above - below)
    ends: Any = np.log(flops[place - 1 : place + 1])
    return float(np.exp(ends[0] + part * (ends[1] - ends[0])))
