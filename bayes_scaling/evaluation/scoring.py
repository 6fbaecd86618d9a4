"""Scores of forecasts of runs that have been held out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayes_scaling.fitting.forecasts import QUANTILES


def crps(draws: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    """Return the continuous ranked probability score of each forecast, in units of the score.

    Parameters
    ----------
    draws : xarray.DataArray
        Draws of the score, dimensions chain and draw and those of `observed`.
    observed : xarray.DataArray
        Measured scores.

    References
    ----------
    Gneiting and Raftery 2007, eq. 21, with the expectations over the sample of draws.
    """
    dims = ("chain", "draw")
    n = draws.sizes["chain"] * draws.sizes["draw"]
    weights = (2 * np.arange(1, n + 1) - n - 1) / n**2

    def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
        ordered = np.sort(values.reshape(*values.shape[:-2], n), axis=-1)
        return np.asarray(ordered @ weights)

    distance = abs(draws - observed).mean(dims)
    return distance - xr.apply_ufunc(spread, draws, input_core_dims=[dims])


def probability_below(draws: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    """Return the PIT: the predictive probability of a score below the measured one.

    Ties, which are common in counts of few items, are split in half.
    """
    below = (draws < observed).mean(("chain", "draw"))
    return below + 0.5 * (draws == observed).mean(("chain", "draw"))


def score_forecast(forecast: xr.Dataset) -> pd.DataFrame:
    """Return a row of quantiles and scores for each held-out run of a forecast.

    Parameters
    ----------
    forecast : xarray.Dataset
        From :meth:`Fit.forecast_runs`: `score` and `observed`.
    """
    draws, observed = forecast["score"], forecast["observed"]
    quantiles = draws.quantile(list(QUANTILES.values()), dim=("chain", "draw"))
    columns = {name: quantiles.sel(quantile=q).to_numpy() for name, q in QUANTILES.items()}
    return pd.DataFrame(
        {
            "run": forecast["run"].to_numpy(),
            "flops": forecast["flops"].to_numpy(),
            "observed": observed.to_numpy(),
            **columns,
            "crps": crps(draws, observed).to_numpy(),
            "pit": probability_below(draws, observed).to_numpy(),
        }
    )


def aggregate(scores: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the mean scores of groups of held-out runs.

    Parameters
    ----------
    scores : pandas.DataFrame
        Rows of held-out runs, as in :attr:`Backtest.scores`.
    by : list of str
        Columns to group by.

    Returns
    -------
    pandas.DataFrame
        One row per group: `mre` (mean relative error of the median), `mae`, `rmse`, `r2` (of the
        medians, within the group), `elpd` (sum of log densities), `crps`, `cover50`, `cover90`
        (shares of scores in the intervals), `width50`, `width90`, and `n`. Scores that a
        point fit does not have are NaN.
    """
    error = scores["median"] - scores["observed"]
    interval = scores["q05"].notna()
    known = scores.assign(
        error=error,
        mre=_relative(error, scores["observed"]),
        mae=error.abs(),
        square=error**2,
        cover50=scores["observed"].between(scores["q25"], scores["q75"]).where(interval),
        cover90=scores["observed"].between(scores["q05"], scores["q95"]).where(interval),
        width50=scores["q75"] - scores["q25"],
        width90=scores["q95"] - scores["q05"],
    ).astype({"cover50": float, "cover90": float})
    groups = known.groupby(by, sort=False)
    columns = ["mre", "mae", "crps", "cover50", "cover90", "width50", "width90"]
    table = groups[columns].mean()
    table["rmse"] = groups["square"].mean() ** 0.5
    table["r2"] = 1 - groups["square"].sum() / groups["observed"].agg(_sum_of_squares)
    table["elpd"] = groups["elpd"].sum(min_count=1)
    table["n"] = groups.size()
    order = ["mre", "mae", "rmse", "r2", "elpd", "crps", "cover50", "cover90", "width50", "width90"]
    return table[[*order, "n"]].reset_index()


def _relative(error: pd.Series, observed: pd.Series) -> pd.Series:
    """Return |error| / observed; a score of 0 has no relative error."""
    return error.abs() / observed.where(observed > 0)


def _sum_of_squares(observed: pd.Series) -> float:
    return float(((observed - observed.mean()) ** 2).sum())
