"""How long whole ladders take to sample, and whether they meet the targets of docs/geometry.md.

Run: uv run python benchmarks/ladder_sampling.py --data FOLDER [--only LADDER ...] [--seed N]
FOLDER holds the tables of the other ladders, as `benchmarks/routes.py` takes them; ladders have the
names that they have there, and here all 46 tasks of Gadre et al.

Prints a row an attempt, and one JSON line last. Seconds are those of `fit_ladder`, with compiling.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import pandas as pd
from ladder_backtests import loss_of
from routes import ladders

from bayes_scaling import LadderModel, fit_ladder

WHOLE = slice(None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=["Krajewski dclm, 20", "Gadre rw_original"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    seconds = {}
    for ladder in ladders(options.data, WHOLE):
        if ladder.name not in options.only:
            continue
        start = time.perf_counter()
        fit = fit_ladder(ladder.runs, LadderModel(loss=loss_of(ladder)), seed=options.seed)
        seconds[ladder.name] = round(time.perf_counter() - start)
        print(f"{fit!r}: {seconds[ladder.name]} s")
        with pd.option_context("display.width", 200, "display.max_columns", None):
            print(fit.attempts, flush=True)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
