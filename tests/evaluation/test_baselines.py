"""Published point fits, on curves that they must recover exactly."""

import numpy as np
import pytest
from ladders import as_runs, budgets, centred, curve

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
