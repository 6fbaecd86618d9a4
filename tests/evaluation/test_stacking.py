"""Weights of a stacked forecast: against brute-force integration and the usual optimum."""

import numpy as np
import pytest
import scipy.stats
from scipy.special import logsumexp

from bayes_scaling.errors import ConvergenceWarning
from bayes_scaling.evaluation.stacking import stacking_weights

pytestmark = pytest.mark.slow


def past(n, seed=3):
    """Return densities of n scores, seven in ten of which the first of three models forecasts."""
    rng = np.random.default_rng(seed)
    scores = np.where(rng.random(n) < 0.7, rng.normal(0, 1, n), rng.normal(3, 1, n))
    centres = {"low": 0.0, "high": 3.0, "wide": 1.5}
    return {
        name: scipy.stats.norm.logpdf(scores, centre, 3.0 if name == "wide" else 1.0)
        for name, centre in centres.items()
    }


def log_score(densities, weights):
    """Return the log score of mixtures; weights (mixture, model)."""
    stacked = np.array(list(densities.values()))
    return logsumexp(np.log(weights)[..., None] + stacked, axis=1).sum(axis=-1)


@pytest.mark.parametrize("n", [1, 4, 30])
def test_weights_are_the_mean_over_all_weights_that_explain_the_past(n):
    densities = past(n)
    weights = np.random.default_rng(0).dirichlet(np.ones(3), 100_000)
    score = log_score(densities, weights)
    odds = np.exp(score - score.max())
    expected = (odds[:, None] * weights).sum(axis=0) / odds.sum()
    found = stacking_weights(densities)
    assert list(found) == list(densities)
    np.testing.assert_allclose(list(found.values()), expected, atol=0.015)


def test_many_scores_give_the_weights_that_would_have_been_best():
    densities = past(4000)
    grid = np.linspace(0.001, 0.999, 999)
    best = grid[np.argmax(log_score(dict(list(densities.items())[:2]), np.c_[grid, 1 - grid]))]
    weights = stacking_weights(densities)
    assert weights["low"] == pytest.approx(best, abs=0.02)
    assert weights["wide"] < 0.03


def test_what_nothing_tells_apart_counts_alike():
    same = np.full(40, -2.0)
    found = stacking_weights({"a": same, "b": same, "c": same, "d": same})
    np.testing.assert_allclose(list(found.values()), 0.25, atol=0.015)
    assert sum(found.values()) == pytest.approx(1)


def test_scores_that_every_model_finds_unlikely_count_as_any_other():
    densities = past(12)
    far = {name: density - 2000.0 for name, density in densities.items()}
    assert stacking_weights(far) == pytest.approx(stacking_weights(densities))


def test_the_same_seed_gives_the_same_weights():
    assert stacking_weights(past(9), seed=1) == stacking_weights(past(9), seed=1)
    assert stacking_weights(past(9), seed=1) != stacking_weights(past(9), seed=2)


@pytest.mark.parametrize("names", [(), ("low",)])
def test_one_model_is_no_mixture(names):
    assert stacking_weights({name: past(5)[name] for name in names}) == {}


def test_weights_that_have_not_converged_say_so(monkeypatch):
    monkeypatch.setattr("bayes_scaling.inference.diagnostics.MIN_ESS", 1e9)
    with pytest.warns(ConvergenceWarning, match="weights of the stacked forecast"):
        stacking_weights(past(5))
