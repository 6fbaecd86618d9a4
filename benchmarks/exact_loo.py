"""Hold PSIS-LOO against leaving every run out in turn and fitting again.

Run: uv run python benchmarks/exact_loo.py [--law LAW ...] [--benchmark NAME:METRIC ...]
Prints one line a series and law and, last, one JSON line: the largest difference of elpd_loo,
before and after the refits that `compare` makes where Pareto k is bad.
"""

import argparse
import json
import time
import warnings

import numpy as np
from scipy.special import logsumexp

from bayes_scaling.datasets import load_dataset
from bayes_scaling.evaluation.comparison import loo
from bayes_scaling.fitting.densities import predictive_density
from bayes_scaling.fitting.fit import Fit, fit_runs
from bayes_scaling.runs import Runs

CUTOFF = 6e21
LAWS = ["two_stage_logistic"]
SERIES = ["arc_easy:acc", "hellaswag:acc_norm", "gsm8k_cot_llama:exact_match"]


def exact(fit: Fit) -> np.ndarray:
    """Return the log density of each run's score under a fit to the other runs."""
    table, seen = fit.runs.table, fit.observations
    elpd = []
    for row in range(len(table)):
        others = Runs.from_frame(table.drop(index=row))
        density = predictive_density(fit_runs(others, fit.model), seen.isel(row=[row]))
        elpd.append(logsumexp(density) - np.log(density.size))
    return np.array(elpd)


def check(name: str, runs: Runs, law: str) -> dict[str, object]:
    fit = fit_runs(runs, law)
    psis, mended = loo(fit, refit=False), loo(fit)
    started = time.perf_counter()
    elpd = exact(fit)
    return {
        "series": name,
        "law": law,
        "runs": len(elpd),
        "exact": round(float(elpd.sum()), 2),
        "psis": round(float(psis.elpd), 2),
        "compare": round(float(mended.elpd), 2),
        "se": round(float(psis.se), 2),
        "bad_k": int((psis.pareto_k > psis.good_k).sum()),
        "largest_of_a_run": round(float(np.abs(mended.elpd_i - elpd).max()), 2),
        "seconds": round(time.perf_counter() - started),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--law", action="append")
    parser.add_argument("--benchmark", action="append", metavar="NAME:METRIC")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    ladder = load_dataset("krajewski2025", mixture="dclm").select(tokens_per_param=20).below(CUTOFF)
    results = []
    for law in options.law or LAWS:
        for name in options.benchmark or SERIES:
            benchmark, metric = name.split(":")
            results.append(check(name, ladder.select(benchmark=benchmark, metric=metric), law))
            print(results[-1], flush=True)
    worst = {
        way: max(abs(found[way] - found["exact"]) for found in results)
        for way in ("psis", "compare")
    }
    print(json.dumps({"worst_difference": worst, "results": results}))


if __name__ == "__main__":
    main()
