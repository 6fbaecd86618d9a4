"""Checks of a fit by its residuals: statistics that its model cannot adapt to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING

import arviz as az
import numpy as np
import xarray as xr

from bayes_scaling.fitting.densities import predictive_density
from bayes_scaling.fitting.forecasts import generator
from bayes_scaling.fitting.outcomes import Check, Direction
from bayes_scaling.fitting.residuals import (
    Array,
    Residuals,
    curve_of_budgets,
    replicate_scores,
    residuals_of,
)

if TYPE_CHECKING:
    from bayes_scaling.fitting.fit import Fit

# A p-value below this fails. There are seven of them, and several are related or conservative: with
# a right model one or more fails in 1 to 5% of fits. With the rule for priors, whose 2 sd are
# exceeded by chance too, it is 5 to 10% (benchmarks/check_rates.py, docs/checks.md).
LEVEL = 0.01
# Below it no statistic of residuals can tell a good model from a bad one.
_MIN_FREEDOM = 3.0
# ArviZ's test combines one term a score; of fewer, its p-values cannot be small.
_MIN_PITS = 20
# Enough for a PIT; more would cost a two-stage law, which integrates over the loss in each draw.
_DRAWS = 1000


def check_residuals(fit: Fit) -> list[Check]:
    """Return the checks of a fit's residuals; they compile nothing and take 0.2 s of one core.

    Observed and replicated residuals of the same draws are compared by statistics that the
    model cannot adapt to, with posterior predictive p-values.

    Parameters
    ----------
    fit : Fit
        The fit.

    Returns
    -------
    list of Check
        "dispersion" (mean square), "item noise" (mean square over binomial variance; for
        information), "outliers" (kurtosis), "spread" (mean square of the larger half of the runs
        over that of the smaller), "end level" and "end slope" (departure of the last quarter),
        and "neighbours" (lag-1 correlation in order of budget).
    """
    found = residuals_of(fit)
    if found.freedom < _MIN_FREEDOM:
        sentence = (
            f"{len(found.run)} runs are too few to check the residuals of a curve that can move "
            f"in {len(found.run) - found.freedom:.1f} directions."
        )
        return [Check("residuals", found.freedom, _MIN_FREEDOM, nan, nan, None, "", sentence)]
    return [
        _dispersion(found),
        *_item_noise(fit, found),
        _outliers(found),
        _spread(found),
        _end_level(found),
        *_end_slope(found),
        _neighbours(found),
    ]


@dataclass(frozen=True)
class _Comparison:
    """A statistic of the observed residuals beside that of replicated ones.

    `side` is 1 if it is too large, -1 if it is too small, and 0 if it is as expected.
    """

    value: float
    low: float
    high: float
    p: float
    side: int

    @property
    def expected(self) -> str:
        """The expected range in words."""
        low = "at most " if np.isnan(self.low) else f"{self.low:.2f} to "
        return f"(expected: {low}{self.high:.2f}; {_in_words(self.p)})"

    def choose(self, as_expected: str, too_large: str, too_small: str = "") -> str:
        """Return the text for its side."""
        return (as_expected, too_large, too_small)[self.side]

    def check(self, name: str, sentence: str, direction: Direction = "") -> Check:
        """Return it as a check."""
        passed = self.side == 0
        return Check(
            name, self.value, self.low, self.high, self.p, passed, direction, f"{sentence}."
        )


def _in_words(p: float) -> str:
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def _compare(observed: Array, replicated: Array, *, upper: bool = False) -> _Comparison:
    """Compare a statistic draw by draw; `upper` if only large values speak against a model."""
    above = float((replicated > observed).mean() + (replicated == observed).mean() / 2)
    p = above if upper else 2 * min(above, 1 - above)
    low, high = np.quantile(replicated, [0, 1 - LEVEL] if upper else [LEVEL / 2, 1 - LEVEL / 2])
    side = 0 if p >= LEVEL else 1 if above < 0.5 else -1
    return _Comparison(float(observed.mean()), nan if upper else float(low), float(high), p, side)


def _dispersion(found: Residuals) -> Check:
    def mean_square(residuals: Array) -> Array:
        return np.asarray((residuals**2).mean(axis=1) * residuals.shape[1] / found.freedom)

    result = _compare(mean_square(found.observed), mean_square(found.replicated))
    more = result.choose(
        "", ": forecast intervals are too narrow", ": forecast intervals are too wide"
    )
    sentence = f"Residuals have {result.value:.2f} times the variance that the model predicts"
    return result.check("dispersion", f"{sentence} {result.expected}{more}")


def _item_noise(fit: Fit, found: Residuals) -> list[Check]:
    """Return how residuals compare with binomial noise, where items are known and rows are runs."""
    seen = fit.observations
    items = seen["n_items"].to_numpy()
    if len(items) > len(found.run) or not (items > 0).all():
        return []
    mean = curve_of_budgets(fit).mean(("chain", "draw")).to_numpy()
    binomial = (mean * (1 - mean) / items).sum()
    rng = generator(b"item noise", fit.seed)
    counted = rng.binomial(items.astype(int), mean, size=(_DRAWS, len(mean))) / items
    low, high = np.quantile(
        ((counted - mean) ** 2).sum(axis=1) / binomial, [LEVEL / 2, 1 - LEVEL / 2]
    )
    square = ((seen["score"].to_numpy() - mean) ** 2).sum()
    value = float(square / binomial * len(mean) / found.freedom)
    more = "as independent test sets would give"
    if value < low:
        more = "less than independent test sets would give: runs share part of the items' noise"
    elif value > high:
        more = "more than item noise alone: runs scatter round the curve, or the curve is wrong"
    sentence = (
        f"Residuals have {value:.2f} times the variance of binomial item noise, {more} "
        f"({low:.2f} to {high:.2f})."
    )
    return [Check("item noise", value, float(low), float(high), nan, None, "", sentence)]


def _outliers(found: Residuals) -> Check:
    def kurtosis(residuals: Array) -> Array:
        square = residuals**2
        return np.asarray((square**2).mean(axis=1) / square.mean(axis=1) ** 2)

    result = _compare(kurtosis(found.observed), kurtosis(found.replicated), upper=True)
    typical = found.observed.mean(axis=0)
    worst = int(np.abs(typical).argmax())
    more = result.choose("", ": a few runs stray from the others")
    return result.check(
        "outliers",
        f"The largest residual is that of {found.run[worst]}, {typical[worst]:+.1f} predictive sd; "
        f"the kurtosis of all is {result.value:.1f} {result.expected}{more}",
    )


def _spread(found: Residuals) -> Check:
    half = len(found.run) // 2

    def growth(residuals: Array) -> Array:
        square = residuals**2
        return np.asarray(square[:, -half:].mean(axis=1) / square[:, :half].mean(axis=1))

    result = _compare(growth(found.observed), growth(found.replicated))
    more = result.choose(
        "",
        ": forecast intervals are too narrow for large runs",
        ": forecast intervals are too wide for large runs",
    )
    return result.check(
        "spread",
        f"The mean square of standardised residuals in the larger half of the runs is "
        f"{result.value:.2f} times that in the smaller half {result.expected}{more}",
    )


def _last_quarter(found: Residuals) -> int:
    return max(2, round(len(found.run) / 4))


def _end_level(found: Residuals) -> Check:
    last = _last_quarter(found)
    result = _compare(
        found.observed[:, -last:].mean(axis=1), found.replicated[:, -last:].mean(axis=1)
    )
    where, direction = _side_of_curve(result)
    sentence = (
        f"The last {last} scores lie {abs(result.value):.2f} predictive sd {where} the curve on "
        f"average {result.expected}"
    )
    return result.check("end level", sentence + _consequence(direction), direction)


def _end_slope(found: Residuals) -> list[Check]:
    """Return the estimate of a bend that starts at the last quarter: a score test of the law."""
    last = _last_quarter(found)
    bend = (found.log_flops - found.log_flops[-last - 1]).clip(0)
    if not bend[-1]:
        return []
    bend = bend / bend[-1] / found.sd
    weights = 100 * bend / (bend @ found.keep @ bend)
    result = _compare(found.observed @ weights, found.replicated @ weights)
    where, direction = _side_of_curve(result)
    sentence = (
        f"Over the last {last} runs the scores bend away from the curve, at the largest one to "
        f"{abs(result.value):.2f} points {where} it {result.expected}"
    )
    return [result.check("end slope", sentence + _consequence(direction), direction)]


def _side_of_curve(result: _Comparison) -> tuple[str, Direction]:
    directions: tuple[Direction, ...] = ("", "too low", "too high")
    return "above" if result.value > 0 else "below", directions[result.side]


def _consequence(direction: Direction) -> str:
    return f": forecasts of larger runs are likely {direction}" if direction else ""


def _neighbours(found: Residuals) -> Check:
    def lag_one(residuals: Array) -> Array:
        products = (residuals[:, 1:] * residuals[:, :-1]).sum(axis=1)
        return np.asarray(products / (residuals**2).sum(axis=1))

    # Negative correlation is no sign of a wrong curve.
    result = _compare(lag_one(found.observed), lag_one(found.replicated), upper=True)
    more = result.choose("", ": the law has another shape than the scores, or runs are related")
    sentence = f"Residuals of neighbouring budgets have correlation {result.value:.2f}"
    return result.check("neighbours", f"{sentence} {result.expected}{more}")


def loo_tree(fit: Fit) -> xr.DataTree | None:
    """Return what ArviZ needs for leave-one-out PITs of the scores given their budgets.

    It is None below 20 scores, and where scores are not independent given the curve.
    """
    seen = fit.observations
    if fit.bound.likelihood.unit != "row" or seen.sizes["row"] < _MIN_PITS:
        return None
    every = max(1, fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"] // _DRAWS)
    thin = replace(fit, posterior=fit.posterior.isel(draw=slice(None, None, every)))
    return xr.DataTree.from_dict(
        {
            "posterior": thin.posterior,
            "posterior_predictive": replicate_scores(thin).to_dataset(name="score"),
            "log_likelihood": predictive_density(thin, seen).to_dataset(name="score"),
            "observed_data": seen[["score"]],
        }
    )


def check_pit(fit: Fit) -> list[Check]:
    """Return whether leave-one-out PITs are uniform; empty where the test does not apply.

    The test is ArviZ's (`uniformity_test`), which allows for the dependence of these PITs on each
    other.
    """
    tree = loo_tree(fit)
    if tree is None:
        return []
    pit = az.loo_pit(tree, random_state=fit.seed)["score"]
    p = float(pit.azstats.uniformity_test(dim="row")[0])
    passed = p >= LEVEL
    more = "uniform" if passed else "not uniform: the predictive distribution has a wrong shape"
    sentence = f"Leave-one-out probability integral transforms are {more} ({_in_words(p)})."
    return [Check("LOO-PIT", p, LEVEL, nan, p, passed, "", sentence)]
