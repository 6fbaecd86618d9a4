"""Published point fits: on curves that they must recover exactly, and on the published table."""

import numpy as np
import pandas as pd
import pytest
from ladders import as_runs, budgets, centred, curve

from bayes_scaling.datasets.krajewski2025 import (
    PUBLISHED_CUTOFF,
    PUBLISHED_ERRORS,
    PUBLISHED_RATIO,
)
from bayes_scaling.errors import ModelError
from bayes_scaling.evaluation.baselines import (
    fit_broken,
    fit_direct,
    fit_two_stage_linear,
    fit_two_stage_logistic,
    point_fits,
)


@pytest.fixture
def ladder():
    return budgets(30, low=1e18, high=4e22)


def _loss(table):
    return 2.8 * np.exp(-0.05 * centred(table))


def _forecast_error(baseline, runs, cutoff=6e21):
    ahead = runs.above(cutoff).table
    return np.abs(baseline(runs.below(cutoff))(ahead) - ahead["score"]).max()


def test_direct_recovers_a_power_law(ladder):
    score = curve(0.8 * np.exp(-0.2 * centred(ladder)), floor=0.25)
    assert _forecast_error(fit_direct, as_runs(ladder, score=score)) < 1e-9


def test_broken_recovers_a_break(ladder):
    x = centred(ladder)
    z = -0.1 * x - 0.25 * 0.8 * np.logaddexp(0, (x + 1.5) / 0.8)
    assert _forecast_error(fit_broken, as_runs(ladder, score=curve(np.exp(z)), chance=0.0)) < 5e-3


def test_two_stage_linear_recovers_its_truth(ladder):
    loss = _loss(ladder)
    runs = as_runs(ladder, score=2.0 - 0.5 * loss, loss_mix=loss, chance=0.0, mixture="mix")
    assert _forecast_error(fit_two_stage_linear, runs) < 1e-9


def test_two_stage_logistic_recovers_its_truth(ladder):
    loss = _loss(ladder)
    score = 0.25 + 0.7 / (1 + np.exp(3 * (loss - 2.8)))
    runs = as_runs(ladder, score=score, loss_mix=loss, mixture="mix")
    assert _forecast_error(fit_two_stage_logistic, runs) < 5e-3


def test_the_loss_is_the_one_asked_for(ladder):
    loss = _loss(ladder)
    wrong = loss[::-1]
    runs = as_runs(ladder, score=2.0 - 0.5 * loss, loss_a=wrong, loss_b=loss, chance=0.0)
    baseline = point_fits("loss_b")["least_squares_two_stage_linear"]
    assert _forecast_error(baseline, runs) < 1e-9
    with pytest.raises(ModelError, match="name one of loss_a, loss_b"):
        fit_two_stage_linear(runs)


def test_a_missing_loss_is_said_and_not_passed_over(ladder):
    loss = _loss(ladder)
    loss[3] = np.nan
    runs = as_runs(ladder, score=0.5, loss_a=loss)
    with pytest.raises(ModelError, match=r"point fit goes through 'loss_a', missing .* in 1 of 30"):
        fit_two_stage_logistic(runs)


def test_scores_near_chance_are_left_out_as_in_the_papers(ladder):
    score = np.r_[np.full(28, 0.26), 0.5, 0.6]
    with pytest.raises(ModelError, match="only 2 scores are far enough"):
        fit_direct(as_runs(ladder, score=score))


@pytest.mark.parametrize("name", point_fits())
def test_forecasts_stay_accuracies(name, dclm):
    runs = dclm.select(benchmark="lambada_openai", metric="acc", tokens_per_param=20)
    far = runs.table.assign(flops=1e30)
    forecast = point_fits()[name](runs.below(6e21))(far)
    assert ((forecast >= 0) & (forecast <= 1)).all()


def test_runs_that_have_learnt_nothing_do_not_bend_a_line(ladder):
    """Of generation the direct law keeps what is 5 points above 0, unless too little is left."""
    score = curve(1.6 * np.exp(-0.25 * centred(ladder)))
    late = score > 0.05
    flat = np.where(late, score, 0.02)
    assert (~late).sum() > 5
    assert _forecast_error(fit_direct, as_runs(ladder, score=flat, chance=0.0)) < 1e-9
    few = as_runs(ladder, score=curve(6 * np.exp(-0.02 * centred(ladder))), chance=0.0)
    assert (few.table["score"] < 0.05).all()
    assert _forecast_error(fit_direct, few) < 1e-9


def test_the_logistic_stage_learns_its_floor_from_runs_near_chance(ladder):
    loss = _loss(ladder)
    score = 0.25 + 0.7 / (1 + np.exp(8 * (loss - loss[25])))
    runs = as_runs(ladder, score=score, loss_mix=loss, mixture="mix")
    assert (runs.below(1e21).table["score"] > 0.3).sum() < 3  # too few by themselves
    assert _forecast_error(fit_two_stage_logistic, runs, 1e21) < 1e-3


# ---- the published table -------------------------------------------------------------------------

# Most likely a mean over the benchmarks that are scored by likelihood, with acc_norm where there
# is one; docs/published.md has the evidence, and what remains unknown.
SEVEN = {
    **dict.fromkeys(["arc_challenge", "arc_easy", "sciq", "piqa", "hellaswag"], "acc_norm"),
    **dict.fromkeys(["winogrande", "lambada_openai"], "acc"),
}
DIRECT, BROKEN, LINEAR, LOGISTIC = PUBLISHED_ERRORS


def _mean_errors(dclm, name):
    """Return MRE and MAE of a point fit on the published split, as means over benchmarks."""
    fit, found = point_fits("loss_dclm")[name], []
    for benchmark, metric in SEVEN.items():
        runs = dclm.select(benchmark, metric, tokens_per_param=PUBLISHED_RATIO)
        ahead = runs.above(PUBLISHED_CUTOFF).table
        fitted = runs.above(3e18).below(PUBLISHED_CUTOFF)  # the paper's range
        error = np.abs(fit(fitted)(ahead) - ahead["score"])
        found.append({"mre": (error / ahead["score"]).mean(), "mae": error.mean()})
    return pd.DataFrame(found).mean()


def test_the_direct_fit_has_the_published_errors(dclm):
    """The paper states this fit in full but for the chance level, which it measures."""
    errors = _mean_errors(dclm, DIRECT)
    for name, value in PUBLISHED_ERRORS[DIRECT].items():
        assert errors[name] == pytest.approx(value, rel=0.15)


@pytest.mark.parametrize("name", [BROKEN, LINEAR, LOGISTIC])
def test_the_other_fits_are_no_worse_than_published(dclm, name):
    errors = _mean_errors(dclm, name)
    assert (errors < pd.Series(PUBLISHED_ERRORS[name])).all()
