"""Intervals of mean scores: held-out scores share runs and benchmarks, so they are clustered."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any, Self

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike, NDArray

# Probability of every interval here, as of the tables' wider intervals of scores.
LEVEL = 0.9
# Two clusters leave one degree of freedom; an interval from them would be all but unbounded.
MIN_CLUSTERS = 3


@dataclass(frozen=True)
class Clusters:
    """The training and the benchmark of each score.

    Attributes
    ----------
    run, benchmark : numpy.ndarray of int
        Number of the training and of the benchmark of each score, from 0, shape (score,). The
        checkpoints of one training are one cluster.

    Examples
    --------
    >>> table = pd.DataFrame({"run": ["a", "a", "b"], "benchmark": ["quiz", "maths", "quiz"]})
    >>> Clusters.of(table.assign(mixture="web")).counts
    (2, 2)
    """

    run: NDArray[np.integer[Any]]
    benchmark: NDArray[np.integer[Any]]

    @classmethod
    def of(cls, scores: pd.DataFrame) -> Self:
        """Return the clusters of a table with columns run, mixture, benchmark, and maybe training.

        Without a training, each run is one of its own. Runs of one name on two mixtures are two
        trainings. A benchmark is one test set, whatever its metric and whatever the runs were
        trained on.
        """
        training = "training" if "training" in scores else "run"
        run, benchmark = (
            scores.groupby(names, sort=False).ngroup().to_numpy()
            for names in (["mixture", training], ["benchmark"])
        )
        return cls(run, benchmark)

    @property
    def counts(self) -> tuple[int, int]:
        """Number of runs and of benchmarks."""
        return len(np.unique(self.run)), len(np.unique(self.benchmark))

    @property
    def problem(self) -> str:
        """Say in a sentence why there is no interval; empty if there is one."""
        if min(self.counts) >= MIN_CLUSTERS:
            return ""
        runs, benchmarks = self.counts
        return (
            f"No interval: the scores are of {runs} run{'s' * (runs != 1)} and {benchmarks} "
            f"benchmark{'s' * (benchmarks != 1)}, and an interval needs at least {MIN_CLUSTERS} "
            "of each"
        )

    def variance(
        self, values: ArrayLike, weights: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the variance of a mean, and what it would be if scores were independent.

        Parameters
        ----------
        values : array_like
            Values of the scores, shape (..., score).
        weights : array_like, optional
            Weight of each score in the mean, shape (score,); by default all alike.

        Returns
        -------
        tuple of numpy.ndarray
            Variances in squared units of the values, shape (...).

        Notes
        -----
        With two-way clustering, V = V_run + V_benchmark − V_both. Each V is the sum over clusters
        of the squared sum of weighted deviations from the mean, times G / (G − 1) for G clusters;
        in V_both a cluster is one run on one benchmark. V can come out too small, even below 0,
        so it is at least each of the three.

        References
        ----------
        Cameron, Gelbach and Miller 2011, "Robust inference with multiway clustering".
        """
        values = np.asarray(values, float)
        parts = _shares(weights, values.shape[-1]) * (values - _mean(values, weights)[..., None])
        both = self.run * (self.benchmark.max() + 1) + self.benchmark
        by_run, by_benchmark, by_both = (
            _between(parts, labels) for labels in (self.run, self.benchmark, both)
        )
        # With the correction of V_both: if all scores are listed twice, this halves exactly.
        independent = (parts**2).sum(axis=-1) * _correction(both)
        least = np.maximum(np.maximum(by_run, by_benchmark), by_both)
        return np.maximum(by_run + by_benchmark - by_both, least), independent


@dataclass(frozen=True)
class Estimate:
    """A mean score, and what is known of it.

    Attributes
    ----------
    mean : float
        Weighted mean over the scores.
    se : float
        Its standard error, clustered by run and benchmark.
    low, high : float
        Ends of its 90% interval, for other runs and benchmarks of the same kind.
    design_effect : float
        Its variance over that of the mean of as many independent scores; the scores count as
        this many times fewer.
    problem : str
        Why `se`, `low`, `high` and `design_effect` are NaN; empty if they are not.
    """

    mean: float
    se: float = nan
    low: float = nan
    high: float = nan
    design_effect: float = nan
    problem: str = ""


def clustered_mean(
    values: ArrayLike,
    clusters: Clusters,
    weights: ArrayLike | None = None,
    *,
    positive: bool = False,
) -> Estimate:
    """Return a mean score with a standard error and an interval clustered by run and benchmark.

    Parameters
    ----------
    values : array_like
        Scores, such as the CRPS of each held-out score, or differences between two models on
        the same scores; shape (score,).
    clusters : Clusters
        Run and benchmark of each.
    weights : array_like, optional
        Weight of each score in the mean, shape (score,); by default all alike.
    positive : bool
        Whether the scores are errors, which are at least 0. Their interval is symmetric on the
        logarithmic scale: means of errors are skewed, and are not below 0.

    Returns
    -------
    Estimate
        The interval has Student-t quantiles with one degree of freedom less than there are runs
        or benchmarks, whichever are fewer. Below three of either there is none.

    References
    ----------
    Cameron, Gelbach and Miller 2011. `benchmarks/clustered_intervals.py` compares this with a
    cluster bootstrap where the truth is known.

    Examples
    --------
    >>> run, benchmark = np.divmod(np.arange(12), 4)
    >>> found = clustered_mean(0.01 * benchmark, Clusters(run, benchmark))
    >>> round(found.mean, 3), round(found.design_effect, 1)
    (0.015, 3.7)
    """
    values = np.asarray(values, float)
    mean = float(_mean(values, weights))
    if clusters.problem:
        return Estimate(mean, problem=clusters.problem)
    variance, independent = clusters.variance(values, weights)
    se, effect = float(np.sqrt(variance)), _ratio(variance, independent)
    reach = _quantile(clusters) * se
    if positive and mean > 0:
        factor = float(np.exp(reach / mean))
        return Estimate(mean, se, mean / factor, mean * factor, effect)
    return Estimate(mean, se, mean - reach, mean + reach, effect)


def clustered_share(
    inside: ArrayLike, pit: ArrayLike, clusters: Clusters, weights: ArrayLike | None = None
) -> Estimate:
    """Return a share of scores inside an interval, with an interval of the share itself.

    Parameters
    ----------
    inside : array_like
        1 for each score inside, 0 for the others, shape (score,).
    pit : array_like
        PIT of each score, which says how much the scores of a cluster are alike.
    clusters : Clusters
        Run and benchmark of each score.
    weights : array_like, optional
        Weight of each score in the share; by default all alike.

    Returns
    -------
    Estimate
        A Wilson interval of as many scores as these are worth: their number over the design
        effect. Below three runs or benchmarks there is none.

    Notes
    -----
    The design effect is that of |PIT − 1/2|. A share of 100% has no variance by itself, though
    its scores may all be of one kind; the PIT shows it.

    References
    ----------
    Franco, Little, Louis and Slud 2019, "Comparative study of confidence intervals for
    proportions in complex sample surveys".

    Examples
    --------
    >>> run, benchmark = np.divmod(np.arange(96), 12)
    >>> pit = np.random.default_rng(0).uniform(0.1, 0.9, 96)
    >>> found = clustered_share(np.ones(96), pit, Clusters(run, benchmark))
    >>> found.mean, 0.9 < found.low < found.high == 1.0
    (1.0, True)
    """
    share = float(_mean(np.asarray(inside, float), weights))
    if clusters.problem:
        return Estimate(share, problem=clusters.problem)
    effect = _ratio(*clusters.variance(np.abs(np.asarray(pit, float) - 0.5), weights))
    # Kish's number of scores, which is that of all scores if their weights are alike.
    n = float(1 / (_shares(weights, np.size(pit)) ** 2).sum() / effect)
    q = _quantile(clusters)
    centre = (share + q**2 / (2 * n)) / (1 + q**2 / n)
    reach = q / (1 + q**2 / n) * np.sqrt(share * (1 - share) / n + q**2 / (4 * n**2))
    se = float(np.sqrt(share * (1 - share) / n))
    low, high = max(centre - reach, 0.0), min(centre + reach, 1.0)
    return Estimate(share, se, float(low), float(high), effect)


def _shares(weights: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """Return weights that add up to 1."""
    given = np.ones(n) if weights is None else np.asarray(weights, float)
    return given / given.sum()


def _mean(values: NDArray[np.float64], weights: ArrayLike | None) -> NDArray[np.float64]:
    given = None if weights is None else np.asarray(weights, float)
    return np.asarray(np.average(values, axis=-1, weights=given))


def _correction(labels: NDArray[np.integer[Any]]) -> float:
    """Return G / (G − 1) for G clusters; one cluster alone shows no variance."""
    clusters = len(np.unique(labels))
    return clusters / (clusters - 1) if clusters > 1 else 0.0


def _between(parts: NDArray[np.float64], labels: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return the sum over clusters of the squared sum of parts, corrected for their number."""
    sums = np.apply_along_axis(lambda row: np.bincount(labels, row), -1, parts)
    return np.asarray((sums**2).sum(axis=-1) * _correction(labels))


def _ratio(variance: Any, independent: Any) -> float:
    """Return the design effect, at least 1; scores that are all the same have none."""
    return max(1.0, float(variance / independent)) if independent > 0 else 1.0


def _quantile(clusters: Clusters) -> float:
    return float(scipy.stats.t.ppf((1 + LEVEL) / 2, min(clusters.counts) - 1))
