"""Scores of forecasts, against closed forms and brute force."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

from bayes_scaling.evaluation.comparison import mix
from bayes_scaling.evaluation.scoring import aggregate, crps, probability_below


@pytest.fixture
def normal_draws():
    draws = np.random.default_rng(1).normal(0.5, 0.1, size=(4, 20_000, 3))
    return xr.DataArray(draws, dims=("chain", "draw", "budget"))


def test_crps_of_a_normal_forecast_is_the_closed_form(normal_draws):
    observed = xr.DataArray([0.5, 0.65, 0.2], dims="budget")
    z = (observed.to_numpy() - 0.5) / 0.1
    pdf, cdf = scipy.stats.norm.pdf(z), scipy.stats.norm.cdf(z)
    expected = 0.1 * (z * (2 * cdf - 1) + 2 * pdf - 1 / np.sqrt(np.pi))
    np.testing.assert_allclose(crps(normal_draws, observed), expected, atol=1e-3)


def test_crps_of_a_sure_forecast_is_its_absolute_error():
    draws = xr.DataArray(np.full((2, 50, 1), 0.4), dims=("chain", "draw", "budget"))
    observed = xr.DataArray([0.7], dims="budget")
    assert float(crps(draws, observed)[0]) == pytest.approx(0.3)


def test_pit_is_the_predictive_probability_and_splits_ties(normal_draws):
    observed = xr.DataArray([0.5, 0.65, 0.2], dims="budget")
    expected = scipy.stats.norm.cdf(observed, 0.5, 0.1)
    np.testing.assert_allclose(probability_below(normal_draws, observed), expected, atol=5e-3)
    tied = xr.DataArray(np.full((2, 10, 1), 0.4), dims=("chain", "draw", "budget"))
    assert float(probability_below(tied, xr.DataArray([0.4], dims="budget"))[0]) == 0.5


def _scores():
    return pd.DataFrame(
        {
            "model": ["m", "m", "p", "p"],
            "observed": [0.5, 0.0, 0.5, 0.0],
            "median": [0.6, 0.1, 0.4, 0.2],
            "q05": [0.4, 0.05, np.nan, np.nan],
            "q25": [0.55, 0.08, np.nan, np.nan],
            "q75": [0.65, 0.12, np.nan, np.nan],
            "q95": [0.8, 0.2, np.nan, np.nan],
            "elpd": [-1.0, -2.0, np.nan, np.nan],
            "crps": [0.1, 0.2, 0.1, 0.2],
        }
    )


def test_aggregate_counts_by_hand():
    table = aggregate(_scores(), ["model"]).set_index("model")
    assert table.loc["m", "mae"] == pytest.approx(0.1)
    assert table.loc["m", "mre"] == pytest.approx(0.2)  # a score of 0 has no relative error
    assert table.loc["m", "rmse"] == pytest.approx(0.1)
    assert table.loc["m", "elpd"] == pytest.approx(-3.0)
    assert table.loc["m", "cover90"] == pytest.approx(0.5)
    assert table.loc["m", "cover50"] == 0.0
    assert table.loc["m", "r2"] == pytest.approx(1 - 0.02 / 0.125)


def test_a_point_fit_has_no_coverage_and_no_elpd():
    table = aggregate(_scores(), ["model"]).set_index("model")
    assert table.loc["p", ["elpd", "cover50", "cover90", "width90"]].isna().all()
    assert table.loc["p", "mae"] == pytest.approx(0.15)


def test_a_mixture_draws_from_each_forecast_as_often_as_its_weight():
    def forecast(value):
        values = (("chain", "draw", "budget"), np.full((4, 5000, 1), value))
        return xr.Dataset({"curve": values, "score": values})

    mixed = mix({"a": forecast(0.0), "b": forecast(1.0)}, {"a": 0.25, "b": 0.75})
    assert float(mixed["score"].mean()) == pytest.approx(0.75, abs=0.01)
    assert mixed["score"].equals(mixed["curve"])  # one draw comes whole from one model
