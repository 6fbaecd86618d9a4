"""Scores of forecasts of runs that have been held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayes_scaling.fitting.forecasts import QUANTILES, generator

# The random numbers of PITs are fixed: tables of one backtest never differ between two calls.
_PIT_SEED = 0


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


def randomised_pit(
    draws: xr.DataArray, observed: xr.DataArray, n_items: xr.DataArray, keys: Sequence[str]
) -> xr.DataArray:
    """Return the PIT of each score: the probability that its forecast gives to lower scores.

    A count can tie with the forecast. Its PIT is then a uniform number between the probability of
    a lower count and that of a count at most as high. So the PIT is uniform if the forecast is
    right, however few items there are, and a central interval of probability p holds with
    probability p. A closed interval of few counts holds more often.

    Parameters
    ----------
    draws : xarray.DataArray
        Draws of the score, dimensions chain and draw and those of `observed`.
    observed : xarray.DataArray
        Measured scores, one dimension.
    n_items : xarray.DataArray
        Test items of each; 0 where unknown. Scores that round to one count of these are ties.
    keys : sequence of str
        Name of each score. Its random number depends on nothing else, so it is the same for every
        model, and whatever else is scored.

    References
    ----------
    Czado, Gneiting and Held 2009, "Predictive model assessment for count data".

    Examples
    --------
    >>> draws = xr.DataArray([[[0.2], [0.4], [0.4], [0.6]]], dims=("chain", "draw", "budget"))
    >>> observed = xr.DataArray([0.4], dims="budget")
    >>> pit = randomised_pit(draws, observed, xr.full_like(observed, 5), ["quiz of run 1"])
    >>> 0.25 <= float(pit[0]) <= 0.75
    True
    """
    dims = ("chain", "draw")
    counted, scale = n_items > 0, n_items.where(n_items > 0, 1)
    ours, theirs = (
        xr.where(counted, np.round(score * scale), score) for score in (draws, observed)
    )
    share = observed.copy(data=[generator(key.encode(), _PIT_SEED).uniform() for key in keys])
    return (ours < theirs).mean(dims) + share * (ours == theirs).mean(dims)


def score_forecast(forecast: xr.Dataset, keys: Sequence[str]) -> pd.DataFrame:
    """Return a row of quantiles and scores for each held-out run of a forecast.

    Parameters
    ----------
    forecast : xarray.Dataset
        From :meth:`Fit.forecast_runs`: `score` and `observed`.
    keys : sequence of str
        Name of each score, for :func:`randomised_pit`.
    """
    draws, observed = forecast["score"], forecast["observed"]
    quantiles = draws.quantile(list(QUANTILES.values()), dim=("chain", "draw"))
    columns = {name: quantiles.sel(quantile=q).to_numpy() for name, q in QUANTILES.items()}
    return pd.DataFrame(
        {
            "run": forecast["run"].to_numpy(),
            "training": forecast["training"].to_numpy(),
            "flops": forecast["flops"].to_numpy(),
            "observed": observed.to_numpy(),
            **columns,
            "crps": crps(draws, observed).to_numpy(),
            "pit": randomised_pit(draws, observed, forecast["n_items"], keys).to_numpy(),
        }
    )


def with_errors(scores: pd.DataFrame) -> pd.DataFrame:
    """Return held-out scores with their errors, and whether they are inside the intervals.

    Columns are added: `error` (median less observed), `mre`, `mae`, and `cover50` and `cover90`: 1
    where the PIT is within the central 50% and 90%, 0 where it is not, and NaN for point fits.
    """
    error = scores["median"] - scores["observed"]
    pit = scores["pit"]
    inside = {f"cover{p}": (pit - 0.5).abs() <= p / 200 for p in (50, 90)}
    return scores.assign(
        error=error,
        mre=error.abs() / scores["observed"].where(scores["observed"] > 0),
        mae=error.abs(),
        **{name: held.astype(float).where(pit.notna()) for name, held in inside.items()},
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
        (shares of scores inside the intervals, by their PIT), `width50`, `width90`, and `n`.
        Scores that a point fit does not have are NaN. A score of 0 has no relative error.
    """
    known = with_errors(scores).assign(
        square=lambda table: table["error"] ** 2,
        width50=scores["q75"] - scores["q25"],
        width90=scores["q95"] - scores["q05"],
    )
    groups = known.groupby(by, sort=False)
    columns = ["mre", "mae", "crps", "cover50", "cover90", "width50", "width90"]
    table = groups[columns].mean()
    table["rmse"] = groups["square"].mean() ** 0.5
    table["r2"] = 1 - groups["square"].sum() / groups["observed"].agg(_sum_of_squares)
    table["elpd"] = groups["elpd"].sum(min_count=1)
    table["n"] = groups.size()
    order = ["mre", "mae", "rmse", "r2", "elpd", "crps", "cover50", "cover90", "width50", "width90"]
    return table[[*order, "n"]].reset_index()


def _sum_of_squares(observed: pd.Series) -> float:
    return float(((observed - observed.mean()) ** 2).sum())
