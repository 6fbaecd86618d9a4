"""Weights of a stacked forecast: against brute-force integration and the usual optimum."""

import numpy as np
import pytest
import scipy.stats
from scipy.special import logsumexp

from bayes_scaling.errors import ConvergenceWarning
from bayes_scaling.evaluation.stacking import past_design_effect, stacking_weights
from bayes_scaling.evaluation.uncertainty import Clusters

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


# ---- scores that share runs and benchmarks -------------------------------------------------------


def crossed(runs, benchmarks):
    """Return clusters of every run on every benchmark."""
    run, benchmark = np.indices((runs, benchmarks)).reshape(2, -1)
    return Clusters(run, benchmark)


def ladder(runs=9, benchmarks=12, alike=0.8, seed=5):
    """Return densities whose differences between models are alike within a benchmark.

    A benchmark is forecast too high or too low by each model, and by much the same for all runs.
    """
    rng = np.random.default_rng(seed)
    shape = (runs, benchmarks)
    shared = np.sqrt(alike) * rng.standard_normal(benchmarks)
    scores = (shared + np.sqrt(1 - alike) * rng.standard_normal(shape)).ravel()
    centres = {"low": -0.7, "high": 0.5, "middle": 0.1, "far": 4.0}
    return {n: scipy.stats.norm.logpdf(scores, c, 0.9) for n, c in centres.items()}


def only(densities, clusters, kept):
    run, benchmark = clusters.run[kept], clusters.benchmark[kept]
    return {n: d[kept] for n, d in densities.items()}, Clusters(run, benchmark)


def test_likelihood_is_raised_to_one_over_the_design_effect():
    densities, clusters = ladder(), crossed(9, 12)
    effect = past_design_effect(densities, clusters)
    assert 3 < effect < 9
    weights = np.random.default_rng(0).dirichlet(np.ones(4), 100_000)
    score = log_score(densities, weights) / effect
    odds = np.exp(score - score.max())
    expected = (odds[:, None] * weights).sum(axis=0) / odds.sum()
    found = stacking_weights(densities, clusters)
    np.testing.assert_allclose(list(found.values()), expected, atol=0.015)


def test_design_effect_is_that_of_the_correlation_within_a_benchmark():
    """The mean over ladders of 9 runs is about 1 + 8 ρ, ρ being that of the models' shares."""
    rng, effects, correlations = np.random.default_rng(0), [], []
    for _ in range(200):
        densities = ladder(benchmarks=40, alike=0.5, seed=rng)
        effects.append(past_design_effect(densities, crossed(9, 40)))
        share = np.exp(densities["low"] - logsumexp(list(densities.values()), axis=0))
        correlations.append(np.corrcoef(share.reshape(9, 40))[np.triu_indices(9, 1)].mean())
    rho = np.mean(correlations)
    assert 0.3 < rho < 0.6
    assert np.mean(effects) == pytest.approx(1 + 8 * rho, rel=0.1)


def test_scores_listed_twice_or_thrice_change_no_weight():
    densities, clusters = ladder(), crossed(9, 12)
    thrice = np.tile(np.arange(9 * 12), 3)
    again = stacking_weights(*only(densities, clusters, thrice))
    assert again == pytest.approx(stacking_weights(densities, clusters), abs=1e-6)
    assert stacking_weights({n: d[thrice] for n, d in densities.items()}) != pytest.approx(
        again, abs=0.05
    )


def test_runs_that_say_all_the_same_count_as_one_run():
    one = ladder(runs=1, benchmarks=12)
    nine = {name: np.tile(density, 9) for name, density in one.items()}
    found = stacking_weights(nine, crossed(9, 12))
    assert past_design_effect(nine, crossed(9, 12)) == pytest.approx(9, rel=0.1)
    assert found == pytest.approx(stacking_weights(one), abs=0.02)


def test_independent_scores_weigh_as_without_clusters():
    densities = past(60)
    alone = Clusters(np.arange(60), np.arange(60))
    assert past_design_effect(densities, alone) == pytest.approx(1)
    assert stacking_weights(densities, alone) == pytest.approx(stacking_weights(densities))
    # Where runs and benchmarks are shared, but say nothing of the scores.
    shared = past(400)
    found = stacking_weights(shared, crossed(20, 20))
    assert found == pytest.approx(stacking_weights(shared), abs=0.03)


def test_dropping_a_benchmark_of_twelve_moves_no_weight_much():
    """As if scores were independent, it does."""
    clusters = crossed(9, 12)
    densities = ladder(alike=0.9)
    tempered, plain = stacking_weights(densities, clusters), stacking_weights(densities)
    moved = {"tempered": [], "plain": []}
    for benchmark in range(12):
        rest, labels = only(densities, clusters, clusters.benchmark != benchmark)
        now = {"tempered": stacking_weights(rest, labels), "plain": stacking_weights(rest)}
        for kind, whole in (("tempered", tempered), ("plain", plain)):
            moved[kind] += [abs(now[kind][name] - whole[name]) for name in whole]
    assert max(moved["tempered"]) < 0.08
    assert max(moved["plain"]) > 2 * max(moved["tempered"])


@pytest.mark.parametrize("benchmarks", [1, 2])
def test_of_few_benchmarks_each_counts_as_one_score(benchmarks):
    densities = ladder(benchmarks=benchmarks)
    assert past_design_effect(densities, crossed(9, benchmarks)) == 9


def test_models_that_agree_have_no_design_effect():
    same = np.full(12, -2.0)
    assert past_design_effect({"a": same, "b": same}, crossed(3, 4)) == 1


# ---- refusals and warnings -----------------------------------------------------------------------


@pytest.mark.parametrize("names", [(), ("low",)])
def test_one_model_is_no_mixture(names):
    assert stacking_weights({name: past(5)[name] for name in names}) == {}


def test_weights_that_have_not_converged_say_so(monkeypatch):
    monkeypatch.setattr("bayes_scaling.inference.diagnostics.MIN_ESS", 1e9)
    with pytest.warns(ConvergenceWarning, match="weights of the stacked forecast"):
        stacking_weights(past(5))
