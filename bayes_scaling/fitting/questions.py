"""Questions that a forecast answers: how probable is a score, and which budget reaches it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isinf, isnan, nan
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
# A probability that falls by more than its error over a few thousand draws falls indeed.
_FALL = 0.05


@dataclass(frozen=True)
class RequiredBudget:
    """The budget that reaches a target, with the uncertainty about it.

    A budget is 0 where the probability in question is reached at every searched budget, and
    infinite where it is reached at none.

    Attributes
    ----------
    target : float
        The accuracy to be reached.
    of : {"score", "curve"}
        Whether one run's measured score should reach it, or the law's mean accuracy.
    probability : float
        How sure one wants to be.
    flops : float
        The smallest budget in FLOPs at which the target is reached with that probability.
    q05, median, q95 : float
        Budgets at which the target is reached with probability 5%, 50% and 95%. For a curve that
        rises with compute in every draw, the first and the last are the 90% interval of the
        budget at which it reaches the target. For a score they are no interval: part of the
        probability is the luck of one run.
    searched : float
        The largest budget that was searched.
    reached : float
        The largest probability that was found.
    levels_off : bool
        Whether more compute hardly raises the probability there, as below a ceiling.
    falls_to : float
        The probability at the largest budget, if it falls again before; else NaN. Curves of laws
        whose exponent drifts may fall.
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
    falls_to: float = nan

    @property
    def sentence(self) -> str:
        """The answer in words."""
        what = "The score of one run" if self.of == "score" else "The mean accuracy"
        goal = f"{what} reaches {self.target:g} with a probability of {100 * self.probability:g}%"
        if isinf(self.flops):
            return (
                f"{goal} at no budget up to {self.searched:.2g} FLOPs; the largest probability is "
                f"{percent(self.reached, digits=1)}. {self._why}"
            )
        return (
            f"{goal} at {_flops(self.flops)} (with 5% at {_flops(self.q05)}, with 95% at "
            f"{_flops(self.q95)}).{self._fall}"
        )

    @property
    def _why(self) -> str:
        if self._fall:
            return self._fall.strip()
        if self.levels_off and self.reached >= _RISING[0]:
            return "More compute hardly raises it, as where a ceiling lies below the target."
        return "It may rise further beyond."

    @property
    def _fall(self) -> str:
        if isnan(self.falls_to):
            return ""
        return (
            f" In part of the draws accuracy falls again far ahead: at {self.searched:.2g} FLOPs "
            f"the probability is {percent(self.falls_to)}."
        )


def percent(value: float, digits: int = 0) -> str:
    """Return a share of draws in percent, without the certainty that draws cannot give."""
    if value < 0.01:
        return "less than 1%"
    return "more than 99%" if value > 0.99 else f"{100 * value:.{digits}f}%"


def _flops(value: float) -> str:
    if isinf(value):
        return "no budget"
    return f"{value:.2g} FLOPs" if value > 0 else "any budget"


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
            Whatever the law reads besides FLOPs: k, n_items, covariates, and tokens_per_param,
            which is by default the median of the fitted runs; see :meth:`Budgets.of`.

        Returns
        -------
        RequiredBudget
            `flops` is infinite where no budget up to a million times the largest fitted is
            enough, as where the ceiling is below the target. Calibration was looked at up to 200
            times only (docs/default.md).

        Raises
        ------
        ModelError
            If target or probability is not between 0 and 1, FLOPs, params or tokens are given, or
            the benchmark is not given for a ladder.

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
        fixed = sorted({"flops", "params", "tokens"} & set(asked))
        if fixed:
            raise ModelError(
                f"budget_for searches FLOPs: give tokens_per_param, not {', '.join(fixed)}"
            )
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
    """Return budgets, and the probability that the target is reached at each."""
    table = runs.table["flops"]
    coarse = np.geomspace(_BELOW * table.min(), _BEYOND * table.max(), _POINTS)
    found = reached(coarse)
    first, last = np.searchsorted(_until_its_top(found), _RISING)
    low, high = coarse[[max(first - 1, 0), min(last, _POINTS - 1)]]
    fine = np.geomspace(low, high, _POINTS)[1:-1]
    flops, probability = np.r_[coarse, fine], np.r_[found, reached(fine)]
    order = np.argsort(flops)
    return flops[order], probability[order]


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


def _until_its_top(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rising sequence nearest to a probability up to its largest value, which stays.

    Where curves rise, the probability of simulated scores may still fall by chance.
    """
    top = int(np.argmax(probability)) + 1
    rising = np.asarray(isotonic_regression(probability[:top]).x)
    return np.r_[rising, np.full(len(probability) - top, rising[-1])]


def _required(
    flops: NDArray[np.float64],
    probabilities: NDArray[np.float64],
    target: float,
    probability: float,
    of: Outcome,
) -> RequiredBudget:
    """Return the budgets at which the target is first reached with given probabilities."""
    rising = _until_its_top(probabilities)
    budget, q05, median, q95 = (
        _first(flops, rising, level) for level in (probability, 0.05, 0.5, 0.95)
    )
    before = float(np.interp(np.log(flops[-1] / 10), np.log(flops), rising))
    last = float(probabilities[-1])
    return RequiredBudget(
        target=target,
        of=of,
        probability=probability,
        flops=budget,
        q05=q05,
        median=median,
        q95=q95,
        searched=float(flops[-1]),
        reached=float(rising[-1]),
        levels_off=bool(rising[-1] - before < _LEVEL),
        falls_to=last if rising[-1] - last > _FALL else nan,
    )


def _first(flops: NDArray[np.float64], rising: NDArray[np.float64], level: float) -> float:
    """Return the budget at which a rising probability reaches a level; 0 if at all, inf if none."""
    place = int(np.searchsorted(rising, level))
    if place == len(flops):
        return inf
    if place == 0:
        return 0.0
    below, above = rising[place - 1], rising[place]
    part = (level - below) / (above - below)
    ends: Any = np.log(flops[place - 1 : place + 1])
    return float(np.exp(ends[0] + part * (ends[1] - ends[0])))
