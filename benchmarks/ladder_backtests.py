"""The ladder model against laws fitted to one benchmark at a time, on runs it was not shown.

Run: uv run python benchmarks/ladder_backtests.py --data FOLDER [--only LADDER ...] [--workers N]
    [--folder DIR] [--write-docs]
FOLDER holds the tables of the other ladders, as `benchmarks/routes.py` takes them; ladders have the
names that they have there.

The rule, written before the table was made with it: runs of at most a tenth of a ladder's largest
budget are fitted and the larger ones are scored. Nothing above 6e21 FLOPs of the embedded DCLM
ladder is used. Benchmarks whose fitted scores take fewer than four values are left out. The laws
are four in compute: with a drift and with a ceiling, each direct and through the loss. Fits that
have not converged stay in the table, and are counted.

Prints the table, and one JSON line last.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import pandas as pd
from pages import as_markdown, replace_between
from routes import Ladder, ladders

from bayes_scaling import Backtest, FitStore, LadderModel, Runs, backtest, load_model
from bayes_scaling.evaluation.ladder_backtesting import LADDER, backtest_ladder

ROOT = Path(__file__).resolve().parent.parent
LAWS = (
    "drifting_power_law",
    "power_law_ceiling",
    "loss_drifting_power_law",
    "loss_power_law_ceiling",
)
FRACTION = 0.1
BANDS = {"up to 3 times": (1, 3), "3 to 10 times": (3, 10), "10 to 30 times": (10, 30)}
FEWEST_SCORES = 4


def loss_of(ladder: Ladder) -> str:
    """Return the loss that all benchmarks share: that of the mixture, or the only one."""
    shared = [loss for loss in ladder.losses if loss != "task_loss"]
    return shared[0] if shared else ladder.runs.losses[0]


def usable(runs: Runs, cutoff: float) -> Runs:
    """Return the runs of benchmarks whose fitted scores differ."""
    values = runs.below(cutoff).table.groupby("benchmark")["score"].nunique()
    return runs.select(benchmark=values.index[values >= FEWEST_SCORES].tolist())


def run(ladder: Ladder, folder: Path, workers: int) -> tuple[Backtest, float]:
    """Return the scores of all models of a ladder, and the seconds of the ladder model."""
    cutoff = FRACTION * float(ladder.runs.table["flops"].max())
    runs, loss = usable(ladder.runs, cutoff), loss_of(ladder)
    start = time.perf_counter()
    pooled = backtest_ladder(runs, [cutoff], LadderModel(loss=loss), on_fit=print)
    seconds = time.perf_counter() - start
    models = {name: load_model(name) for name in LAWS}
    for name, model in models.items():
        if model.two_stage:
            models[name] = model.with_options(loss=loss)
    alone = backtest(
        models,
        runs,
        [cutoff],
        baselines=False,
        stack=False,
        store=FitStore(folder),
        workers=workers,
        draws=500,
        tune=500,
    )
    return alone.joined(pooled), seconds


def table_of(name: str, result: Backtest) -> pd.DataFrame:
    """Return the rows of one ladder for the page: a model each, bands side by side."""
    rows = {}
    for band, (low, high) in BANDS.items():
        near = result.scores["distance"].between(low, high, inclusive="right")
        for model, part in result.scores[near].groupby("model"):
            inside = ((part["pit"] - 0.5).abs() <= 0.45).mean()
            width = (part["q95"] - part["q05"]).mean()
            cell = f"{part['crps'].mean():.4f}, {inside:.0%}, {width:.3f}"
            rows.setdefault(model, {})[f"{band}: CRPS, inside 90%, width"] = cell
    bad = result.fits[result.fits["problems"] != ""].groupby("model").size()
    differences = result.differences(LADDER).set_index("model")
    table = pd.DataFrame(rows).T.loc[[LADDER, *LAWS]].fillna("")
    table.insert(0, "ladder", name)
    table["CRPS less that of the ladder model"] = [
        "" if model == LADDER else _with_interval(differences.loc[model]) for model in table.index
    ]
    fits = result.fits.groupby("model").size()
    table["not converged"] = [
        f"{bad.get(model, 0)} of {fits[model]}"
        if model != LADDER
        else ("the fit" if bad.get(model, 0) else "none")
        for model in table.index
    ]
    return table.rename_axis("model").reset_index()[["ladder", "model", *table.columns[1:]]]


def _with_interval(row: pd.Series) -> str:
    between = "" if pd.isna(row["low"]) else f" ({row['low']:+.4f} to {row['high']:+.4f})"
    return f"{row['difference']:+.4f}{between}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=["Krajewski dclm, 20", "OLMo"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "ladder_backtests")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    options.folder.mkdir(parents=True, exist_ok=True)
    tables, seconds = [], {}
    for ladder in ladders(options.data):
        if ladder.name not in options.only:
            continue
        result, seconds[ladder.name] = run(ladder, options.folder, options.workers)
        result.scores.to_csv(options.folder / f"{ladder.name}.csv", index=False)
        tables.append(table_of(ladder.name, result))
        print(tables[-1].to_string(index=False), flush=True)
    if options.write_docs:
        page = ROOT / "docs" / "ladder.md"
        text = page.read_text(encoding="utf-8")
        table = as_markdown(pd.concat(tables))
        page.write_text(replace_between(text, "backtests", table), encoding="utf-8")
    print(json.dumps({"seconds of the ladder model": {k: round(v) for k, v in seconds.items()}}))


if __name__ == "__main__":
    main()
