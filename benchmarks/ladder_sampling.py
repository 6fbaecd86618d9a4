"""How long whole ladders take to sample, and whether they meet the targets of docs/geometry.md.

Run: uv run python benchmarks/ladder_sampling.py [--data FOLDER] [--only LADDER ...] [--seed N]
The embedded ladder is "DCLM": 12 benchmarks, runs up to 6e21 FLOPs. With FOLDER, which holds the
tables of Gadre et al. (2024), each of their mixtures is a ladder of 46 tasks, named as the mixture.

Prints a row an attempt, and one JSON line last. Seconds are those of `fit_ladder`, with compiling.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import pandas as pd

from bayes_scaling import LadderModel, Runs, fit_ladder
from bayes_scaling.datasets.gadre2024 import load_gadre
from bayes_scaling.datasets.krajewski2025 import PUBLISHED_CUTOFF, standard_runs
from bayes_scaling.evaluation.splits import with_one_k

GADRE_LOSS = "loss_c4_val"
MIXTURES = ("c4_original", "rpj", "rw_original")


def ladder(name: str, data: Path | None) -> tuple[Runs, str]:
    """Return the runs of a ladder, and the loss that its benchmarks share."""
    if name == "DCLM":
        return with_one_k(standard_runs("dclm").below(PUBLISHED_CUTOFF)), "loss_dclm"
    return load_gadre(data).select(mixture=name), GADRE_LOSS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", nargs="*", choices=("DCLM", *MIXTURES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = options.only or ("DCLM", *(MIXTURES if options.data else ()))
    if options.data is None and set(names) & set(MIXTURES):
        parser.error("mixtures of Gadre et al. need --data")
    warnings.simplefilter("ignore")
    seconds = {}
    for name in names:
        runs, loss = ladder(name, options.data)
        start = time.perf_counter()
        fit = fit_ladder(runs, LadderModel(loss=loss), seed=options.seed)
        seconds[name] = round(time.perf_counter() - start)
        print(f"{fit!r}: {seconds[name]} s")
        with pd.option_context("display.width", 200, "display.max_columns", None):
            print(fit.attempts, flush=True)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
