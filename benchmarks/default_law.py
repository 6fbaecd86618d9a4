"""Which law should a user get who names none? Calibration by ladder, number of runs and distance.

Run: uv run python benchmarks/default_law.py --data FOLDER [--only LADDER ...] [--workers N]
    [--folder DIR] [--write-docs]
FOLDER holds the tables of the other ladders, as `benchmarks/routes.py` takes them; ladders have the
names that they have there. Nothing above 6e21 FLOPs of the embedded DCLM ladder is used.

What is forecast: runs above a tenth and above a two-hundredth of a ladder's largest budget, from
all smaller runs; and runs above a thirtieth of it, from sub-ladders of 4, 6 and 8 smaller runs at
geometric budgets (users have few). Benchmarks whose fitted scores take fewer than four values, or
three for a sub-ladder of four, are left out. Scores are put into bands of distance, the budget over
the largest fitted one.

The rule, written before the first table was made with it. A *cell* is a ladder, a number of runs
and a band of distance with 20 scores or more. All cells count alike.

(The split at a two-hundredth was added when the first results of the others were known, because
nothing else reaches beyond 30 times. The ladders of Gadre et al., of which every third task takes
part, were added later still, before any of their scores was seen; the rule stayed. So were the
mixtures of DataComp-LM, last of all: those with four runs or more on three budgets or more up to
3e21 FLOPs, every third of the tasks that they share with Gadre et al., and one split: the runs of
6.9B parameters from all smaller ones. Each mixture has few runs, so they are one ladder together.)

1. A law holds enough if its 90% intervals hold at least 85% of scores in the mean over cells,
   in every band of distance.
2. Of the laws that hold enough, the default is the one with the smallest mean of
   log(CRPS / smallest CRPS of any law in the cell).
3. If no law holds enough, it is the one whose worst band holds most.

It is applied to the laws in compute on all ladders, and to all laws where ratios vary.

The same rule, with two candidates, chooses between versions of a law (the random walk of version
0.7 and the drift that returns to its mean). Fits that have not converged stay in, and are counted.

Fits are kept in DIR, so that a run may be stopped and goes on; so are the scores of each ladder,
which are read from there for ladders that --only does not name. Prints the tables, and one JSON
line last.
"""

import argparse
import json
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pages import write_tables
from routes import EVERY_THIRD, IN_BOTH, IN_COMPUTE, Ladder, ladders

from bayes_scaling import BayesScalingError, FitStore, Runs, backtest, load_model
from bayes_scaling.datasets.gadre2024 import load_gadre
from bayes_scaling.evaluation.intervals import estimate
from bayes_scaling.evaluation.scoring import with_errors
from bayes_scaling.evaluation.splits import with_one_k

ROOT = Path(__file__).resolve().parent.parent
WHOLE = {"all": 0.1, "all, far": 1 / 200}
FEW = 1 / 30
SUB_LADDERS = (4, 6, 8)
BANDS = {"up to 3 times": 1, "3 to 10 times": 3, "10 to 30 times": 10, "above 30 times": 30}
FEWEST_SCORES, ENOUGH = 20, 0.85
MIXTURES, MIXTURES_CUTOFF = "DataComp-LM mixtures", 3e21
CELL = ["ladder", "runs", "band"]


@dataclass(frozen=True)
class Split:
    """Runs of a ladder that are fitted, and larger ones that are forecast."""

    name: str
    runs: Runs
    cutoff: float


def all_ladders(data: Path) -> Iterator[Ladder]:
    """Yield the development ladders with the mixtures of DataComp-LM, which have no loss."""
    yield from (ladder for ladder in ladders(data) if "own loss" not in ladder.name)
    yield Ladder(MIXTURES, mixtures(data), IN_BOTH, ())


def mixtures(data: Path) -> Runs:
    """Return the runs of the mixtures of DataComp-LM that have enough of them."""
    tasks = load_gadre(data).table.groupby("benchmark")[["n_items", "chance"]].first()
    table = pd.read_csv(data / "dclm_mixtures.csv").rename(columns={"task": "benchmark"})
    table = table.join(tasks, on="benchmark", how="inner").assign(metric="acc")
    chosen = sorted(table["benchmark"].unique())[EVERY_THIRD]
    flops = 6.0 * table["params"] * table["tokens"]
    small = table.assign(flops=flops)[flops <= MIXTURES_CUTOFF].groupby("mixture")
    counts = small[["run", "flops"]].nunique()
    enough = counts.index[(counts["run"] >= 4) & (counts["flops"] >= 3)]
    kept = table["benchmark"].isin(chosen) & table["mixture"].isin(enough)
    return Runs.from_frame(table[kept].drop(columns="seed"))


def splits(ladder: Ladder) -> Iterator[Split]:
    """Yield the splits of a ladder."""
    runs = with_one_k(ladder.runs)
    if ladder.name == MIXTURES:
        yield Split("all", usable(runs, MIXTURES_CUTOFF, 4), MIXTURES_CUTOFF)
        return
    largest = float(runs.table["flops"].max())
    for name, fraction in WHOLE.items():
        cutoff = fraction * largest
        enough = runs.below(cutoff).table["run"].nunique() >= max(SUB_LADDERS)
        if enough:
            yield Split(name, usable(runs, cutoff, 4), cutoff)
    cutoff = FEW * largest
    for n in SUB_LADDERS:
        chosen = geometric(runs.below(cutoff), n)
        if len(chosen) == n:
            table = runs.table
            kept = table["run"].isin(chosen) | (table["flops"] > cutoff)
            part = Runs.from_frame(table[kept])
            yield Split(f"{n}", usable(part, cutoff, min(n - 1, 4)), cutoff)


def geometric(runs: Runs, n: int) -> list[str]:
    """Return the names of n runs whose budgets are nearest to a geometric series."""
    budgets = np.log(runs.table.groupby("run")["flops"].first())
    chosen: list[str] = []
    for wanted in np.linspace(budgets.min(), budgets.max(), n):
        left = budgets.drop(chosen)
        if len(left):
            chosen.append(str((left - wanted).abs().idxmin()))
    return chosen


def usable(runs: Runs, cutoff: float, fewest: int) -> Runs:
    """Return the runs of series whose fitted scores differ."""
    key = ["benchmark", "metric", "mixture"]
    values = runs.below(cutoff).table.groupby(key)["score"].nunique()
    enough = values.index[values >= fewest]
    table = runs.table
    return Runs.from_frame(table[pd.MultiIndex.from_frame(table[key]).isin(enough)])


def candidates(ladder: Ladder) -> list[str]:
    """Return the names of the laws: those in compute, and where ratios vary those in both."""
    return list(dict.fromkeys((*IN_COMPUTE, *ladder.laws)))


def scores_of(ladder: Ladder, folder: Path, workers: int) -> pd.DataFrame:
    """Return a row for each law, split and held-out score of a ladder."""
    parts = []
    for split in splits(ladder):
        start = time.perf_counter()
        models = {name: load_model(name) for name in candidates(ladder)}
        try:
            result = backtest(
                models,
                split.runs,
                [split.cutoff],
                baselines=False,
                stack=False,
                store=FitStore(folder),
                workers=workers,
                draws=500,
                tune=500,
            )
        except BayesScalingError as error:
            print(f"{ladder.name}, {split.name} runs: {error}", flush=True)
            continue
        key = ["model", "benchmark", "metric", "mixture"]
        bad = result.fits.set_index(key)["problems"].ne("").rename("bad")
        found = result.scores.join(bad, on=key)
        parts.append(found.assign(ladder=ladder.name, runs=split.name))
        seconds = time.perf_counter() - start
        print(f"{ladder.name}, {split.name} runs: {len(found)} scores, {seconds:.0f} s", flush=True)
    return pd.concat(parts, ignore_index=True)


def in_bands(scores: pd.DataFrame) -> pd.DataFrame:
    """Return scores with their band of distance."""
    edges = [*BANDS.values(), np.inf]
    return scores.assign(band=pd.cut(scores["distance"], edges, labels=list(BANDS)))


def cells(scores: pd.DataFrame) -> pd.DataFrame:
    """Return CRPS, share inside 90% intervals and their width of each law in each cell."""
    scores = in_bands(scores).assign(
        inside=(scores["pit"] - 0.5).abs() <= 0.45,
        width=scores["q95"] - scores["q05"],
    )
    groups = scores.groupby([*CELL, "model"], observed=True)
    found = groups[["crps", "inside", "width", "bad"]].mean().assign(n=groups.size()).reset_index()
    return found[found["n"] >= FEWEST_SCORES]


def ranking(found: pd.DataFrame) -> pd.DataFrame:
    """Return what the rule looks at, a row for each law that takes part in every cell."""
    whole = found.groupby("model")["n"].size()
    found = found[found["model"].isin(whole.index[whole == whole.max()])]
    best = found.groupby(CELL, observed=True)["crps"].transform("min")
    found = found.assign(behind=np.log(found["crps"] / best))
    bands = found.pivot_table("inside", "model", "band", observed=True)
    bands = bands[[band for band in BANDS if band in bands]]
    means = found.groupby("model")[["behind", "width", "bad"]].mean()
    table = bands.assign(worst=bands.min(axis=1)).join(means)
    table.insert(len(bands.columns) + 1, "enough", table["worst"] >= ENOUGH)
    first = ["enough", "behind"] if table["enough"].any() else ["worst"]
    return table.sort_values(first, ascending=[name == "behind" for name in first])


def both_rankings(found: pd.DataFrame) -> pd.DataFrame:
    """Return the rankings of laws in compute, and of all laws where ratios vary."""
    varied = found[~found["model"].isin(IN_COMPUTE)]["ladder"].unique()
    parts = {
        "in compute, all ladders": found[found["model"].isin(IN_COMPUTE)],
        "all, where ratios vary": found[found["ladder"].isin(varied)],
    }
    tables = {name: ranking(part).round(3) for name, part in parts.items() if len(part)}
    return pd.concat(tables, names=["laws", "model"]).reset_index()


def page_table(found: pd.DataFrame, laws: Sequence[str]) -> pd.DataFrame:
    """Return CRPS, coverage and width, a row for each cell and a column for each law."""
    cell = found.assign(
        text=[
            f"{crps:.4f}, {inside:.0%}, {width:.3f}"
            for crps, inside, width in found[["crps", "inside", "width"]].to_numpy()
        ]
    )
    wide = cell.pivot_table("text", CELL, "model", "first", sort=False, observed=True)
    return wide[[law for law in laws if law in wide]].fillna("").reset_index()


def coverage(scores: pd.DataFrame, chosen: Sequence[str]) -> pd.DataFrame:
    """Return the share inside 90% intervals of the default law, by ladder and band.

    All splits are together. Intervals are clustered by run and benchmark; below three of either
    there is none. `chosen` are the defaults in compute, and where ratios vary.
    """
    rows = []
    for ladder, part in in_bands(scores).groupby("ladder", sort=False):
        law = next(law for law in reversed(chosen) if law in set(part["model"]))
        row = {"ladder": ladder, "default": law}
        for band in BANDS:
            there = part[(part["model"] == law) & (part["band"] == band)]
            row[band] = ""
            if len(there) >= FEWEST_SCORES:
                found = estimate(with_errors(there), "cover90")
                ends = "" if found.problem else f" ({found.low:.0%} to {found.high:.0%})"
                row[band] = f"{found.mean:.0%}{ends}"
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "default_law")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    options.folder.mkdir(parents=True, exist_ok=True)
    start, parts = time.perf_counter(), []
    for ladder in all_ladders(options.data):
        kept = options.folder / f"{ladder.name}.csv"
        if not options.only or ladder.name in options.only:
            scores_of(ladder, options.folder, options.workers).to_csv(kept, index=False)
        if kept.is_file():
            parts.append(pd.read_csv(kept))
    scores = pd.concat(parts, ignore_index=True)
    found = cells(scores)
    order = both_rankings(found)
    chosen = order.groupby("laws", sort=False)["model"].first().to_dict()
    by_ladder = coverage(scores, list(chosen.values()))
    print(by_ladder.to_string(index=False))
    laws = list(dict.fromkeys(order["model"]))
    print(page_table(found, laws).to_string(index=False))
    print(order.to_string(index=False))
    if options.write_docs:
        cells_shown = page_table(found, laws)
        tables = {"ranking": order, "cells": cells_shown, "ladders": by_ladder}
        write_tables("default.md", tables)
    print(json.dumps({"default": chosen, "seconds": round(time.perf_counter() - start)}))


if __name__ == "__main__":
    main()
