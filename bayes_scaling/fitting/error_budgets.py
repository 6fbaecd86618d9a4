"""Where a forecast's uncertainty comes from: its variance by source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray

from bayes_scaling.fitting.fit import Fit
from bayes_scaling.fitting.forecasts import generator, on_test_set
from bayes_scaling.laws import TwoStageLaw
from bayes_scaling.runs import BudgetLike, Budgets

DIRECT_SOURCES = ("parameters", "scatter", "item noise")
# Of a law through a loss whose stages share parameters.
JOINT_SOURCES = ("parameters", "stage-1 residual", "scatter", "item noise")
TWO_STAGE_SOURCES = (
    "stage-1 parameters",
    "stage-1 residual",
    "stage-2 parameters",
    "stage-1 × stage-2",
    "stage-2 scatter",
    "item noise",
)
# Number of stage-2 draws that each stage-1 draw is paired with, and of simulated scores a draw.
_REPEATS = 16
_NODES = 15
# Random shifts mix the draws so well that each sweep of least squares gains about a digit.
_SWEEPS = 12


def error_budget(
    fit: Fit,
    budgets: Budgets | None = None,
    /,
    *,
    seed: int | None = None,
    **asked: BudgetLike | None,
) -> xr.Dataset:
    r"""Return the share of a forecast's variance that comes from each source.

    Parameters
    ----------
    fit : Fit
        The fit.
    budgets : Budgets, optional
        Future runs.
    seed : int, optional
        Seed of what is simulated; by default the fit's.
    **asked
        Future runs, in place of `budgets`; see :meth:`Budgets.of`.

    Returns
    -------
    xarray.Dataset
        `variance` and `share` (budget, source) and `total` (budget), the variance of the score
        of one future run; shares of a budget add up to 1. Coordinates of `budget`: the inputs
        and `n_items`. ``result["share"].to_pandas()`` is a table.

    Raises
    ------
    ModelError
        If an input of the law is missing or not positive.

    Warns
    -----
    ConvergenceWarning
        If the draws should not be trusted.

    Examples
    --------
    >>> from bayes_scaling import error_budget, fit_runs, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> shares = error_budget(fit_runs(runs.below(6e21)), flops=1e23)["share"]
    >>> shares["source"].values.tolist()
    ['parameters', 'scatter', 'item noise']

    Notes
    -----
    The law of total variance is applied from the innermost source outwards. Write m for the
    mean accuracy of a run given the parameters θ₁, θ₂ of both stages and the residual ε of its
    log loss in stage 1, and m̄ for its mean over ε:

    .. math:: \mathrm{Var}(y) = \mathrm{Var}(\bar m) + \mathrm{E}[\mathrm{Var}_ε(m)]
              + \mathrm{E}[(t - m)^2] + \text{item noise},

    where t is the accuracy on endlessly many items. The second term is that of the stage-1
    residual; it includes the uncertainty of the loss scatter. The first is split by Sobol's
    decomposition. Given the observed losses, the likelihood factors by stage, so θ₁ and θ₂ are
    independent a posteriori. Each draw of θ₁ is paired with several of θ₂. A two-way analysis of
    variance then gives the variance of E(m̄ | θ₁), that of E(m̄ | θ₂), and what remains: the
    interaction of the stages, which is a source of its own. For a direct law, Var(m) is the one
    source "parameters"; it includes the drift beyond the fitted runs if the law has one. So it
    is for a law through a loss whose stages share parameters (``law.separable`` is False), as the
    irreducible loss: Var(m̄) is not split there.

    The terms add up to the total exactly; the total differs from the variance of
    :meth:`Fit.forecast`'s simulated scores by Monte Carlo error.
    """
    seed = fit.seed if seed is None else seed
    forecast = fit.forecast(budgets, seed=seed, **asked)
    forecast = forecast.drop_indexes("flops", errors="ignore")
    rows = [_split(fit, _Budget.of(forecast, place), seed) for place in forecast["budget"].values]
    variance = np.array([list(row.values()) for row in rows])
    total = variance.sum(axis=1)
    seen = fit.observations.attrs
    return xr.Dataset(
        {
            "variance": (("budget", "source"), variance),
            "share": (("budget", "source"), variance / total[:, None]),
            "total": ("budget", total),
        },
        coords={
            **{name: coord for name, coord in forecast.coords.items() if coord.dims == ("budget",)},
            "source": list(rows[0]),
        },
        attrs={"law": fit.model.law_name, **seen},
    )


@dataclass(frozen=True)
class _Budget:
    """One future run: inputs of the law, along dimension `budget` of size 1, and test set."""

    inputs: xr.Dataset
    n_items: xr.DataArray
    new_test_set: bool

    @classmethod
    def of(cls, forecast: xr.Dataset, place: int) -> _Budget:
        one = forecast.sel(budget=[place])
        names = [n for n, v in one.coords.items() if v.dims == ("budget",)]
        inputs = one[[n for n in names if n not in ("budget", "n_items")]].reset_coords()
        return cls(inputs, one["n_items"].drop_vars(names), forecast.attrs["test_set"] == "new")


def _split(fit: Fit, budget: _Budget, seed: int) -> dict[str, float]:
    """Return the variance of one future score by source."""
    law, draws = fit.bound.law, fit.posterior
    if not isinstance(law, TwoStageLaw):
        mean = _curve(fit, draws, budget.inputs, seed)
        noise = _noise(fit, draws, mean, budget, seed)
        return dict(zip(DIRECT_SOURCES, (float(mean.var()), *noise), strict=True))
    if not law.separable:
        mean, residual = _over_luck(lambda luck: _lucky_curve(fit, budget, seed, luck))
        luck = mean.copy(data=generator(b"residual", seed).standard_normal(mean.shape))
        noise = _noise(fit, draws, _lucky_curve(fit, budget, seed, luck), budget, seed)
        return dict(zip(JOINT_SOURCES, (float(mean.var()), residual, *noise), strict=True))
    return _split_by_stage(fit, budget, seed)


def _split_by_stage(fit: Fit, budget: _Budget, seed: int) -> dict[str, float]:
    first_draws, draws, shifts = _crossed(fit, seed)
    mean, residual = _over_luck(lambda luck: _through(fit, first_draws, draws, budget, seed, luck))
    first, second, interaction = _two_way(mean.transpose("draw", "repeat").to_numpy(), shifts)
    rng = generator(b"residual", seed)
    luck = mean.copy(data=rng.standard_normal(mean.shape))
    lucky = _through(fit, first_draws, draws, budget, seed, luck)
    noise = _noise(fit, draws, lucky, budget, seed)
    parts = (first, residual, second, interaction, *noise)
    return dict(zip(TWO_STAGE_SOURCES, parts, strict=True))


def _over_luck(curve: Callable[[xr.DataArray], xr.DataArray]) -> tuple[xr.DataArray, float]:
    """Return the mean of a curve over the luck of a run's loss, and the variance that luck adds."""
    nodes, weights = hermegauss(_NODES)
    at_nodes = curve(xr.DataArray(nodes, dims="node"))
    share = xr.DataArray(weights / weights.sum(), dims="node")
    mean = at_nodes.dot(share, dim="node")
    return mean, float(((at_nodes - mean) ** 2).dot(share, dim="node").mean())


def _lucky_curve(fit: Fit, budget: _Budget, seed: int, luck: xr.DataArray) -> xr.DataArray:
    """Return the curve at the losses of runs with this luck."""
    rng = generator(b"curve", seed)
    curve = fit.bound.curve(fit.posterior, budget.inputs, rng, loss_residual=luck)
    return curve.isel(budget=0, drop=True)


def _curve(fit: Fit, draws: xr.Dataset, inputs: xr.Dataset, seed: int) -> xr.DataArray:
    return fit.bound.curve(draws, inputs, generator(b"curve", seed)).isel(budget=0, drop=True)


def _through(
    fit: Fit, first: xr.Dataset, second: xr.Dataset, budget: _Budget, seed: int, luck: xr.DataArray
) -> xr.DataArray:
    """Return the curve of draws of the second stage, at losses of draws of the first.

    `luck` is the residual of the log loss in units of its scatter.
    """
    mean = fit.bound.log_loss(first, budget.inputs, generator(b"curve", seed))
    log_loss = mean + first["loss_scatter"] * luck
    return _curve(fit, second, budget.inputs.assign(loss=np.exp(log_loss)), seed)


def _crossed(fit: Fit, seed: int) -> tuple[xr.Dataset, xr.Dataset, NDArray[np.int_]]:
    """Return each draw of the first stage, `draw`, and several of the second beside it, `repeat`.

    Both are shuffled, because neighbours in a chain are alike. In repeat r, draw i of the first
    stage is paired with draw i + shifts[r] of the second; the shifts are returned too. Accuracy as
    a function of the loss is independent of the first stage. The parameter that it is centred on,
    the loss level, belongs to both, so each set of draws has its own.
    """
    flat = fit.posterior[[p.name for p in fit.bound.parameters]].stack(sample=("chain", "draw"))
    size = flat.sizes["sample"]
    rng = generator(b"shuffle", seed)
    first, second = rng.permutation(size), rng.permutation(size)
    shifts = rng.choice(size, min(_REPEATS, size), replace=False)
    places = (np.arange(size)[:, None] + shifts) % size
    values = {name: variable.to_numpy() for name, variable in flat.data_vars.items()}
    return (
        xr.Dataset({name: ("draw", value[first]) for name, value in values.items()}),
        xr.Dataset({n: (("draw", "repeat"), value[second][places]) for n, value in values.items()}),
        shifts,
    )


def _two_way(mean: NDArray[np.float64], shifts: NDArray[np.int_]) -> tuple[float, ...]:
    """Return the variances of first stage, second stage and interaction; they sum to the whole.

    A two-way analysis of variance: main effects by least squares, the interaction from what they
    leave.

    Parameters
    ----------
    mean : ndarray
        Stage-1 draw by repeat, laid out as by :func:`_crossed`.
    shifts : ndarray
        The shift of each repeat.
    """
    size, repeats = mean.shape
    rows, each = np.arange(size)[:, None], np.arange(repeats)
    there, back = (rows + shifts) % size, (rows - shifts) % size
    centred = mean - mean.mean()
    first, second = np.zeros(size), np.zeros(size)
    for _ in range(_SWEEPS):
        first = (centred - second[there]).mean(axis=1)
        second = (centred - first[:, None])[back, each].mean(axis=1)
    left = centred - first[:, None] - second[there]
    interaction = (left**2).sum() / (left.size - 2 * size + 1)
    main = [max(effect.var() - interaction / repeats, 0.0) for effect in (first, second)]
    parts = np.array([*main, interaction])
    if not parts.any():
        return 0.0, 0.0, 0.0
    return tuple(float(part) for part in parts * mean.var() / parts.sum())


def _noise(
    fit: Fit, draws: xr.Dataset, mean: xr.DataArray, budget: _Budget, seed: int
) -> tuple[float, float]:
    """Return the mean squares of scores round their mean: scatter of runs, and item noise.

    Item noise of a new test set includes the luck of the fitted items. Scores with and without
    item noise use the same random numbers.
    """
    if "repeat" not in mean.dims:
        mean = mean.expand_dims(repeat=_REPEATS)
    noisy, scattered = on_test_set(fit.bound, draws, budget.n_items, new=budget.new_test_set)
    squares = [
        _mean_square(fit, draws, mean, 0 * budget.n_items, seed),
        _mean_square(fit, scattered, mean, noisy, seed),
    ]
    items = min(max(squares[1] - squares[0], 0.0), squares[1])
    return squares[1] - items, items


def _mean_square(fit: Fit, draws: xr.Dataset, mean: xr.DataArray, n_items: Any, seed: int) -> float:
    rng = generator(b"noise", seed)
    score = fit.bound.likelihood.draw(n_items.isel(budget=0), mean, draws, rng)
    return float(((score - mean) ** 2).mean())
