"""The standard study against a plain loop of PyMC: 12 benchmarks x 7 laws, in new processes.

`bayes-scaling study` is timed from the command to its end, imports and all.

Run: uv run python benchmarks/standard_study.py [--workers N] [--plain N]
The plain loop builds each model anew and calls pm.sample with its defaults (4 x 1000 draws); it
is measured on one fit a law, imports apart, and scaled to all fits. Prints one JSON line last.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

# Those of the study whose speed is a goal; docs/performance.md has what it took over time.
LAWS = (
    "power_law",
    "power_law_ceiling",
    "broken_power_law",
    "drifting_power_law",
    "two_stage_linear",
    "two_stage_logistic",
    "exponential_loss",
)
STUDY = """
data = "krajewski2025"
mixtures = ["dclm"]
benchmarks = "standard"
tokens_per_param = [20]
cutoffs = [6e21]
models = {models}
"""


def standard_runs() -> Any:
    """Return the 12 standard series of the DCLM ladder, fitted part."""
    import pandas as pd

    from bayes_scaling.datasets import load_dataset
    from bayes_scaling.datasets.krajewski2025 import STANDARD_BENCHMARKS
    from bayes_scaling.runs import Runs

    runs = load_dataset("krajewski2025", mixture="dclm").select(tokens_per_param=20).below(6e21)
    kept = [
        runs.select(benchmark=benchmark, metric=metric).table
        for benchmark, metric in STANDARD_BENCHMARKS.items()
    ]
    return Runs.from_frame(pd.concat(kept, ignore_index=True))


def ours(workers: int) -> dict[str, Any]:
    """Run the study as its users do, by the command; the time is of the whole of it."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "study.toml")
        file.write_text(STUDY.format(models=json.dumps(LAWS)), encoding="utf-8")
        command = Path(sys.executable).with_name("bayes-scaling")
        start = time.perf_counter()
        subprocess.run(
            [command, "study", file, "--out", folder, "--workers", str(workers)], check=True
        )
        wall = time.perf_counter() - start
        index = pd.read_csv(Path(folder, "index.csv")).fillna({"problems": ""})
    # A law is compiled once for scores with item counts, and once for those without.
    counted = standard_runs().table.groupby("benchmark")["n_items"].count()
    programs = index.assign(counted=index["benchmark"].map(counted) > 0)
    later = programs.duplicated(["model", "counted"])
    further, first = index[later], programs[~later]
    return {
        "wall": wall,
        "fits": int((index["status"] == "done").sum()),
        "not_converged": int((index["problems"] != "").sum()),
        "divergences": int(index["divergences"].sum()),
        "min_ess_bulk": round(float(index["min_ess_bulk"].min())),
        "sum_ess_bulk": float(index["min_ess_bulk"].sum()),
        "seconds_per_further_fit": float(further["seconds"].mean()) / workers,
        "programs": len(first),
        "seconds_per_first_fit": float(first["seconds"].mean()),
    }


def plain(fits: int) -> dict[str, Any]:
    """Build and sample anew, as a script that knows only PyMC would."""
    import arviz as az
    import pymc as pm

    from bayes_scaling.modelling.model import load_model

    series = [rows for _, rows in standard_runs().series()]
    seconds, ess, divergences = [], [], 0
    for i in range(fits):
        start = time.perf_counter()
        settled, seen = load_model(LAWS[i % len(LAWS)]).prepare(series[(5 * i) % len(series)])
        with settled.build(seen):
            tree = pm.sample(draws=1000, tune=1000, chains=4, random_seed=i, progressbar=False)
        least = az.ess(tree["posterior"].dataset).to_array().min()
        seconds.append(time.perf_counter() - start)
        ess.append(float(least))
        divergences += int(tree["sample_stats"]["diverging"].sum())
        print(f"plain {settled.law_name}: {seconds[-1]:.1f} s, ESS {ess[-1]:.0f}", flush=True)
    return {
        "seconds": sum(seconds) / fits,
        "ess": sum(ess) / fits,
        "fits": fits,
        "divergences": divergences,
    }


def plain_in_new_process(fits: int) -> dict[str, Any]:
    """Run the plain loop in a process of its own; return what it reports, and its wall time."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, __file__, "--only-plain", "--plain", str(fits)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
    if process.returncode:
        raise SystemExit(process.returncode)
    return json.loads(line) | {"wall": time.perf_counter() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plain", type=int, default=len(LAWS), help="fits of the plain loop")
    parser.add_argument("--only-plain", action="store_true", help="the plain loop, in here")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.only_plain:
        print(json.dumps(plain(options.plain)))
        return
    study = ours(options.workers)
    loop = plain_in_new_process(options.plain)
    # What the plain process spent outside its fits: Python, imports, reading the runs.
    overhead = loop["wall"] - loop["seconds"] * loop["fits"]
    loop_wall = overhead + loop["seconds"] * study["fits"]
    print(
        json.dumps(
            {
                "ratio": round(loop_wall / study["wall"], 1),
                "seconds_per_further_fit": round(study["seconds_per_further_fit"], 3),
                "min_ess_bulk": study["min_ess_bulk"],
                "divergences": study["divergences"],
                "fits": study["fits"],
                "not_converged": study["not_converged"],
                "programs": study["programs"],
                "seconds_per_first_fit": round(study["seconds_per_first_fit"], 1),
                "seconds": round(study["wall"], 1),
                "plain_seconds": round(loop_wall, 1),
                "plain_seconds_per_fit": round(loop["seconds"], 1),
                "plain_fits_measured": loop["fits"],
                "plain_divergences": loop["divergences"],
                "ess_per_second": round(study["sum_ess_bulk"] / study["wall"], 1),
                "plain_ess_per_second": round(loop["ess"] / loop["seconds"], 1),
                "ess_per_second_a_further_fit": round(
                    study["sum_ess_bulk"] / study["fits"] / study["seconds_per_further_fit"], 1
                ),
            }
        )
    )


if __name__ == "__main__":
    main()
