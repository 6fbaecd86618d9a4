"""Forecasts: bands that mean what they say, whatever else is asked, and every refusal."""

import numpy as np
import pytest

from bayes_scaling import summarise
from bayes_scaling.errors import ModelError
from bayes_scaling.runs import Budgets

DIMS = ("chain", "draw")


def width(forecast, variable):
    low, high = forecast[variable].quantile([0.05, 0.95], DIMS)
    return (high - low).to_numpy()


# ---- budgets -------------------------------------------------------------------------------------


def test_flops_are_six_times_params_times_tokens():
    future = Budgets.of(params=[1e9, 7e9], tokens=[2e10, 1.4e11]).inputs
    np.testing.assert_allclose(future["flops"], [6 * 1e9 * 2e10, 6 * 7e9 * 1.4e11])


def test_params_and_tokens_follow_from_flops_and_their_ratio():
    future = Budgets.of(flops=[1e20, 1e22], tokens_per_param=40).inputs
    np.testing.assert_allclose(6 * future["params"] * future["tokens"], [1e20, 1e22])
    np.testing.assert_allclose(future["tokens"] / future["params"], 40)


def test_scalars_are_repeated():
    future = Budgets.of(flops=1e22, k=[1, 2, 4]).inputs
    assert future["flops"].to_numpy().tolist() == [1e22] * 3
    assert future["k"].to_numpy().tolist() == [1, 2, 4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs budgets: give flops"),
        ({"k": 4}, "needs budgets: give flops"),
        ({"flops": [1e22, 1e23, 1e24], "k": [1, 2]}, r"lengths differ \(flops 3, k 2\)"),
        ({"flops": -1e22}, "flops must be positive and finite"),
        ({"flops": [1e22, 0.0]}, "flops must be positive and finite"),
        ({"flops": np.inf}, "flops must be positive and finite"),
        ({"params": 1e9, "tokens": np.nan}, "tokens must be positive and finite"),
        ({"flops": 1e22, "k": 0}, "k must be positive and finite"),
        ({"flops": []}, "budget"),
    ],
)
def test_budgets_that_are_none(arguments, message):
    with pytest.raises(ModelError, match=message):
        Budgets.of(**arguments)


# ---- bands ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_shape_and_labels(power_law_fit):
    forecast = power_law_fit.forecast(flops=[1e22, 1e23, 1e24])
    for variable in ("curve", "score"):
        assert forecast[variable].dims == (*DIMS, "budget")
        assert forecast[variable].shape == (4, 1000, 3)
        assert forecast[variable].attrs["description"]
    assert forecast["flops"].to_numpy().tolist() == [1e22, 1e23, 1e24]
    assert forecast["n_items"].to_numpy().tolist() == [2376] * 3  # as in the fitted runs


@pytest.mark.slow
def test_the_curve_is_the_law_at_the_budget(power_law_fit):
    p, chance = power_law_fit.posterior, 0.25
    expected = chance + (1 - chance) * np.exp(-p["A"] * 1e23 ** -p["alpha"])
    found = power_law_fit.forecast(flops=1e23)["curve"].isel(budget=0)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.slow
def test_the_curve_of_params_and_tokens_is_the_law_at_them(params_tokens_fit):
    p, N, D = params_tokens_fit.posterior, 3e9, 9e11
    loss = p["A"] * N ** -p["alpha"] + p["B"] * D ** -p["beta"]
    expected = 0.25 + 0.75 * np.exp(-loss)
    found = params_tokens_fit.forecast(params=N, tokens=D)["curve"].isel(budget=0)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.slow
def test_the_band_of_the_score_is_wider_than_that_of_the_curve(power_law_fit):
    forecast = power_law_fit.forecast(flops=np.geomspace(1e18, 1e26, 9))
    assert (width(forecast, "score") > width(forecast, "curve")).all()


@pytest.mark.slow
def test_the_curve_is_less_certain_farther_out(power_law_fit):
    forecast = power_law_fit.forecast(flops=[1e21, 1e22, 1e23])
    assert (np.diff(width(forecast, "curve")) > 0).all()


@pytest.mark.slow
def test_a_new_test_set_adds_all_of_its_own_noise_and_the_luck_of_the_fitted_one(power_law_fit):
    p, fitted, C = power_law_fit.posterior, 2376, 1e22
    spreads = []
    for n in (50, 500, 5000, 10**7, 0):
        forecast = power_law_fit.forecast(flops=C, n_items=n).isel(budget=0)
        assert forecast.attrs["test_set"] == "new"
        spreads.append(float((forecast["score"] - forecast["curve"]).var(ddof=1)))
        own = 1 / n if n else 0
        mean, luck = forecast["curve"], (1 - p["binomial_share"]) / fitted
        variance = mean * (1 - mean) * (own + luck + 4 * p["scatter"] ** 2)
        assert spreads[-1] == pytest.approx(float(variance.mean()), rel=0.12)
    assert spreads[0] > 3 * spreads[1] > 3 * spreads[2]
    assert spreads[3] == pytest.approx(spreads[4], rel=0.1)


@pytest.mark.slow
def test_on_the_same_test_set_runs_show_a_share_of_the_noise(power_law_fit):
    p, fitted = power_law_fit.posterior, 2376
    forecast = power_law_fit.forecast(flops=1e22).isel(budget=0)
    assert forecast.attrs["test_set"] == "same"
    mean = forecast["curve"]
    variance = mean * (1 - mean) * (p["binomial_share"] / fitted + 4 * p["scatter"] ** 2)
    found = float((forecast["score"] - mean).var(ddof=1))
    assert found == pytest.approx(float(variance.mean()), rel=0.12)
    new = power_law_fit.forecast(flops=1e22, n_items=fitted)["score"]
    assert float(new.var()) > float(forecast["score"].var())


@pytest.mark.slow
def test_samples_of_one_future_run_are_lucky_together(pass_at_k_fit):
    forecast = pass_at_k_fit.forecast(flops=[1e22, 1e22, 2e22], k=[1, 8, 8])
    noise = (forecast["score"] - forecast["curve"]).transpose("budget", *DIMS).to_numpy()
    found = np.corrcoef(noise.reshape(3, -1))
    share = float(pass_at_k_fit.posterior["run_share"].mean())
    assert found[0, 1] == pytest.approx(share, abs=0.1)
    assert abs(found[1, 2]) < 0.1


@pytest.mark.slow
def test_each_budget_may_have_its_own_item_count(power_law_fit):
    forecast = power_law_fit.forecast(flops=[1e22, 1.1e22], n_items=[20, 20_000])
    assert forecast["n_items"].values.tolist() == [20, 20_000]
    spread = forecast["score"].std(DIMS).to_numpy()
    assert spread[0] > 3 * spread[1]


@pytest.mark.slow
def test_more_samples_solve_more_problems(pass_at_k_fit):
    forecast = pass_at_k_fit.forecast(flops=1e22, k=[1, 8, 64])
    assert (np.diff(forecast["curve"].median(DIMS)) > 0).all()
    p, C, k = pass_at_k_fit.posterior, 1e22, 8.0
    slope = p["beta"] * np.log(k) + p["delta"] * np.log(C) * np.log(k)
    loss = np.exp(p["log_A"] + p["alpha"] * np.log(C) + slope)
    expected = p["floor"] + (1 - p["floor"]) * np.exp(-loss)
    np.testing.assert_allclose(forecast["curve"].isel(budget=1), expected, rtol=1e-8)


# ---- reproducible --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("others", [[2e22], [1e17, 3e22, 9e25], []])
def test_a_budgets_draws_do_not_depend_on_the_others(power_law_fit, others):
    alone = power_law_fit.forecast(flops=1e23).isel(budget=0)
    among = power_law_fit.forecast(flops=[*others, 1e23]).isel(budget=len(others))
    for variable in ("curve", "score"):
        np.testing.assert_array_equal(alone[variable], among[variable])


@pytest.mark.slow
def test_the_seed_moves_the_scores_and_not_the_curve(power_law_fit):
    one, same, other = (power_law_fit.forecast(flops=1e22, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one["score"], same["score"])
    assert not np.array_equal(one["score"], other["score"])
    np.testing.assert_array_equal(one["curve"], other["curve"])


@pytest.mark.slow
def test_noise_of_different_budgets_is_independent(power_law_fit):
    forecast = power_law_fit.forecast(flops=[1e22, 1.0001e22])
    noise = (forecast["score"] - forecast["curve"]).transpose("budget", *DIMS).to_numpy()
    correlation = np.corrcoef(noise.reshape(2, -1))[0, 1]
    assert abs(correlation) < 5 / np.sqrt(noise[0].size)


# ---- runs that were held out ---------------------------------------------------------------------


@pytest.mark.slow
def test_forecast_of_runs_carries_what_was_observed(power_law_fit, held_out):
    forecast = power_law_fit.forecast_runs(held_out)
    table = held_out.table
    assert forecast["run"].to_numpy().tolist() == table["run"].tolist()
    np.testing.assert_array_equal(forecast["observed"], table["score"])
    np.testing.assert_array_equal(forecast["flops"], table["flops"])
    np.testing.assert_array_equal(forecast["n_items"], table["n_items"])


@pytest.mark.slow
def test_forecast_of_runs_hands_the_law_its_inputs(params_tokens_fit, all_ratios):
    some = all_ratios.above(1e21)
    table = some.table
    by_runs = params_tokens_fit.forecast_runs(some)
    by_hand = params_tokens_fit.forecast(params=table["params"], tokens=table["tokens"])
    np.testing.assert_allclose(by_runs["curve"], by_hand["curve"], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["score", "curve"])
def test_summary_is_quantiles(power_law_fit, variable):
    forecast = power_law_fit.forecast(flops=[1e22, 1e23])
    table = summarise(forecast, variable)
    draws = forecast[variable].isel(budget=1).to_numpy().ravel()
    expected = np.quantile(draws, [0.5, 0.05, 0.25, 0.75, 0.95])
    assert list(table.columns) == ["flops", "median", "q05", "q25", "q75", "q95"]
    np.testing.assert_allclose(table.iloc[1, 1:].to_numpy(float), expected)


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fixture", "arguments", "message"),
    [
        ("power_law_fit", {"params": 1e9}, "power_law needs flops to forecast"),
        ("params_tokens_fit", {"flops": 1e22}, "needs params and tokens .* tokens_per_param"),
        ("pass_at_k_fit", {"flops": 1e22}, "pass_at_k needs k to forecast"),
        ("power_law_fit", {"flops": 1e22, "n_items": -1}, "n_items must be 0 or more"),
        ("power_law_fit", {"flops": 1e22, "n_items": np.nan}, "n_items must be 0 or more"),
        ("power_law_fit", {"flops": [1e22, 1e23, 1e24], "n_items": [5, 5]}, "n_items"),
        ("power_law_fit", {"flops": -1.0}, "must be positive"),
        ("power_law_fit", {}, "needs budgets"),
    ],
)
def test_a_forecast_without_its_inputs(request, fixture, arguments, message):
    with pytest.raises(ModelError, match=message):
        request.getfixturevalue(fixture).forecast(**arguments)
