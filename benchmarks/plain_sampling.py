"""Sample the standard series with nothing but `pm.sample(model=bound.pymc)`.

Run: uv run python benchmarks/plain_sampling.py [--out CSV]   (some 15 minutes)
A PyMC user takes the `pm.Model` and samples it with PyMC's defaults, in four chains. This script
does so for four laws on the twelve standard series (runs below 6e21 FLOPs) and writes the largest
R-hat, the smallest effective sample sizes and the divergences of each fit.
"""

import argparse
import logging
import time
from pathlib import Path

import arviz as az
import pandas as pd
import pymc as pm

from bayes_scaling import Runs, load_model
from bayes_scaling.datasets.krajewski2025 import PUBLISHED_CUTOFF, standard_runs

LAWS = ("power_law", "power_law_ceiling", "drifting_power_law", "two_stage_logistic")


def sample(law: str, runs: Runs) -> dict[str, object]:
    """Sample one model with PyMC's defaults, four chains, and tell how the chains did."""
    bound = load_model(law).on(runs)
    start = time.perf_counter()
    with bound.pymc:
        tree = pm.sample(chains=4, random_seed=1, progressbar=False)
    names = [variable.name for variable in bound.pymc.free_RVs]
    table = az.summary(tree, var_names=names, kind="diagnostics", round_to="none")
    return {
        "benchmark": runs.benchmarks[0],
        "law": law,
        "max_r_hat": round(float(table["r_hat"].max()), 4),
        "min_ess_bulk": round(float(table["ess_bulk"].min())),
        "min_ess_tail": round(float(table["ess_tail"].min())),
        "divergences": int(tree["sample_stats"]["diverging"].sum()),
        "seconds": round(time.perf_counter() - start, 1),
    }


def standard_series() -> list[Runs]:
    """Return the twelve standard series; pass@k ones with their first sample only."""
    return [
        runs.select(k=1) if key.metric == "pass@k" else runs
        for key, runs in standard_runs().below(PUBLISHED_CUTOFF).series()
    ]


def main() -> None:
    """Sample every law on every series; write a row as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("plain_sampling.csv"))
    arguments = parser.parse_args()
    logging.getLogger("pymc").setLevel(logging.ERROR)
    rows: list[dict[str, object]] = []
    for runs in standard_series():
        for law in LAWS:
            rows.append(sample(law, runs))
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
