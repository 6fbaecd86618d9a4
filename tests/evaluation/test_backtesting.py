"""Rolling origin on simulated and real ladders."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import arviz as az
import numpy as np
import pandas as pd
import pytest
from ladders import as_runs, budgets, centred, count_correct, curve

from bayes_scaling.errors import BayesScalingError
from bayes_scaling.evaluation.backtesting import STACKED, backtest
from bayes_scaling.fitting import fit as fitting
from bayes_scaling.fitting.densities import predictive_density
from bayes_scaling.fitting.store import FitStore
from bayes_scaling.modelling.model import load_model
from bayes_scaling.runs import Runs

FAST = {"draws": 300, "tune": 500, "chains": 2}


def _ladder(benchmark, seed):
    rng = np.random.default_rng(seed)
    table = budgets(36, low=1e18, high=4e22)
    accuracy = curve(0.9 * np.exp(-0.2 * centred(table)), floor=0.25)
    table["n_items"] = 3000
    table["n_correct"] = count_correct(accuracy, 3000, 0.01, rng)
    return as_runs(table, benchmark=benchmark)


@pytest.fixture(scope="module")
def models():
    fixed = {"floor": "fixed", "likelihood": "normal"}
    names = ("power_law", "drifting_power_law")
    return {name: load_model(name).with_options(**fixed) for name in names}


@pytest.fixture(scope="module")
def ladders():
    return Runs.concat([_ladder("one", 1), _ladder("two", 2)])


@pytest.fixture(scope="module")
def result(models, ladders, tmp_path_factory):
    kept = FitStore(tmp_path_factory.mktemp("fits"))
    return backtest(models, ladders, [6e21], loo=True, store=kept, **FAST), kept


@pytest.mark.slow
def test_every_model_is_scored_on_every_run_above_the_cutoff(result, ladders):
    scores = result[0].scores
    expected = len(ladders.above(6e21))
    assert set(scores.groupby("model").size()) == {expected}
    assert scores["flops"].min() > 6e21
    assert (scores["distance"] > 1).all()
    assert set(scores["family"]) == {"direct", "point", "stacked"} | {"point"}


@pytest.mark.slow
def test_the_scores_do_not_depend_on_the_workers(result, models, ladders):
    told = []
    several = backtest(models, ladders, [6e21], loo=True, workers=2, on_fit=told.append, **FAST)
    pd.testing.assert_frame_equal(several.scores, result[0].scores)
    pd.testing.assert_frame_equal(several.fits, result[0].fits)
    pd.testing.assert_frame_equal(several.weights, result[0].weights)
    assert any("of 8 fits" in what for what in told)


@pytest.mark.slow
def test_any_executor_does_the_work_and_says_what_could_not_be_fitted(models, ladders):
    with ThreadPoolExecutor(2) as threads:
        found = backtest(
            {**models, "through": "loss_power_law"},
            ladders,
            [6e21],
            baselines=False,
            stack=False,
            executor=threads,
            workers=2,
            **FAST,
        )
    assert set(found.scores["model"]) == set(models)
    assert set(found.skipped["model"]) == {"through"}
    with pytest.raises(BayesScalingError, match="workers should be at least 1, not 0"):
        backtest(models, ladders, [6e21], workers=0)


@pytest.mark.slow
def test_a_true_law_is_calibrated_and_beats_nothing_it_should_not(result):
    summary = result[0].summary().set_index("model")
    assert summary.loc["power_law", "mae"] < 0.015
    assert 0.6 <= summary.loc["power_law", "cover90"] <= 1.0
    # A drift that is not there costs width, not accuracy.
    assert summary.loc["drifting_power_law", "width90"] > summary.loc["power_law", "width90"]


@pytest.mark.slow
def test_weights_add_up_and_the_mixture_lies_between(result, ladders):
    row = result[0].weights.iloc[0]
    assert row[["power_law", "drifting_power_law"]].sum() == pytest.approx(1)
    # Two series of the runs in the last factor of 6 below the cut-off, each worth one score.
    runs = ladders.table.query("1e21 < flops <= 6e21")
    assert row["past_scores"] == len(runs)
    assert row["design_effect"] == len(runs) / 2
    crps = result[0].summary().set_index("model")["crps"]
    assert crps[STACKED] <= crps[["power_law", "drifting_power_law"]].max() + 1e-3


@pytest.mark.slow
def test_leave_one_out_is_summed_over_series(result):
    fits = result[0].fits
    table = result[0].by_loo().set_index("model")
    assert table["elpd"].is_monotonic_decreasing
    assert (table["fits"] == 2).all()
    assert table["best_on"].sum() == 2
    assert table["weight"].sum() == pytest.approx(1)
    ours = fits[fits["model"] == "power_law"]
    assert table.loc["power_law", "elpd"] == pytest.approx(ours["elpd_loo"].sum())
    assert replace(result[0], fits=fits.drop(columns="elpd_loo")).by_loo().empty


@pytest.mark.slow
def test_weights_ahead_come_from_all_scores(result):
    past, scores = result[0], result[0].scores
    weights = past.weights_ahead()
    assert set(weights) == {"power_law", "drifting_power_law"}
    assert sum(weights.values()) == pytest.approx(1)
    # A model that would have found every score far more likely gets more weight.
    better = scores["elpd"].where(scores["model"] != "power_law", scores["elpd"] + 50)
    raised = replace(past, scores=scores.assign(elpd=better)).weights_ahead()
    assert raised["power_law"] > max(weights["power_law"], 0.6)
    alone = scores[scores["model"] == "power_law"]
    assert replace(past, scores=alone).weights_ahead() == {}


@pytest.mark.slow
def test_a_ladder_of_four_runs_has_a_stacked_forecast_of_equal_weights(models, ladders):
    table = ladders.select("one").table.sort_values("flops")
    low, high = table[table["flops"] <= 6e21], table[table["flops"] > 6e21]
    few = low[low["flops"] > 2e21].iloc[:4]  # none of them can be forecast from smaller ones
    found = backtest(
        models, Runs.from_frame(pd.concat([few, high])), [6e21], baselines=False, **FAST
    )
    row = found.weights.iloc[0]
    assert row["past_scores"] == 0
    assert row[list(models)].tolist() == [0.5, 0.5]
    assert set(found.scores["model"]) == {*models, STACKED}
    assert any("all laws weigh the same" in said for said in found.verdicts())


@pytest.mark.slow
def test_held_out_scores_touch_neither_fits_nor_weights(result, models, ladders):
    table = ladders.table
    above = table["flops"] > 6e21
    changed = table.assign(score=table["score"].where(~above, 0.3), n_items=np.nan)
    again = backtest(models, Runs.from_frame(changed), [6e21], baselines=False, **FAST)
    original = table.assign(n_items=np.nan)
    before = backtest(models, Runs.from_frame(original), [6e21], baselines=False, **FAST)
    assert again.weights.equals(before.weights)
    columns = ["model", "benchmark", "run", "median", "q05", "q95"]
    assert again.scores[columns].equals(before.scores[columns])
    assert not again.scores["crps"].equals(before.scores["crps"])


@pytest.mark.slow
def test_finished_fits_are_used_again_and_damaged_ones_are_replaced(
    result, models, ladders, monkeypatch
):
    kept = result[1]
    files = sorted(kept.folder.glob("*.nc"))
    assert len(files) == 2 * 2 * 2  # models, series, origins
    files[0].write_bytes(b"cut off")
    sampled = []

    def count(runs, model, **settings):
        sampled.append(model.law_name)
        return fit_runs(runs, model, **settings)

    fit_runs = fitting.fit_runs
    monkeypatch.setattr(fitting, "fit_runs", count)
    again = backtest(models, ladders, [6e21], baselines=False, store=kept, **FAST)
    assert len(sampled) == 1
    old = result[0].scores.query("family == 'direct'").reset_index(drop=True)
    new = again.scores.query("family == 'direct'").reset_index(drop=True)
    assert new["median"].equals(old["median"])


@pytest.mark.slow
def test_what_others_are_scored_changes_no_pit(models, ladders):
    """A score's random number is its own: whatever is scored beside it, and wherever it stands."""
    one = {"power_law": models["power_law"]}
    quiz = ladders.table.assign(n_items=20.0, score=lambda t: (t["score"] * 20).round() / 20)
    counts = {"power_law": one["power_law"].with_options(likelihood="beta_binomial")}
    whole = backtest(counts, Runs.from_frame(quiz), [6e21], baselines=False, **FAST).scores
    part = Runs.from_frame(quiz[(quiz["benchmark"] == "two") & (quiz["flops"] != 4e22)])
    alone = backtest(counts, part, [6e21], baselines=False, **FAST).scores
    both = whole.merge(alone, on=["benchmark", "run"])
    assert 3 < len(both) < len(whole)
    np.testing.assert_array_equal(both["pit_x"], both["pit_y"])


def test_what_cannot_be_fitted_is_said(ladders):
    with pytest.raises(BayesScalingError, match="tokens per parameter"):
        backtest({"params_tokens": load_model("params_tokens")}, ladders, [6e21], baselines=False)


def test_a_cutoff_above_all_runs_holds_nothing_out(ladders):
    with pytest.raises(BayesScalingError, match="no run is held out"):
        backtest({}, ladders, [1e30])


class OneRunAhead(az.SamplingWrapper):
    """Fits of the smallest runs, for ArviZ to move through a ladder by itself."""

    def __init__(self, fit):
        super().__init__(model=fit.model, idata_orig=fit.to_arviz())
        self.fit = fit

    def sel_observations(self, idx):
        kept = np.setdiff1d(np.arange(len(self.fit.runs)), idx)
        rows = self.fit.runs.table.iloc[kept].reset_index(drop=True)
        return Runs.from_frame(rows), self.fit.observations.isel(row=idx)

    def sample(self, modified_observed_data):
        return fitting.fit_runs(modified_observed_data, self.fit.model, **FAST)

    def get_inference_data(self, fitted_model):
        return fitted_model

    def log_likelihood__i(self, excluded_obs, idata__i):
        return predictive_density(idata__i, excluded_obs)


@pytest.mark.slow
def test_one_run_ahead_is_the_leave_future_out_of_arviz(models, ladders):
    """Cut-offs a run apart, each scored on the next run only, are what ArviZ calls lfo_cv."""
    (_, runs), _ = ladders.series()
    budget = runs.table["flops"].to_numpy()
    assert (np.diff(budget) > 0).all()
    fit = fitting.fit_runs(runs, models["power_law"], **FAST)
    wrapper = OneRunAhead(fit)
    lfo = az.lfo_cv(
        wrapper.idata_orig,
        wrapper,
        min_observations=len(runs) - 3,
        forecast_horizon=1,
        time_dim="row",
        var_name="score",
        method="exact",
        pointwise=True,
    )
    ours = backtest(
        {"power_law": models["power_law"]}, runs, budget[-4:-1], baselines=False, **FAST
    ).scores
    nearest = ours.loc[ours.groupby("cutoff")["flops"].idxmin(), "elpd"]
    np.testing.assert_allclose(nearest, lfo.elpd_i.dropna("row"), atol=1e-6)
    assert lfo.elpd == pytest.approx(nearest.sum())
