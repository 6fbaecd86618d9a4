"""Comparison of fits: fair, exact where importance sampling is not, and refused where unfair."""

import warnings
from dataclasses import replace

import arviz as az
import numpy as np
import pytest
from ladders import as_runs, budgets, centred, count_correct, curve
from scipy.special import logsumexp

from bayes_scaling import Runs, fit_runs
from bayes_scaling.errors import ExtrapolationWarning, ModelError
from bayes_scaling.evaluation.comparison import _Refitter, compare, loo
from bayes_scaling.evaluation.stacked import mix
from bayes_scaling.fitting.densities import predictive_density

pytestmark = pytest.mark.slow

N_ITEMS = 4000


def bad(result):
    return (result.pareto_k > result.good_k).to_numpy()


def exact_elpd(fit, row, **settings):
    """Return the log density of a run's score under a real fit to all other runs."""
    others = Runs.from_frame(fit.runs.table.drop(index=row))
    density = predictive_density(
        fit_runs(others, fit.model, **settings), fit.observations.isel(row=[row])
    )
    return float(logsumexp(density) - np.log(density.size))


# ---- ArviZ's numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["stacking", "bb-pseudo-bma", "pseudo-bma"])
def test_direct_fits_compare_as_in_arviz(power_law_fit, ceiling_fit, method):
    fits = {"plain": power_law_fit, "ceiling": ceiling_fit}
    ours = compare(fits, method=method, refit=False).table
    theirs = az.compare(
        {name: fit.to_arviz() for name, fit in fits.items()}, method=method, round_to="none"
    )
    assert list(ours.index) == list(theirs.index)
    for column in ("elpd", "se", "p", "elpd_diff", "dse", "weight"):
        np.testing.assert_allclose(
            ours[column].astype(float), theirs[column].astype(float), rtol=1e-9, atol=1e-12
        )


def test_runs_whose_rows_are_dependent_are_left_out_whole(pass_at_k_fit):
    result = loo(pass_at_k_fit, refit=False)
    assert result.n_data_points == pass_at_k_fit.runs.table["run"].nunique()
    assert result.elpd_i.dims == ("run",)


# ---- exact refits --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def every_other(arc_easy):
    return Runs.from_frame(arc_easy.table.iloc[::2])


# Few draws a refit are too few for quantiles of parameters, not for a mean density.
@pytest.mark.filterwarnings("ignore::bayes_scaling.errors.ConvergenceWarning")
@pytest.mark.parametrize("law", ["two_stage_logistic", "power_law"])
def test_loo_is_that_of_exact_refits(every_other, law):
    """All runs in turn; benchmarks/exact_loo.py does so for all runs of three benchmarks."""
    fit = fit_runs(every_other, law)
    result = loo(fit)
    exact = [exact_elpd(fit, row, draws=250, tune=500) for row in range(len(every_other))]
    assert result.elpd == pytest.approx(sum(exact), abs=1)
    np.testing.assert_allclose(result.elpd_i, exact, atol=0.25)


@pytest.fixture(scope="module")
def with_a_stray_run(every_other):
    """Return runs of which the largest scores 7 points below the rest's course."""
    table = every_other.table
    place = table["flops"].idxmax()
    table.loc[place, "score"] -= 0.07
    return Runs.from_frame(table), int(place)


def test_runs_that_importance_sampling_cannot_leave_out_are_refitted(with_a_stray_run):
    runs, place = with_a_stray_run
    fit = fit_runs(runs, "power_law")
    plain, mended = loo(fit, refit=False), loo(fit)
    assert bad(plain)[place]
    np.testing.assert_array_equal(mended.pareto_k, plain.pareto_k)
    changed = ~np.isclose(mended.elpd_i, plain.elpd_i, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(changed, bad(plain))
    # Another seed gives the same up to Monte Carlo error; importance sampling is a nat off.
    exact = exact_elpd(fit, place, seed=1)
    assert float(mended.elpd_i[place]) == pytest.approx(exact, abs=0.5)
    assert float(plain.elpd_i[place]) > exact + 0.5
    assert mended.elpd == pytest.approx(float(mended.elpd_i.sum()))


@pytest.mark.parametrize("likelihood", ["normal_by_run", "normal"])
def test_what_is_left_out_is_what_was_taken_as_independent(pass_at_k_fit, likelihood):
    """A run with all its k where they share their luck, else one score."""
    model = pass_at_k_fit.model.with_options(likelihood=likelihood)
    fit = replace(pass_at_k_fit, bound=model.on(pass_at_k_fit.runs))
    kept, out = _Refitter(fit, fit.posterior).sel_observations(5)
    one_run = fit.observations["run"].isin(out["run"]).sum()
    assert out.sizes["row"] == (one_run if likelihood == "normal_by_run" else 1)
    assert len(kept) == len(fit.runs) - out.sizes["row"]
    seen = zip(out["run"].to_numpy(), out["k"].to_numpy(), strict=True)
    assert not set(seen) & set(zip(kept.table["run"], kept.table["k"], strict=True))


def test_table_counts_the_refits(with_a_stray_run):
    runs, _ = with_a_stray_run
    fits = {law: fit_runs(runs, law) for law in ("power_law", "two_stage_logistic")}
    comparison = compare(fits)
    for name, result in comparison.elpd.items():
        assert comparison.table["bad_k"][name] == bad(result).sum()
    assert comparison.table["bad_k"]["power_law"] > 0


# ---- truths that are known -----------------------------------------------------------------------


def losses(table, scatter, rng):
    return np.exp(np.log(2.6) - 0.05 * centred(table) + scatter * rng.standard_normal(len(table)))


def through_the_loss(n_runs=40):
    """Return runs whose accuracy is a steep sigmoid of a loss that scatters."""
    rng, table = np.random.default_rng(1), budgets(n_runs)
    loss = losses(table, 0.015, rng)
    accuracy = 0.25 + 0.5 / (1 + np.exp(8 * (loss - 2.6)))
    counts = count_correct(accuracy, N_ITEMS, 0.003, rng)
    return as_runs(table, n_correct=counts, n_items=N_ITEMS, loss_dclm=loss)


def past_the_loss(n_runs=40):
    """Return runs whose accuracy follows compute; their loss scatters for no good."""
    rng, table = np.random.default_rng(2), budgets(n_runs)
    accuracy = curve(0.7 * np.exp(-0.2 * centred(table)), 0.25)
    counts = count_correct(accuracy, N_ITEMS, 0.003, rng)
    return as_runs(table, n_correct=counts, n_items=N_ITEMS, loss_dclm=losses(table, 0.03, rng))


@pytest.mark.parametrize(
    ("runs", "truth"),
    [(through_the_loss, "two_stage_logistic"), (past_the_loss, "power_law")],
)
def test_the_truth_is_preferred(runs, truth):
    fits = {law: fit_runs(runs(), law) for law in ("power_law", "two_stage_logistic")}
    table = compare(fits, refit=False).table
    assert table.index[0] == truth
    assert table["weight"][truth] > 0.8
    assert abs(table["elpd_diff"].iloc[1]) > 2 * table["dse"].iloc[1]


# ---- the mixture between the runs ----------------------------------------------------------------


@pytest.fixture(scope="module")
def comparison(power_law_fit, ceiling_fit):
    return compare({"plain": power_law_fit, "ceiling": ceiling_fit}, refit=False)


def test_mixture_between_the_runs_is_a_forecast(comparison, power_law_fit):
    fitted = power_law_fit.runs.table["flops"]
    within = [fitted.min(), 1e20, fitted.max()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stacked = comparison.interpolate(flops=within)
    one = power_law_fit.forecast(flops=within)
    assert set(stacked.data_vars) == set(one.data_vars)
    assert stacked.sizes == one.sizes
    np.testing.assert_array_equal(stacked["flops"], one["flops"])
    assert sum(comparison.weights.values()) == pytest.approx(1)
    assert min(comparison.weights.values()) >= 0


@pytest.mark.parametrize("asked", [[1e20, 1e22], 1e15])
def test_weights_of_left_out_runs_are_not_for_extrapolation(comparison, asked):
    with pytest.warns(ExtrapolationWarning, match="flops is not within .* to 5.62e") as caught:
        comparison.interpolate(flops=asked)
    assert "measure interpolation" in str(caught[0].message)
    assert "backtest(...).weights" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert not hasattr(comparison, "forecast")


def test_every_input_that_a_law_reads_has_a_range(params_tokens_fit, all_ratios):
    """A budget of usual compute can still have more parameters than any fitted run."""
    table = all_ratios.table
    fits = {"a": params_tokens_fit, "b": replace(params_tokens_fit, seed=1)}
    both = compare(fits, refit=False)
    large = 2 * table["params"].max()
    with pytest.warns(ExtrapolationWarning, match=r"\(params is not within") as caught:
        both.interpolate(params=large, tokens=table["flops"].median() / (6 * large))
    assert "flops is" not in str(caught[0].message)


def test_mixture_draws_from_each_by_its_weight(power_law_fit, ceiling_fit):
    forecasts = {
        name: fit.forecast(flops=[1e22, 1e25])
        for name, fit in {"plain": power_law_fit, "ceiling": ceiling_fit}.items()
    }
    mixed = mix(forecasts, {"plain": 3.0, "ceiling": 1.0})
    # By the curves, since two scores of whole items may be the same by chance.
    of = {n: (mixed["curve"] == f["curve"]).all("budget") for n, f in forecasts.items()}
    assert float(of["plain"].mean()) == pytest.approx(0.75, abs=0.03)
    assert (of["plain"] != of["ceiling"]).all()  # a draw is of one model at all budgets
    for name, forecast in forecasts.items():  # curve and score of a draw are of one model
        same = (mixed["score"] == forecast["score"]).all("budget")
        assert same.where(of[name], True).all()


def test_all_weight_on_one_is_its_forecast(power_law_fit, ceiling_fit):
    forecasts = {"a": power_law_fit.forecast(flops=1e22), "b": ceiling_fit.forecast(flops=1e22)}
    np.testing.assert_array_equal(
        mix(forecasts, {"a": 0.0, "b": 1.0})["score"], forecasts["b"]["score"]
    )


# ---- refusals ------------------------------------------------------------------------------------


def relabelled(fit, **columns):
    changed = Runs.from_frame(fit.runs.to_frame().assign(**columns))
    return replace(fit, bound=fit.model.on(changed))


def test_one_fit_is_no_comparison(power_law_fit):
    with pytest.raises(ModelError, match="compare needs at least two fits"):
        compare({"plain": power_law_fit})


@pytest.mark.parametrize(
    ("column", "value", "was"),
    [
        ("benchmark", "sciq", "arc_easy"),
        ("metric", "acc_norm", "acc"),
        ("mixture", "c4", "dclm"),
    ],
)
def test_fits_of_other_series(power_law_fit, ceiling_fit, column, value, was):
    other = relabelled(ceiling_fit, **{column: value})
    with pytest.raises(ModelError, match=rf"a and b differ in {column} \({was}, {value}\)"):
        compare({"a": power_law_fit, "b": other})


def test_fits_of_other_runs(power_law_fit, ceiling_fit):
    fewer = replace(ceiling_fit, bound=ceiling_fit.model.on(ceiling_fit.runs.below(1e21)))
    with pytest.raises(ModelError, match=r"fitted to different runs \(46 and \d+ scores\)"):
        compare({"a": power_law_fit, "b": fewer})
    scores = ceiling_fit.runs.table["score"] * 0.99
    with pytest.raises(ModelError, match=r"fitted to different runs \(46 and 46 scores\)"):
        compare({"a": power_law_fit, "b": relabelled(ceiling_fit, score=scores)})


def test_fits_of_which_one_leaves_out_runs_near_chance(power_law_fit, series):
    near_chance = series("arc_challenge", "acc_norm")
    free = replace(power_law_fit, bound=power_law_fit.model.on(near_chance))
    filtered = replace(free, bound=free.model.with_options(floor="filter").on(free.runs))
    with pytest.raises(ModelError, match="same treatment of scores near chance"):
        compare({"free": free, "filtered": filtered})


def test_fits_of_counts_and_of_shares(power_law_fit, ceiling_fit):
    counts = replace(
        ceiling_fit,
        bound=ceiling_fit.model.with_options(likelihood="beta_binomial").on(ceiling_fit.runs),
    )
    with pytest.raises(ModelError, match=r"\(normal\) .* \(beta_binomial\) .* different outcomes"):
        compare({"shares": power_law_fit, "counts": counts})
