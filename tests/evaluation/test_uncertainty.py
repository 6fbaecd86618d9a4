"""Intervals of means over scores that share runs and benchmarks: sums by hand, and simulation."""

import numpy as np
import pytest
import scipy.stats

from bayes_scaling.evaluation.uncertainty import Clusters, clustered_mean, clustered_share


def crossed(runs, benchmarks):
    """Return clusters of every run on every benchmark."""
    run, benchmark = np.indices((runs, benchmarks)).reshape(2, -1)
    return Clusters(run, benchmark)


@pytest.fixture
def patchy():
    """Return clusters with gaps and repeats, and scores that have something in common in them."""
    rng = np.random.default_rng(2)
    run, benchmark = rng.integers(0, 7, 80), rng.integers(0, 9, 80)
    values = rng.normal(size=7)[run] + rng.normal(size=9)[benchmark] + rng.normal(size=80)
    return Clusters(run, benchmark), values


# ---- the variance --------------------------------------------------------------------------------


def by_pairs(parts, labels):
    """Return the sum of products of all pairs of scores in one cluster, corrected for G."""
    alike = np.equal.outer(labels, labels)
    clusters = len(set(labels.tolist()))
    return parts @ alike @ parts * clusters / (clusters - 1)


def test_variance_is_the_sum_over_pairs_that_share_a_run_or_a_benchmark(patchy):
    clusters, values = patchy
    parts = (values - values.mean()) / len(values)
    both = np.unique(100 * clusters.run + clusters.benchmark, return_inverse=True)[1]
    run, benchmark, joint = (
        by_pairs(parts, labels) for labels in (clusters.run, clusters.benchmark, both)
    )
    variance, independent = clusters.variance(values)
    assert variance == pytest.approx(run + benchmark - joint)
    assert variance > max(run, benchmark)
    pairs = len(set(both.tolist()))
    assert independent == pytest.approx((parts**2).sum() * pairs / (pairs - 1))


def test_variance_of_benchmarks_alone_is_that_of_their_means():
    """Scores that are all alike within a benchmark are as many as there are benchmarks."""
    means = np.array([0.1, 0.4, 0.2, 0.7, 0.3])
    found = clustered_mean(np.tile(means, 8), crossed(8, 5))
    assert found.se == pytest.approx(scipy.stats.sem(means))
    assert found.design_effect == pytest.approx(8, rel=0.25)


def test_a_negative_sum_of_variances_is_never_used():
    """A chequered pattern has no variance between runs, nor between benchmarks."""
    values = np.where(np.indices((4, 4)).sum(axis=0) % 2, 1.0, -1.0).ravel()
    found = clustered_mean(values, crossed(4, 4))
    assert found.se == pytest.approx(scipy.stats.sem(values))
    assert found.design_effect == 1


def test_scores_listed_twice_count_once(patchy):
    clusters, values = patchy
    twice = Clusters(np.tile(clusters.run, 2), np.tile(clusters.benchmark, 2))
    once, again = clustered_mean(values, clusters), clustered_mean(np.tile(values, 2), twice)
    assert (again.mean, again.low, again.high) == pytest.approx((once.mean, once.low, once.high))
    assert again.design_effect == pytest.approx(2 * once.design_effect)


def test_a_weight_of_two_is_a_score_listed_twice(patchy):
    clusters, values = patchy
    weights = np.where(np.arange(80) < 30, 2.0, 1.0)
    places = np.repeat(np.arange(80), weights.astype(int))
    listed = Clusters(clusters.run[places], clusters.benchmark[places])
    weighed, repeated = (
        clustered_mean(values, clusters, weights),
        clustered_mean(values[places], listed),
    )
    assert (weighed.mean, weighed.se) == pytest.approx((repeated.mean, repeated.se))


def test_the_order_of_scores_and_names_of_clusters_do_not_matter(patchy):
    clusters, values = patchy
    order = np.random.default_rng(0).permutation(80)
    renamed = Clusters(8 - clusters.run[order], 20 + clusters.benchmark[order])
    found, again = clustered_mean(values, clusters), clustered_mean(values[order], renamed)
    assert (again.low, again.high) == pytest.approx((found.low, found.high))


# ---- intervals -----------------------------------------------------------------------------------


def test_quantiles_are_those_of_the_fewest_clusters(patchy):
    clusters, values = patchy
    found = clustered_mean(values, clusters)
    assert (found.high - found.mean) / found.se == pytest.approx(scipy.stats.t.ppf(0.95, 6))
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


def test_intervals_of_errors_are_symmetric_in_their_logarithm(patchy):
    clusters, values = patchy
    found = clustered_mean(np.exp(values), clusters, positive=True)
    assert found.low * found.high == pytest.approx(found.mean**2)
    assert found.low > 0
    log_reach = scipy.stats.t.ppf(0.95, 6) * found.se / found.mean
    assert np.log(found.high / found.mean) == pytest.approx(log_reach)


def test_share_of_independent_scores_has_the_interval_of_wilson():
    """With many clusters the t quantile is that of the normal distribution."""
    alone = Clusters(np.arange(5000), np.arange(5000))
    inside = np.arange(5000) < 1000
    pit = np.linspace(0, 1, 5000)
    found = clustered_share(inside, pit, alone)
    wilson = scipy.stats.binomtest(1000, 5000).proportion_ci(0.9, method="wilson")
    assert (found.low, found.high) == pytest.approx(tuple(wilson), abs=1e-5)
    assert found.design_effect == 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_all_or_none_is_not_certain(share):
    pit = np.random.default_rng(3).uniform(size=96)
    found = clustered_share(np.full(96, share), pit, crossed(8, 12))
    assert found.low <= found.mean == share <= found.high
    assert 0.02 < found.high - found.low < 0.2


@pytest.mark.parametrize(
    ("runs", "benchmarks", "said"),
    [(1, 12, "1 run and 12 benchmarks"), (2, 12, "2 runs"), (9, 1, "9 runs and 1 benchmark,")],
)
def test_below_three_clusters_there_is_no_interval_and_it_is_said(runs, benchmarks, said):
    clusters = crossed(runs, benchmarks)
    values = np.random.default_rng(0).uniform(size=runs * benchmarks)
    for found in (
        clustered_mean(values, clusters),
        clustered_share(values > 0.5, values, clusters),
    ):
        assert np.isnan([found.se, found.low, found.high, found.design_effect]).all()
        assert np.isfinite(found.mean)
        assert said in found.problem
        assert "at least 3 of each" in found.problem


# ---- simulation ----------------------------------------------------------------------------------


def crps(z):
    """Return the CRPS of standard normal forecasts."""
    pdf, cdf = scipy.stats.norm.pdf(z), scipy.stats.norm.cdf(z)
    return z * (2 * cdf - 1) + 2 * pdf - 1 / np.sqrt(np.pi)


def errors(rng, runs, benchmarks, within_benchmark, within_run):
    """Return standard normal errors of forecasts, correlated within benchmarks and runs."""
    own = np.sqrt(1 - within_benchmark - within_run) * rng.standard_normal((runs, benchmarks))
    of_benchmark = np.sqrt(within_benchmark) * rng.standard_normal(benchmarks)
    return own + of_benchmark + np.sqrt(within_run) * rng.standard_normal((runs, 1))


def trial(rng, runs, benchmarks, within):
    """Return an estimate of each score, for forecasts that are calibrated."""
    z = errors(rng, runs, benchmarks, *within).ravel()
    rival = z + (0.5 * errors(rng, runs, benchmarks, 0.7, 0.0)).ravel()
    pit, clusters = scipy.stats.norm.cdf(z), crossed(runs, benchmarks)
    inside = {level: abs(pit - 0.5) <= level / 2 for level in (0.5, 0.9)}
    return {
        "crps": clustered_mean(crps(z), clusters, positive=True),
        "difference": clustered_mean(crps(rival) - crps(z), clusters),
        "cover50": clustered_share(inside[0.5], pit, clusters),
        "cover90": clustered_share(inside[0.9], pit, clusters),
    }


@pytest.mark.parametrize("within", [(0.67, 0.1), (0.4, 0.4), (0.0, 0.0)])
@pytest.mark.parametrize("size", [(8, 12), (3, 12)])
def test_intervals_hold_the_truth_nine_times_in_ten(size, within):
    """Where the clusters are few, they may hold it more often; hardly less."""
    rng = np.random.default_rng(4)
    trials = [trial(rng, *size, within) for _ in range(400)]
    mean, wider = (scipy.stats.norm.expect(crps, scale=s) for s in (1, np.sqrt(1.25)))
    truths = {"crps": mean, "difference": wider - mean, "cover50": 0.5, "cover90": 0.9}
    for name, truth in truths.items():
        found = [t[name] for t in trials]
        held = np.mean([one.low <= truth <= one.high for one in found])
        # 400 trials have a standard error of 1.5%; the interval of the CRPS holds 87%.
        assert held > 0.83, (name, held)
        # As if all scores were independent: what the clusters are for.
        alone = [1.645 * one.se / np.sqrt(one.design_effect) for one in found]
        naive = np.mean([abs(f.mean - truth) <= a for f, a in zip(found, alone, strict=True)])
        assert naive < held
        if within == (0.67, 0.1):
            assert naive < 0.8, (name, naive)
            assert np.median([one.design_effect for one in found]) > 1.3
