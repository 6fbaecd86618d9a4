"""Compare intervals of mean scores on simulated scores of known mean, which share runs and tasks.

Run: uv run python benchmarks/clustered_intervals.py [--simulations N]
Prints a table for docs/comparison.md: how often each 90% interval holds the true mean, and its
mean width. The forecast of each score is a normal distribution that is calibrated on average. Its
error, in sds, is a sum of an error of the benchmark, of the run, and of the score alone; the sds
differ between benchmarks.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from bayes_scaling.evaluation.uncertainty import Clusters, clustered_mean, clustered_share

SIZES = ((8, 12), (3, 12), (6, 46))  # runs, benchmarks
CORRELATIONS = ((0.67, 0.1), (0.4, 0.4), (0.0, 0.0))  # within a benchmark, within a run
RESAMPLES = 400
Array = NDArray[np.float64]
Ends = tuple[float, float]


def crps(z: Array) -> Array:
    """CRPS of a standard normal forecast."""
    pdf, cdf = scipy.stats.norm.pdf(z), scipy.stats.norm.cdf(z)
    return z * (2 * cdf - 1) + 2 * pdf - 1 / np.sqrt(np.pi)


def simulate(rng: np.random.Generator, runs: int, tasks: int, within: Ends) -> tuple[Array, Array]:
    """Errors of two forecasts of one score in sds, shape (run, task); the second errs more."""
    task, run = within
    z = np.sqrt(task) * rng.standard_normal(tasks) + np.sqrt(run) * rng.standard_normal((runs, 1))
    z = z + np.sqrt(1 - task - run) * rng.standard_normal((runs, tasks))
    more = 0.5 * rng.standard_normal(tasks) + 0.2 * rng.standard_normal((runs, tasks))
    return z, z + more


def scores(rng: np.random.Generator, first: Array, second: Array) -> dict[str, Array]:
    sd = rng.lognormal(0, 0.5, first.shape[1])
    return {
        "CRPS": sd * crps(first),
        "difference of CRPS": sd * (crps(second) - crps(first)),
        "inside 50%": (np.abs(scipy.stats.norm.cdf(first) - 0.5) <= 0.25).astype(float),
        "inside 90%": (np.abs(scipy.stats.norm.cdf(first) - 0.5) <= 0.45).astype(float),
    }


def truth() -> dict[str, float]:
    """Return the means over endlessly many runs and benchmarks; the mean sd is exp(1/8)."""
    density, mean_sd = scipy.stats.norm.expect, np.exp(0.125)
    first, second = (density(crps, scale=s) * mean_sd for s in (1.0, np.sqrt(1.29)))
    gap = second - first
    return {"CRPS": first, "difference of CRPS": gap, "inside 50%": 0.5, "inside 90%": 0.9}


def shipped(name: str, values: Array, first: Array, _: np.random.Generator) -> Ends:
    run, task = np.indices(values.shape).reshape(2, -1)
    clusters = Clusters(run, task)
    if name.startswith("inside"):
        pit = scipy.stats.norm.cdf(first).ravel()
        found = clustered_share(values.ravel(), pit, clusters)
    else:
        found = clustered_mean(values.ravel(), clusters, positive=name == "CRPS")
    return found.low, found.high


def two_way(name: str, values: Array, first: Array, _: np.random.Generator) -> Ends:
    """Cameron, Gelbach and Miller with t quantiles, symmetric for every score."""
    run, task = np.indices(values.shape).reshape(2, -1)
    found = clustered_mean(values.ravel(), Clusters(run, task))
    return found.low, found.high


def pigeonhole(name: str, values: Array, first: Array, rng: np.random.Generator) -> Ends:
    """Owen 2007: runs and benchmarks drawn again, quantiles of the mean."""
    runs, tasks = values.shape
    by_run = rng.multinomial(runs, np.full(runs, 1 / runs), RESAMPLES)
    by_task = rng.multinomial(tasks, np.full(tasks, 1 / tasks), RESAMPLES)
    means = ((by_run @ values) * by_task).sum(axis=1) / values.size
    low, high = np.quantile(means, [0.05, 0.95])
    return low, high


def by_benchmark(name: str, values: Array, first: Array, _: np.random.Generator) -> Ends:
    """Means of benchmarks taken as independent: what runs have in common is not seen."""
    means = values.mean(axis=0)
    reach = scipy.stats.t.ppf(0.95, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return values.mean() - reach, values.mean() + reach


def independent(name: str, values: Array, first: Array, _: np.random.Generator) -> Ends:
    reach = 1.645 * values.std(ddof=1) / np.sqrt(values.size)
    return values.mean() - reach, values.mean() + reach


METHODS: tuple[Callable[[str, Array, Array, np.random.Generator], Ends], ...] = (
    shipped,
    two_way,
    pigeonhole,
    by_benchmark,
    independent,
)


def trial(n: int, size: tuple[int, int], within: Ends) -> Iterator[tuple[str, list[str]]]:
    rng = np.random.default_rng(0)
    expected = truth()
    ends: dict[str, list[list[Ends]]] = {name: [] for name in expected}
    for _ in range(n):
        first, second = simulate(rng, *size, within)
        for name, values in scores(rng, first, second).items():
            ends[name].append([method(name, values, first, rng) for method in METHODS])
    for name, found in ends.items():
        low, high = np.moveaxis(np.array(found), -1, 0)
        # A bootstrap's interval of a share can end at the share itself, up to rounding.
        held = ((low - 1e-12 <= expected[name]) & (expected[name] <= high + 1e-12)).mean(axis=0)
        width = (high - low).mean(axis=0)
        yield name, [f"{h:.0%} ({w:.2f})" for h, w in zip(held, width, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    options = parser.parse_args()
    print("runs × benchmarks | within a benchmark, run | score |", end=" ")
    print(" | ".join(method.__name__ for method in METHODS))
    for size in SIZES:
        for within in CORRELATIONS:
            for name, cells in trial(options.simulations, size, within):
                print(f"{size[0]} × {size[1]} | {within[0]}, {within[1]} | {name} |", end=" ")
                print(" | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
