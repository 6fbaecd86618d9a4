"""The standard study against a plain loop of PyMC: 12 benchmarks x 7 laws, in new processes.

`bayes-scaling study` is timed from the command to its end, imports and all.

Run: uv run python benchmarks/standard_study.py [--workers N] [--plain N] [--against COMMAND]
The plain loop builds each model anew and calls pm.sample with its defaults (4 x 1000 draws); it
is measured on one fit a law, imports apart, and scaled to all fits. With --against, the program
`bayes-scaling` of another version runs the same study in turn with this one, --rounds times each,
and there is no plain loop. Prints one JSON line last.
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


def study(workers: int, command: Path) -> dict[str, Any]:
    """Run the study as its users do, by the command; the time is of the whole of it."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "study.toml")
        file.write_text(STUDY.format(models=json.dumps(LAWS)), encoding="utf-8")
        start = time.perf_counter()
        subprocess.run(
            [command, "study", file, "--out", folder, "--workers", str(workers)],
            check=True,
            cwd=folder,  # a checkout in the working directory would stand in for what is installed
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
        bound = load_model(LAWS[i % len(LAWS)]).on(series[(5 * i) % len(series)])
        with bound.pymc:
            tree = pm.sample(draws=1000, tune=1000, chains=4, random_seed=i, progressbar=False)
        least = az.ess(tree["posterior"].dataset).to_array().min()
        seconds.append(time.perf_counter() - start)
        ess.append(float(least))
        divergences += int(tree["sample_stats"]["diverging"].sum())
        print(f"plain {bound.model.law_name}: {seconds[-1]:.1f} s, ESS {ess[-1]:.0f}", flush=True)
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


def in_turn(command: Path, other: Path, workers: int, rounds: int) -> dict[str, Any]:
    """Run the study by two versions in turn; the first of each warms caches and is left out."""
    found: dict[str, list[dict[str, Any]]] = {"this": [], "other": []}
    for _ in range(rounds + 1):
        for name, program in (("other", other), ("this", command)):
            found[name].append(study(workers, program))
            seconds = found[name][-1]["wall"]
            print(f"{name}: {seconds:.1f} s", flush=True)
    keys = ("wall", "seconds_per_further_fit", "seconds_per_first_fit", "not_converged")
    table = {
        f"{name}_{key}": [round(run[key], 3) for run in runs[1:]]
        for name, runs in found.items()
        for key in keys
    }
    walls = {name: min(run["wall"] for run in runs[1:]) for name, runs in found.items()}
    return table | {"this_over_other": round(walls["this"] / walls["other"], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plain", type=int, default=len(LAWS), help="fits of the plain loop")
    parser.add_argument("--only-plain", action="store_true", help="the plain loop, in here")
    parser.add_argument("--against", type=Path, help="bayes-scaling of another version")
    parser.add_argument("--rounds", type=int, default=2, help="of both versions in turn")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.only_plain:
        print(json.dumps(plain(options.plain)))
        return
    command = Path(sys.executable).with_name("bayes-scaling")
    if options.against:
        print(json.dumps(in_turn(command, options.against, options.workers, options.rounds)))
        return
    made = study(options.workers, command)
    loop = plain_in_new_process(options.plain)
    # What the plain process spent outside its fits: Python, imports, reading the runs.
    overhead = loop["wall"] - loop["seconds"] * loop["fits"]
    loop_wall = overhead + loop["seconds"] * made["fits"]
    print(
        json.dumps(
            {
                "ratio": round(loop_wall / made["wall"], 1),
                "seconds_per_further_fit": round(made["seconds_per_further_fit"], 3),
                "min_ess_bulk": made["min_ess_bulk"],
                "divergences": made["divergences"],
                "fits": made["fits"],
                "not_converged": made["not_converged"],
                "programs": made["programs"],
                "seconds_per_first_fit": round(made["seconds_per_first_fit"], 1),
                "seconds": round(made["wall"], 1),
                "plain_seconds": round(loop_wall, 1),
                "plain_seconds_per_fit": round(loop["seconds"], 1),
                "plain_fits_measured": loop["fits"],
                "plain_divergences": loop["divergences"],
                "ess_per_second": round(made["sum_ess_bulk"] / made["wall"], 1),
                "plain_ess_per_second": round(loop["ess"] / loop["seconds"], 1),
                "ess_per_second_a_further_fit": round(
                    made["sum_ess_bulk"] / made["fits"] / made["seconds_per_further_fit"], 1
                ),
            }
        )
    )


if __name__ == "__main__":
    main()
