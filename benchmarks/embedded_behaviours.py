"""Behaviours of the embedded benchmarks: what changes with the corpus, the loss and the set-up.

Run: uv run python benchmarks/embedded_behaviours.py [--workers N] [--folder DIR] [--write-docs]
Two mixtures (DCLM and C4), three validation losses, and two metrics of six benchmarks. Trends are
kept in DIR. Prints the tables, and one JSON line last.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import pandas as pd
from pages import write_tables

from bayes_scaling import Classification, classify, load_dataset
from bayes_scaling.evaluation.classification import SHAPES_DIFFER

ROOT = Path(__file__).resolve().parent.parent
LOSS = "loss_c4"


def by_task(found: Classification) -> pd.DataFrame:
    """Return the behaviour of each task: both mixtures together, and each by itself."""
    table = found.table().set_index("task")
    shown = pd.DataFrame({"both": _told(table), **table[["explained", "apart"]].round(2)})
    context = found.context().query("loss == @LOSS")
    for mixture, rows in context.groupby("mixture"):
        shown[str(mixture)] = _told(rows.set_index("task"))
    corpora = found.contrasts().query("kind == 'corpus' and loss == @LOSS").set_index("task")
    shown["P(change)"] = corpora["p_change"].round(2)
    return shown.reset_index()


def _told(table: pd.DataFrame) -> pd.Series:
    """Return the most probable behaviour with its probability."""
    told = [
        row["behaviour"] + (f" {row[name]:.2f}" if name in row else "")
        for _, row in table.iterrows()
        for name in [f"p_{row['behaviour']}"]
    ]
    return pd.Series(told, index=table.index)


def by_set_up(found: Classification) -> pd.DataFrame:
    """Return how probable it is that two metrics of one benchmark behave differently."""
    rows = found.contrasts().query("kind == 'set-up'")
    return rows[["task", "a", "b", "p_change"]].round(2)


def by_loss(found: Classification) -> pd.DataFrame:
    """Return, for each validation loss, on how many tasks which mixture looks better."""
    corpora = found.contrasts().query("kind == 'corpus'")
    groups = corpora.groupby("loss")
    first, second = corpora[["a", "b"]].iloc[0]
    return pd.DataFrame(
        {
            f"{first} better, P > 0.9": groups["p_better"].apply(lambda p: int((p > 0.9).sum())),
            f"{second} better, P > 0.9": groups["p_better"].apply(lambda p: int((p < 0.1).sum())),
            "steeper is certain": groups["p_steeper"].apply(
                lambda p: int(((p - 0.5).abs() > 0.4).sum())
            ),
            "tasks": groups.size(),
        }
    ).reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "embedded_behaviours")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    runs = load_dataset()
    found = classify(runs, LOSS, losses=runs.losses, workers=options.workers, folder=options.folder)
    tables = {
        "embedded tasks": by_task(found),
        "embedded set-ups": by_set_up(found),
        "embedded losses": by_loss(found),
    }
    for table in tables.values():
        print(table.to_string(index=False))
    if options.write_docs:
        write_tables("predictability.md", tables)
    share = found.share()
    contrasts = found.contrasts()
    print(
        json.dumps(
            {
                "share": {k: round(share[k], 3) for k in ("median", "q05", "q95")},
                "tasks": share["n_tasks"],
                "apart": int((found.table()["apart"] > SHAPES_DIFFER).sum()),
                "flips": int((contrasts.groupby("task")["p_flip"].max() > 0.9).sum()),
                "not converged": int((found.table()["problems"] != "").sum()),
                "seconds": round(time.perf_counter() - start),
            }
        )
    )


if __name__ == "__main__":
    main()
