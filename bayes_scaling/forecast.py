"""Forecasts: the curve and the score of runs at budgets not seen."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import ModelError
from bayes_scaling.model import ScalingModel

BudgetLike = float | Sequence[float] | np.ndarray

# Quantiles of every table of forecasts: median, ends of the 50% and of the 90% interval.
QUANTILES = {"median": 0.5, "q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}


def budgets(
    *,
    flops: BudgetLike | None = None,
    params: BudgetLike | None = None,
    tokens: BudgetLike | None = None,
    k: BudgetLike | None = None,
    tokens_per_param: float | None = None,
) -> xr.Dataset:
    """Return future runs as a dataset with dimension `budget`.

    Parameters
    ----------
    flops, params, tokens, k : float or sequence of float, optional
        Training FLOPs, model parameters, training tokens and samples of pass@k; scalars are
        repeated. FLOPs are 6·N·D where params and tokens are given, and params and tokens
        follow from FLOPs where tokens_per_param is.
    tokens_per_param : float, optional
        Training tokens per parameter.

    Raises
    ------
    ModelError
        If nothing is given, lengths differ, or a number is not positive and finite.
    """
    given = {"flops": flops, "params": params, "tokens": tokens, "k": k}
    columns = {n: np.atleast_1d(np.asarray(v, float)) for n, v in given.items() if v is not None}
    if not set(columns) - {"k"}:
        raise ModelError("a forecast needs budgets: give flops, or params and tokens")
    if tokens_per_param is not None and "flops" in columns and "params" not in columns:
        columns["params"] = np.sqrt(columns["flops"] / (6 * tokens_per_param))
        columns["tokens"] = columns["params"] * tokens_per_param
    if "flops" not in columns and {"params", "tokens"} <= set(columns):
        columns["flops"] = 6.0 * columns["params"] * columns["tokens"]
    for name, values in columns.items():
        if not values.size:
            raise ModelError(f"forecast: {name} is empty; give at least one budget")
        if not (np.isfinite(values) & (values > 0)).all():
            raise ModelError(f"forecast: {name} must be positive and finite, got {values.tolist()}")
    try:
        shaped = np.broadcast_arrays(*columns.values())
    except ValueError as error:
        sizes = ", ".join(f"{name} {values.size}" for name, values in columns.items())
        raise ModelError(f"forecast: lengths differ ({sizes})") from error
    return xr.Dataset(
        {name: ("budget", values) for name, values in zip(columns, shaped, strict=True)},
        coords={"budget": np.arange(shaped[0].size)},
    )


def forecast(
    model: ScalingModel,
    posterior: xr.Dataset,
    observations: xr.Dataset,
    inputs: xr.Dataset,
    *,
    n_items: BudgetLike | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Return the posterior of curve and score at future budgets.

    Parameters
    ----------
    model, observations
        As fitted; see :meth:`ScalingModel.prepare`.
    posterior : xarray.Dataset
        Draws with dimensions (chain, draw).
    inputs : xarray.Dataset
        Future runs, from :func:`budgets`.
    n_items : float or sequence of float, optional
        Test items of the future runs; by default that of the fitted runs. 0: endlessly many.
    seed : int
        Seed of the simulated scores; one budget's draws do not depend on the others.

    Returns
    -------
    xarray.Dataset
        `curve` (chain, draw, budget), the mean accuracy, whose spread is what is not known of
        the law (of a two-stage law at the median loss of a budget); `score` (chain, draw,
        budget), the accuracy that one future run would be measured to have: curve, scatter of
        runs (of their loss too, in a two-stage law) and binomial noise of its n_items. Coordinates
        of `budget`: the inputs and `n_items`.

    Raises
    ------
    ModelError
        If the law needs an input that is not given.
    """
    missing = [name for name in model.law.inputs if name not in inputs]
    if missing:
        raise ModelError(
            f"{model.law_name} needs {' and '.join(missing)} to forecast; "
            "give them, or tokens_per_param beside flops"
        )
    items = _items(inputs, observations, n_items)
    curve = model.curve(posterior, inputs, observations, generator(b"curve", seed))
    curve = curve.transpose("chain", "draw", "budget")
    rngs = _generators(inputs, seed)
    mean = curve
    if model.two_stage:
        residual = curve.copy(data=np.stack([r.standard_normal(curve.shape[:2]) for r in rngs], -1))
        mean = model.curve(
            posterior, inputs, observations, generator(b"curve", seed), loss_residual=residual
        )
    scores = [
        model.likelihood.draw(items.isel(budget=i), mean.isel(budget=i), posterior, rng)
        for i, rng in enumerate(rngs)
    ]
    score = xr.concat(scores, dim="budget").transpose("chain", "draw", "budget")
    result = xr.Dataset({"curve": curve, "score": score.drop_vars("budget", errors="ignore")})
    coords = {name: ("budget", values.to_numpy()) for name, values in inputs.data_vars.items()}
    result = result.assign_coords(coords | {"n_items": ("budget", items.to_numpy())})
    result["curve"].attrs["description"] = "mean accuracy; spread is uncertainty about the law"
    result["score"].attrs["description"] = "measured accuracy of one future run"
    return result


def _items(
    inputs: xr.Dataset, observations: xr.Dataset, n_items: BudgetLike | None
) -> xr.DataArray:
    if n_items is None:
        n_items = float(observations["n_items"].median())
    given, size = np.asarray(n_items, float), inputs.sizes["budget"]
    if given.ndim and given.size not in (1, size):
        raise ModelError(f"forecast: lengths differ ({size} budgets, n_items {given.size})")
    values = np.broadcast_to(given, (size,))
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ModelError(f"forecast: n_items must be 0 or more, got {np.unique(values).tolist()}")
    return xr.DataArray(np.round(values), dims="budget", coords={"budget": inputs["budget"]})


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
        From :func:`forecast`.
    variable : {"score", "curve"}
        Which band.

    Returns
    -------
    pandas.DataFrame
        A row a budget: its inputs, then median, q05, q25, q75 and q95.
    """
    quantiles = forecast[variable].quantile(list(QUANTILES.values()), dim=("chain", "draw"))
    table = pd.DataFrame(
        {
            str(name): coord.to_numpy()
            for name, coord in forecast.coords.items()
            if coord.dims == ("budget",) and name not in ("budget", "n_items")
        }
    )
    for name, q in QUANTILES.items():
        table[name] = quantiles.sel(quantile=q).to_numpy()
    return table
