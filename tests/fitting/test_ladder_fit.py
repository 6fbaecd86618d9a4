"""Fits of the ladder model: what they find in simulated ladders, and their joint forecasts."""

import numpy as np
import pandas as pd
import pytest
from pooled import BENCHMARKS, fit_of_prior, grid_of_budgets, simulate

from bayes_scaling import backtest_ladder, fit_ladder
from bayes_scaling._io.netcdf import read_tree, write_tree
from bayes_scaling.errors import BayesScalingError, ConvergenceWarning, ModelError
from bayes_scaling.evaluation.backtesting import backtest
from bayes_scaling.fitting.ladder_fit import LadderFit
from bayes_scaling.inference import hierarchical
from bayes_scaling.modelling.ladder_model import LadderModel
from bayes_scaling.runs import Budgets, Runs

CUTOFF = 1e20


@pytest.fixture(scope="module")
def runs():
    return simulate(grid_of_budgets(6), through=True, rng=np.random.default_rng(3))


@pytest.fixture(scope="module")
def drawn(runs):
    return fit_of_prior(runs.below(CUTOFF))


# ---- forecasts, on draws of the prior ----------------------------------------------------------


def test_forecasts_are_labelled_by_budget_and_benchmark(drawn):
    forecast = drawn.forecast(flops=[1e21, 1e22], tokens_per_param=20)
    assert forecast["score"].dims == ("chain", "draw", "budget", "benchmark")
    assert forecast["loss"].dims == ("chain", "draw", "budget")
    assert set(forecast["benchmark"].to_numpy()) == set(BENCHMARKS)
    assert forecast["score"].sel(flops=1e22, benchmark="piqa").dims == ("chain", "draw")
    inside = (forecast["score"] >= 0) & (forecast["score"] <= 1)
    assert bool(inside.all())
    table = drawn.forecast_table(forecast)
    assert table["benchmark"].tolist() == [*forecast["benchmark"].to_numpy(), "average"] * 2
    assert (table["q05"] <= table["median"]).all()
    assert (table["median"] <= table["q95"]).all()
    average = forecast["score"].mean("benchmark").isel(budget=1).quantile(0.95)
    assert table["q95"].iloc[-1] == pytest.approx(float(average))


def test_a_lucky_run_is_lucky_on_every_benchmark(drawn):
    """Round its curve, each score correlates with the others, by loss and by common scatter."""
    forecast = drawn.forecast(params=1e9, tokens=2e10)
    away = (forecast["score"] - forecast["curve"]).isel(budget=0)
    flat = away.transpose("benchmark", ...).to_numpy().reshape(3, -1)
    assert (np.corrcoef(flat)[np.triu_indices(3, 1)] > 0.1).all()


def test_forecasts_need_params_where_ratios_vary_and_the_fitted_test_set(drawn):
    with pytest.raises(ModelError, match="tokens_per_param"):
        drawn.forecast(flops=1e22)
    with pytest.raises(ModelError, match="fitted test sets"):
        drawn.forecast(Budgets.of(flops=1e22, tokens_per_param=20, n_items=100))


def test_held_out_runs_are_forecast_with_what_was_measured(drawn, runs):
    ahead = Runs.from_frame(runs.above(CUTOFF).table.iloc[1:])
    forecast = drawn.forecast_runs(ahead)
    assert int(np.isnan(forecast["observed"]).sum()) == 1
    row = ahead.table.iloc[3]
    place = forecast["run"].to_numpy().tolist().index(row["run"])
    assert float(forecast["observed"][place].sel(benchmark=row["benchmark"])) == row["score"]
    one = ahead.table.drop_duplicates("run")
    unknown = Runs.from_frame(one.assign(benchmark="unheard of"))
    with pytest.raises(ModelError, match="unheard of"):
        drawn.forecast_runs(unknown)


def test_the_same_seed_gives_the_same_scores(drawn):
    one, two = (drawn.forecast(params=1e9, tokens=2e10)["score"] for _ in range(2))
    other = drawn.forecast(params=1e9, tokens=2e10, seed=9)["score"]
    assert one.equals(two)
    assert not one.equals(other)


def test_a_saved_fit_forecasts_the_same(drawn, tmp_path):
    path = drawn.save(tmp_path / "ladder.nc")
    loaded = LadderFit.load(path)
    ours, theirs = (f.forecast(params=1e9, tokens=2e10)["score"] for f in (drawn, loaded))
    np.testing.assert_array_equal(ours, theirs)
    assert loaded.bound.model == drawn.bound.model
    (tmp_path / "no.nc").write_text("nothing")
    with pytest.raises(BayesScalingError, match="not a saved ladder fit"):
        LadderFit.load(tmp_path / "no.nc")


def test_a_fit_of_an_older_version_is_refused(drawn, tmp_path):
    path = drawn.save(tmp_path / "ladder.nc")
    old = read_tree(path)
    del old.attrs["format"]
    write_tree(tmp_path / "old.nc", old)
    with pytest.raises(BayesScalingError, match=r"saved by version .* fit it again"):
        LadderFit.load(tmp_path / "old.nc")


def test_draws_of_the_prior_say_that_nothing_is_learned_of_the_route(drawn):
    routes = drawn.routes().set_index("benchmark")
    assert routes["learned"].abs().max() < 0.15
    assert routes.index[-1] == "mean"


def test_without_a_loss_there_is_no_route(runs):
    direct = fit_of_prior(runs.below(CUTOFF), LadderModel(loss=None), draws=50)
    with pytest.raises(ModelError, match="no loss"):
        direct.routes()
    assert "loss" not in direct.forecast(params=1e9, tokens=2e10)
    assert "without a loss" in repr(direct)


def test_a_fit_that_has_not_converged_says_so(drawn):
    apart = drawn.posterior.copy(deep=True)
    apart["run_share"][0] += 1
    from dataclasses import replace

    bad = replace(drawn, posterior=apart)
    assert "NOT CONVERGED" in repr(bad)
    with pytest.warns(ConvergenceWarning, match="R-hat"):
        bad.forecast(params=1e9, tokens=2e10)


# ---- real sampling -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fits(runs):
    direct = simulate(grid_of_budgets(6), through=False, rng=np.random.default_rng(4))
    # Shares and forecasts need no more draws, and no second attempt because of a divergence.
    settings = {"draws": 500, "tune": 700}
    ladders = {"through": runs, "direct": direct}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hierarchical, "_ORDER", hierarchical._ORDER[:1])
        return {name: fit_ladder(one.below(CUTOFF), **settings) for name, one in ladders.items()}


@pytest.mark.slow
def test_the_share_through_the_loss_is_found(fits):
    """The losses of simulated runs depend on tokens alone, so the two routes differ plainly."""
    means = {name: fit.routes().set_index("benchmark").loc["mean"] for name, fit in fits.items()}
    assert all(fit.diagnostics.max_rhat < 1.05 for fit in fits.values())
    assert means["through"]["q05"] > 0.7
    assert means["direct"]["q95"] < 0.3
    assert min(mean["learned"] for mean in means.values()) > 0.8


@pytest.mark.slow
def test_larger_runs_are_forecast_within_the_intervals(fits, runs):
    forecast = fits["through"].forecast_runs(runs.above(CUTOFF))
    low, high = (forecast["score"].quantile(q, ("chain", "draw")) for q in (0.01, 0.99))
    inside = (forecast["observed"] >= low) & (forecast["observed"] <= high)
    assert float(inside.mean()) > 0.9
    error = abs(forecast["score"].median(("chain", "draw")) - forecast["observed"])
    assert float(error.mean()) < 0.02
    # Scores on three benchmarks are right together: the joint density beats independent noise.
    assert float(forecast["log_density"].mean()) > np.log(10)


@pytest.mark.slow
def test_the_backtest_of_a_ladder_has_the_rows_of_a_backtest(runs):
    pooled = backtest_ladder(runs, [CUTOFF], draws=300, tune=500)
    alone = backtest({"power_law": "power_law"}, runs, [CUTOFF], baselines=False, draws=300)
    both = alone.joined(pooled)
    key = ["benchmark", "run", "cutoff"]
    ours, theirs = (part.scores.set_index(key).sort_index() for part in (pooled, alone))
    assert ours.index.equals(theirs.index)
    pd.testing.assert_series_equal(ours["observed"], theirs["observed"])
    pd.testing.assert_series_equal(ours["distance"], theirs["distance"])
    table = both.by_model().set_index("model")
    assert set(table.index) == {"ladder", "power_law"}
    # The accuracies depend on the loss, and at one cost losses differ.
    assert table.loc["ladder", "crps"] < table.loc["power_law", "crps"]
    with pytest.raises(BayesScalingError, match="no run is above"):
        backtest_ladder(runs, [1e30])
