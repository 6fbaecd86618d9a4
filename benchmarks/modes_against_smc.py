"""Posteriors of several modes, by `fit_runs` and by sequential Monte Carlo, which crosses modes.

Run: uv run python benchmarks/modes_against_smc.py [--only N ...] [--draws N] [--out CSV]
Ten pairs of series and law that have, or were suspected of, a second mode; nothing above 6e21
FLOPs is fitted. For each, both samplers' posterior of the curve at ten times the largest budget,
the modes that the search finds with their weights, and the log evidence of each chain of SMC: if
chains disagree by more than about a nat, SMC has not converged itself. Some 2 to 10 minutes a pair.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from bayes_scaling import Budgets, Fit, Runs, fit_runs, load_dataset
from bayes_scaling.datasets.krajewski2025 import PUBLISHED_CUTOFF, standard_runs

# Benchmark, tokens per parameter (None for all ratios) and law.
PAIRS = (
    ("mmlu", None, "broken_power_law"),
    ("mmlu", None, "drifting_params_tokens"),
    ("mmlu", None, "params_tokens"),
    ("winogrande", 20, "broken_power_law"),
    ("winogrande", 20, "drifting_power_law"),
    ("gsm8k_cot_llama", 20, "broken_power_law"),
    ("gsm8k_cot_llama", 20, "drifting_power_law"),
    ("hellaswag", 20, "broken_power_law"),
    ("lambada_openai", 20, "broken_power_law"),
    ("arc_easy", None, "drifting_params_tokens"),
)
CHAINS = 4
BEYOND = 10


def series(benchmark: str, ratio: float | None) -> Runs:
    """Return the runs of one benchmark below the cut-off."""
    if benchmark == "mmlu":
        runs = load_dataset("krajewski2025", "dclm").select("mmlu", "acc")
    else:
        runs = standard_runs("dclm", [benchmark], ratio)
    return runs.below(PUBLISHED_CUTOFF)


def sample_smc(fit: Fit, draws: int) -> Any:
    """Sample the posterior of a fit by SMC, from the prior on.

    `pm.sample_smc` starts its particles at initial values where there are any, and our models
    set one for each variable: they would all start at one point.
    """
    model = fit.bound.pymc
    for variable in model.free_RVs:
        model.rvs_to_initial_values[variable] = "prior"
    with model:
        return pm.sample_smc(
            draws=draws,
            kernel=pm.smc.MH,
            chains=CHAINS,
            cores=1,
            random_seed=1,
            progressbar=False,
            compute_convergence_checks=False,
        )


def curve_beyond(fit: Fit, posterior: xr.Dataset) -> xr.DataArray:
    """Return the curve at ten times the largest budget."""
    table = fit.runs.table
    ratio = float(table["tokens_per_param"].median())
    budgets = Budgets.of(flops=BEYOND * table["flops"].max(), tokens_per_param=ratio)
    rng = np.random.default_rng(0)
    return fit.bound.curve(posterior, budgets.inputs, rng).isel(budget=0)


def describe(name: str, curve: xr.DataArray) -> dict[str, float]:
    """Return mean, sd and 90% interval of a curve's posterior, and its R-hat."""
    low, high = curve.quantile([0.05, 0.95]).to_numpy()
    numbers = {"mean": curve.mean(), "sd": curve.std(), "q05": low, "q95": high}
    numbers["rhat"] = az.rhat(curve)
    return {f"{name}_{key}": round(float(value), 4) for key, value in numbers.items()}


def compare(benchmark: str, ratio: float | None, law: str, draws: int) -> dict[str, object]:
    """Return a row on one pair."""
    start = time.perf_counter()
    fit = fit_runs(series(benchmark, ratio), law)
    ours = time.perf_counter() - start
    tree = sample_smc(fit, draws)
    evidence = log_evidence(tree)
    modes = fit.modes
    return {
        "benchmark": benchmark,
        "ratio": "all" if ratio is None else ratio,
        "law": law,
        "modes": len(modes),
        "weights": " ".join(f"{weight:.3f}" for weight in modes["weight"]),
        "converged": not fit.diagnostics.problems(),
        "seconds": round(ours, 1),
        **describe("ours", curve_beyond(fit, fit.posterior)),
        **describe("smc", curve_beyond(fit, tree["posterior"].to_dataset())),
        "smc_log_evidence": " ".join(f"{value:.1f}" for value in evidence),
        "smc_seconds": round(time.perf_counter() - start - ours, 1),
    }


def log_evidence(tree: Any) -> Iterator[float]:
    """Yield the log evidence that each chain of SMC ends with."""
    for stages in tree["sample_stats"]["log_marginal_likelihood"].to_numpy():
        yield float(stages[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", type=int, default=range(len(PAIRS)))
    parser.add_argument("--draws", type=int, default=2000, help="particles of each chain")
    parser.add_argument("--out", type=Path, default=Path("modes_against_smc.csv"))
    options = parser.parse_args()
    rows = []
    for place in options.only:
        rows.append(compare(*PAIRS[place], options.draws))
        print(rows[-1], flush=True)
        pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
