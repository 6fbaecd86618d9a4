"""Forecasts: the curve and the score of runs at new budgets."""

from __future__ import annotations

import difflib
import zlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayes_scaling.errors import BayesScalingError, ModelError
from bayes_scaling.modelling.bound import BoundModel
from bayes_scaling.modelling.likelihoods import BINOMIAL_SHARE
from bayes_scaling.runs import Budgets

# One set of budgets may be forecast by laws that read different parts of it.
_ALWAYS_TAKEN = ("flops", "params", "tokens", "k")
# Quantiles of every table of forecasts: median, ends of the 50% and of the 90% interval.
QUANTILES = {"median": 0.5, "q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}


def forecast_budgets(
    bound: BoundModel, posterior: xr.Dataset, budgets: Budgets, *, seed: int = 0
) -> xr.Dataset:
    """Return the posterior of curve and score at future budgets.

    Parameters
    ----------
    bound : BoundModel
        The fitted model.
    posterior : xarray.Dataset
        Draws with dimensions (chain, draw).
    budgets : Budgets
        Future runs.
    seed : int
        Seed of the simulated scores; one budget's draws do not depend on the others.

    Returns
    -------
    xarray.Dataset
        `curve` (chain, draw, budget) is the mean accuracy; its spread is the uncertainty about
        the law. A two-stage law has it at the median loss of a budget. `score` (chain, draw,
        budget) is the measured accuracy of one future run: curve, scatter of runs (and of their
        loss, in a two-stage law) and noise of its test items. ``attrs["test_set"]`` is "same"
        where the run answers the items of the fitted runs, and "new" where `budgets` gives
        `n_items`; then the noise is all of the binomial one, and the luck of the fitted items is
        added. Coordinates of `budget` are the inputs and `n_items`. Budgets can be selected by
        FLOPs: ``forecast.sel(flops=1e23)``.

    Raises
    ------
    ModelError
        If the law needs an input that is not given, or one is given that it does not read.
    """
    inputs = budgets.inputs
    _check_names(bound, inputs)
    items = _items(budgets, bound)
    curve = bound.curve(posterior, inputs, generator(b"curve", seed))
    curve = curve.transpose("chain", "draw", "budget")
    rngs = _generators(inputs, seed)
    mean = curve
    if bound.model.two_stage:
        residual = curve.copy(data=_Apart(rngs).standard_normal(curve.shape))
        mean = bound.curve(posterior, inputs, generator(b"curve", seed), loss_residual=residual)
    noise, scattered = on_test_set(bound, posterior, items, new=budgets.new_test_set)
    luck = _luck(bound, inputs, curve, seed)
    apart = cast(np.random.Generator, _Apart(rngs))  # it has what likelihoods draw with
    score = bound.likelihood.draw(noise, mean, scattered, apart, luck)
    score = score.transpose("chain", "draw", "budget")
    result = xr.Dataset({"curve": curve, "score": score.drop_vars("budget", errors="ignore")})
    coords = {name: ("budget", values.to_numpy()) for name, values in inputs.data_vars.items()}
    result = result.assign_coords(coords | {"n_items": ("budget", items.to_numpy())})
    result["curve"].attrs["description"] = "mean accuracy; spread is uncertainty about the law"
    result["score"].attrs["description"] = "measured accuracy of one future run"
    result.attrs["test_set"] = "new" if budgets.new_test_set else "same"
    return result.set_xindex("flops") if "flops" in result.coords else result


def _check_names(bound: BoundModel, inputs: xr.Dataset) -> None:
    """Raise a ModelError for a name that is neither a budget nor read by the law."""
    known = (*_ALWAYS_TAKEN, *bound.law.columns)
    for name in map(str, inputs.data_vars):
        if name not in known:
            close = difflib.get_close_matches(name, (*known, "n_items", "tokens_per_param"), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ModelError(f"forecast: {bound.model.law_name} does not read {name!r}{hint}")


def _items(budgets: Budgets, bound: BoundModel) -> xr.DataArray:
    """Return the test items of each budget, by default the median of those that are known."""
    if budgets.n_items is not None:
        return budgets.n_items
    items = bound.observations["n_items"]
    usual = float(items.where(items > 0).median().fillna(0))
    return xr.full_like(budgets.inputs["budget"], np.round(usual), dtype=float)


def on_test_set(
    bound: BoundModel, posterior: xr.Dataset, n_items: xr.DataArray, *, new: bool
) -> tuple[xr.DataArray, xr.Dataset]:
    """Return the item counts and parameters that give the noise of the same or a new test set.

    On a new test set of n items a score has the whole binomial variance Q (1 − Q) / n. The fitted
    curve is that of the fitted test set of m items, so its luck is added: the part of the binomial
    variance that runs on it have in common, (1 − binomial_share) · Q (1 − Q) / m.

    Parameters
    ----------
    bound : BoundModel
        The fitted model.
    posterior : xarray.Dataset
        Draws of its parameters.
    n_items : xarray.DataArray
        Items of the test set of each run; 0 for endlessly many.
    new : bool
        Whether the items are other ones than those of the fitted runs.

    Returns
    -------
    n_items : xarray.DataArray
        The count of items whose binomial noise is that of the test set, by draw where it is new.
    posterior : xarray.Dataset
        Parameters to be used with it.
    """
    if not new or BINOMIAL_SHARE.name not in posterior:
        return n_items, posterior
    fitted = bound.observations["n_items"].where(lambda n: n > 0).median()
    own = (n_items > 0) / n_items.where(n_items > 0, 1)
    shared = (1 - posterior[BINOMIAL_SHARE.name]) / fitted
    one = xr.ones_like(posterior[BINOMIAL_SHARE.name])
    return 1 / (own + shared), posterior.assign({BINOMIAL_SHARE.name: one})


def _luck(
    bound: BoundModel, inputs: xr.Dataset, curve: xr.DataArray, seed: int
) -> xr.DataArray | None:
    """Return what the scatter of each budget has in common with rows of the same run.

    The pass@k of a future run, which differ in k alone, share it.
    """
    if bound.likelihood.unit == "row":
        return None
    rngs = _generators(inputs.drop_vars("k", errors="ignore"), seed + 1)
    return curve.copy(data=_Apart(rngs).standard_normal(curve.shape))


class _Apart:
    """Generators of several budgets as one: each draws its own place on the last axis."""

    def __init__(self, rngs: Sequence[np.random.Generator]) -> None:
        self._rngs = rngs

    def standard_normal(self, size: tuple[int, ...]) -> NDArray[np.float64]:
        return np.stack([rng.standard_normal(size[:-1]) for rng in self._rngs], axis=-1)

    def __getattr__(self, name: str) -> Callable[..., NDArray[Any]]:
        def draw(*numbers: Any) -> NDArray[Any]:
            by_place = np.broadcast_arrays(*numbers)
            return np.stack(
                [
                    getattr(rng, name)(*(values[..., i] for values in by_place))
                    for i, rng in enumerate(self._rngs)
                ],
                axis=-1,
            )

        return draw


def _generators(inputs: xr.Dataset, seed: int) -> list[np.random.Generator]:
    """Return a generator for each budget, keyed by the budget itself, not by its place."""
    rows = np.column_stack([inputs[name].to_numpy() for name in sorted(map(str, inputs.data_vars))])
    return [generator(row.tobytes(), seed) for row in rows]


def generator(key: bytes, seed: int) -> np.random.Generator:
    """Return the random generator of one purpose under a seed."""
    return np.random.default_rng([seed, zlib.crc32(key)])


def summarise(forecast: xr.Dataset, variable: str = "score") -> pd.DataFrame:
    """Return median, 50% and 90% interval of each budget.

    Parameters
    ----------
    forecast : xarray.Dataset
        From :meth:`Fit.forecast`.
    variable : {"score", "curve"}
        The variable to summarise.

    Returns
    -------
    pandas.DataFrame
        One row per budget: its inputs, then median, q05, q25, q75 and q95.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> draws = np.linspace(0, 1, 101)[None, :, None]
    >>> score = xr.DataArray(draws, dims=("chain", "draw", "budget"))
    >>> forecast = xr.Dataset({"score": score}, coords={"flops": ("budget", [1e22])})
    >>> summarise(forecast).round(2).values.tolist()
    [[1e+22, 0.5, 0.05, 0.25, 0.75, 0.95]]
    """
    quantiles = forecast[variable].quantile(list(QUANTILES.values()), dim=("chain", "draw"))
    table = pd.DataFrame(
        {
            str(name): coord.to_numpy()
            for name, coord in forecast.coords.items()
            if coord.dims == ("budget",) and name not in ("budget", "n_items", "training")
        }
    )
    for name, q in QUANTILES.items():
        table[name] = quantiles.sel(quantile=q).to_numpy()
    return table


def tabulate(forecasts: Sequence[xr.Dataset], columns: Sequence[str]) -> pd.DataFrame:
    """Return quantiles of the score of several forecasts in one table.

    Parameters
    ----------
    forecasts : sequence of xarray.Dataset
        From :meth:`Fit.forecast` or :meth:`Fit.forecast_runs`.
    columns : sequence of str
        What the law reads.

    Returns
    -------
    pandas.DataFrame
        See :meth:`Fit.forecast_table`.
    """
    parts = []
    for forecast in forecasts:
        known: dict[str, Any] = {"run": None, "observed": float("nan")}
        known |= {name: forecast[name].to_numpy() for name in known if name in forecast}
        parts.append(summarise(forecast).assign(**known))
    if not parts:
        raise BayesScalingError("there is nothing to forecast: give held-out runs or budgets")
    first = ["run", *dict.fromkeys(("flops", *columns)), "observed"]
    return pd.concat(parts, ignore_index=True)[[*first, *QUANTILES]]
