"""Chains that jump between modes, against plain NUTS for a long time: posterior and seconds.

Run: uv run python benchmarks/jumps_against_nuts.py [--draws N]
gsm8k of the embedded DCLM runs at 20 tokens a parameter has two modes under drifting_power_law:
runs that stay near chance are a floor above it, or a slow rise that a drift explains. NUTS crosses
between them seldom. `fit_runs` is compared with nutpie on the same `pm.Model`, 4 chains of N draws
with a target acceptance of 0.99: what both say of the curve at ten times the largest budget, and of
parameters. Prints a table, and one JSON line last.
"""

import argparse
import json
import time
import warnings

import arviz as az
import nutpie
import pandas as pd
import xarray as xr
from modes_against_smc import curve_beyond

from bayes_scaling import fit_runs, load_dataset

LARGEST = 6e21


def row_of(name: str, curve: xr.DataArray, posterior: xr.Dataset, seconds: float) -> dict:
    """Return what one sampler found."""
    row = {"sampler": name, "seconds": round(seconds), "ESS": round(float(az.ess(curve.values)))}
    named = {"curve": curve} | {n: posterior[n] for n in ("floor", "exponent", "tau", "scatter")}
    for label, values in named.items():
        low, middle, high = values.quantile([0.05, 0.5, 0.95]).to_numpy()
        row[label] = f"{middle:.4f} ({low:.4f} to {high:.4f})"
    return row | {"mean": float(curve.mean()), "sd": float(curve.std())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=30_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    runs = load_dataset("krajewski2025", "dclm").select("gsm8k_cot_llama", tokens_per_param=20)
    fit_runs(runs.below(LARGEST), "drifting_power_law", draws=50, tune=50)  # compiles
    start = time.perf_counter()
    fit = fit_runs(runs.below(LARGEST), "drifting_power_law", seed=1)
    rows = [row_of("fit_runs", curve_beyond(fit, fit.posterior), fit.posterior, _since(start))]
    model = nutpie.compile_pymc_model(fit.bound.pymc)
    start = time.perf_counter()
    tree = nutpie.sample(
        model, draws=options.draws, tune=2000, chains=4, target_accept=0.99, seed=5,
        progress_bar=False,
    )  # fmt: skip
    plain = tree["posterior"].to_dataset()[list(fit.posterior)]
    rows.append(row_of("nutpie", curve_beyond(fit, plain), plain, _since(start)))
    table = pd.DataFrame(rows)
    print(fit.attempts[["coordinates", "draws", "kept", "problems"]].to_string())
    print(table.to_string(index=False))
    names = ("sampler", "mean", "sd", "seconds", "ESS")
    print(json.dumps([{name: row[name] for name in names} for row in rows]))


def _since(start: float) -> float:
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
