"""Scores of forecasts, against closed forms and brute force."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

from bayes_scaling.evaluation.scoring import aggregate, crps, randomised_pit, with_errors
from bayes_scaling.evaluation.stacked import mix


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


# ---- PIT -----------------------------------------------------------------------------------------


def names(n):
    return [f"score {i}" for i in range(n)]


def forecast(draws, observed, n_items=0):
    """Return one forecast a score, from draws of shape (draw,) or (draw, score)."""
    draws, observed = np.asarray(draws, float), np.atleast_1d(np.asarray(observed, float))
    shaped = np.broadcast_to(draws.reshape(1, len(draws), -1), (1, len(draws), len(observed)))
    measured = xr.DataArray(observed, dims="budget")
    items = xr.full_like(measured, n_items)
    return xr.DataArray(shaped, dims=("chain", "draw", "budget")), measured, items


def test_pit_without_ties_is_the_predictive_probability(normal_draws):
    observed = xr.DataArray([0.5, 0.65, 0.2], dims="budget")
    pit = randomised_pit(normal_draws, observed, xr.zeros_like(observed), names(3))
    np.testing.assert_allclose(pit, scipy.stats.norm.cdf(observed, 0.5, 0.1), atol=5e-3)
    other = randomised_pit(normal_draws, observed, xr.zeros_like(observed), names(4)[1:])
    np.testing.assert_array_equal(pit, other)  # nothing is random where nothing is tied


def test_pit_of_ties_is_between_that_of_lower_and_that_of_no_higher_counts():
    draws, observed, items = forecast(np.repeat([0.2, 0.4, 0.6], [1, 2, 1]), np.full(4000, 0.4), 5)
    pit = randomised_pit(draws, observed, items, names(4000)).to_numpy()
    assert scipy.stats.kstest(pit, "uniform", args=(0.25, 0.5)).pvalue > 0.01
    assert abs(np.corrcoef(pit[1:], pit[:-1])[0, 1]) < 0.06  # names that are alike; four sd


def test_scores_that_are_written_in_few_digits_tie_with_their_count():
    draws, observed, items = forecast(np.full(10, 979 / 2376), np.full(200, 0.412), 2376)
    pit = randomised_pit(draws, observed, items, names(200))
    assert 0.4 < float(pit.mean()) < 0.6
    assert float(pit.min()) < 0.1
    assert (
        randomised_pit(draws, observed, items * 0, names(200)) == 1 - (979 / 2376 > 0.412)
    ).all()


def test_the_random_number_is_of_the_score_and_not_of_its_place():
    draws, observed, items = forecast(np.full(10, 0.5), np.full(6, 0.5), 10)
    pit = randomised_pit(draws, observed, items, names(6)).to_numpy()
    order = [4, 0, 5, 2, 1, 3]
    again = randomised_pit(draws, observed, items, [names(6)[i] for i in order]).to_numpy()
    np.testing.assert_array_equal(again, pit[order])
    assert len(set(pit)) == 6


@pytest.mark.parametrize("n_items", [10, 50])
def test_intervals_of_counts_hold_as_often_as_they_say(n_items):
    """Counts whose chance of success is drawn anew, forecast by the distribution they have."""
    rng, n, n_draws = np.random.default_rng(1), 4000, 1000

    def counts(shape):
        return rng.binomial(n_items, rng.beta(80, 40, shape)) / n_items

    draws, observed, items = forecast(counts((n_draws, n)), counts(n), n_items)
    pit = randomised_pit(draws, observed, items, names(n)).to_numpy()
    assert scipy.stats.kstest(pit, "uniform").pvalue > 0.01
    low, q25, q75, high = np.quantile(draws[0], [0.05, 0.25, 0.75, 0.95], axis=0)
    blank = np.full(n, np.nan)
    table = with_errors(pd.DataFrame({"observed": observed, "median": blank, "pit": pit}))
    for ends, name, nominal in (((q25, q75), "cover50", 0.5), ((low, high), "cover90", 0.9)):
        error = np.sqrt(nominal * (1 - nominal) / n)
        assert table[name].mean() == pytest.approx(nominal, abs=3 * error)
        closed = ((ends[0] <= observed) & (observed <= ends[1])).mean()
        assert float(closed) > nominal + 4 * error  # closed intervals hold too often


# ---- means ---------------------------------------------------------------------------------------


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
            "pit": [0.2, 0.97, np.nan, np.nan],
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
