"""Time of `bayes-scaling compare` on the embedded data by number of workers, in new processes.

Run: uv run python benchmarks/compare_workers.py [--workers 1 2 4] [--one-core] [--law NAME ...]
Each number of workers compares the same laws in an empty folder, from the command to its end,
imports and figures and all; a first comparison of one benchmark warms the caches. One worker fits
one law after the other, with the chains of a fit on all cores, as the command did before it had
workers; with --one-core it has one core, which shows what a second one is good for. The scores
have to be the same whatever the workers. More workers than cores show what the directing costs.
Prints one JSON line last.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

LAWS = (
    "power_law",
    "power_law_ceiling",
    "drifting_power_law",
    "two_stage_logistic",
    "loss_power_law",
)
COMMAND = Path(sys.executable).with_name("bayes-scaling")


def compare(laws: Sequence[str], workers: int, folder: Path, *more: str) -> float:
    """Return the seconds of a comparison in an empty folder."""
    chosen = [part for law in laws for part in ("--law", law)]
    start = time.perf_counter()
    subprocess.run(
        [COMMAND, "compare", *chosen, "--workers", str(workers), "--out", folder, *more],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return round(time.perf_counter() - start, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--one-core", action="store_true")
    parser.add_argument("--law", nargs="+", default=LAWS)
    options = parser.parse_args()
    if options.one_core:
        os.sched_setaffinity(0, {0})
    seconds, first = {}, None
    with tempfile.TemporaryDirectory() as scratch:
        compare(options.law, 1, Path(scratch) / "warm", "--benchmark", "arc_easy", "--draws", "100")
        for workers in options.workers:
            folder = Path(scratch) / str(workers)
            seconds[workers] = compare(options.law, workers, folder)
            scores = pd.read_csv(folder / "compare_scores.csv")
            first = scores if first is None else first
            pd.testing.assert_frame_equal(scores, first)
            print(f"{workers} workers: {seconds[workers]} s", flush=True)
    print(
        json.dumps(
            {"cores": len(os.sched_getaffinity(0)), "laws": len(options.law), "seconds": seconds}
        )
    )


if __name__ == "__main__":
    main()
