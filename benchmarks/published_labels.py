"""Behaviours of the 46 tasks of Gadre et al. 2024, beside the labels of Lourie et al. 2025.

Run: uv run python benchmarks/published_labels.py --data FOLDER [--loss LOSS] [--workers N]
    [--folder DIR] [--write-docs]
FOLDER holds the tables of Gadre et al. and lourie2025_labels.csv. The rules are the defaults of
`BehaviourRules`, which were fixed by simulation (benchmarks/behaviours.py) before any label was
read. The labels are compared with, and nothing is fitted to them.

Forecasts: runs of at most a tenth of the largest budget of a mixture are fitted by
drifting_power_law, and the larger ones are forecast.

Trends and fits are kept in DIR. Prints the tables, and one JSON line last.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from pages import as_markdown, replace_between

from bayes_scaling import Classification, FitStore, backtest, classify, load_gadre
from bayes_scaling.evaluation.behaviours import BEHAVIOURS
from bayes_scaling.evaluation.forecastability import forecastable
from bayes_scaling.plots import plot_behaviours, plot_flips, plot_trend

ROOT = Path(__file__).resolve().parent.parent
LAW = "drifting_power_law"
RESAMPLED = 4000
# The published names of behaviours, as ours.
NAMES = {"non-monotonic": "nonmonotone", "nonmonotonic": "nonmonotone"}


def kappa(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return Cohen's kappa of two labels of each task."""
    agreed = np.mean(ours == theirs)
    by_chance = sum(np.mean(ours == name) * np.mean(theirs == name) for name in BEHAVIOURS)
    return float((agreed - by_chance) / (1 - by_chance))


def kappa_interval(table: pd.DataFrame, theirs: np.ndarray) -> np.ndarray:
    """Return the 90% interval over tasks, and over the posterior of each task's behaviour."""
    rng = np.random.default_rng(0)
    weights = table[[f"p_{name}" for name in BEHAVIOURS]].to_numpy().cumsum(axis=1)
    found = []
    for _ in range(RESAMPLED):
        rows = rng.integers(len(table), size=len(table))
        drawn = (weights[rows] < rng.random((len(table), 1)) * weights[rows, -1:]).sum(axis=1)
        found.append(kappa(np.array(BEHAVIOURS)[drawn], theirs[rows]))
    return np.quantile(found, [0.05, 0.95])


def sentence(row: pd.Series) -> str:
    """Return why we differ, from the numbers of a task."""
    return (
        f"We say {row['behaviour']} ({row[f'p_{row["behaviour"]}']:.0%}), they {row['label']} (to "
        f"which we give {row[f'p_{row["label"]}']:.0%}). The trend explains {row['explained']:.0%} "
        f"of the variance beyond item noise."
    )


def forecasts(data: Path, folder: Path, workers: int) -> pd.DataFrame:
    """Return which tasks are predictable for forecasting."""
    gadre, parts = load_gadre(data), []
    for mixture in gadre.mixtures:
        runs = gadre.select(mixture=mixture)
        cutoff = 0.1 * float(runs.table["flops"].max())
        result = backtest(
            {LAW: LAW},
            runs,
            [cutoff],
            baselines=False,
            stack=False,
            store=FitStore(folder),
            workers=workers,
            draws=500,
            tune=500,
        )
        parts.append(result)
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.joined(part)
    return forecastable(whole, gadre, LAW)


def figures(found: Classification, differ: list[str]) -> None:
    """Write the figures of the page, and one for each task where we differ."""
    plt.switch_backend("agg")
    for name, plot in (("behaviours", plot_behaviours), ("flips", plot_flips)):
        figure = plot(found)
        figure.savefig(ROOT / "docs" / "img" / f"{name}.png", dpi=100)
        plt.close(figure)
    for task in differ:
        ax = plot_trend(found, task)
        ax.figure.savefig(ROOT / "docs" / "img" / f"trend_{task}.png", dpi=80)
        plt.close(ax.figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--loss", default="loss_c4_val")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "published_labels")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    gadre = load_gadre(options.data)
    found = classify(
        gadre,
        options.loss,
        losses=gadre.losses,
        workers=options.workers,
        folder=options.folder / "trends",
        show=lambda done, _, what: print(f"  {done} done: {what}", flush=True),
    )
    seconds = round(time.perf_counter() - start)
    labels = pd.read_csv(options.data / "lourie2025_labels.csv")
    labels["label"] = labels["label"].str.lower().replace(NAMES)
    table = found.table().merge(labels[["task", "label"]], on="task", how="left")
    assert set(table["label"]) <= set(BEHAVIOURS), set(table["label"])
    theirs, ours = table["label"].to_numpy(), table["behaviour"].to_numpy()
    confusion = pd.crosstab(table["label"], table["behaviour"]).reindex(
        index=BEHAVIOURS[::-1], columns=BEHAVIOURS[::-1], fill_value=0
    )
    value, (low, high) = kappa(ours, theirs), kappa_interval(table, theirs)
    two = [np.where(x == "predictable", "predictable", "noisy") for x in (ours, theirs)]
    share = found.share()
    ahead = forecasts(options.data, options.folder / "fits", options.workers)
    by_task = table.merge(
        ahead[["task", "skill", "cover90", "forecastable"]], on="task", how="left"
    )
    differ = by_task[by_task["label"] != by_task["behaviour"]]
    shown = by_task.assign(
        **{"P(label)": [row[f"p_{row['label']}"] for _, row in by_task.iterrows()]}
    )[["task", "label", "behaviour", "P(label)", "explained", "skill", "forecastable"]].round(2)
    curve = pd.DataFrame(share["by_threshold"]).round(2)
    print(confusion.to_string(), shown.to_string(), curve.to_string(), sep="\n")
    if options.write_docs:
        page = ROOT / "docs" / "predictability.md"
        text = page.read_text(encoding="utf-8")
        parts = {
            "confusion": as_markdown(confusion.rename_axis("published").reset_index()),
            "tasks": as_markdown(shown),
            "thresholds": as_markdown(curve),
            "differences": "\n\n".join(
                f"**{r['task']}.** {sentence(r)}\n\n![{r['task']}](img/trend_{r['task']}.png)"
                for _, r in differ.iterrows()
            ),
        }
        for name, part in parts.items():
            text = replace_between(text, name, part)
        page.write_text(text, encoding="utf-8")
        figures(found, differ["task"].tolist())
    contrasts = found.contrasts()
    corpora = contrasts[(contrasts["kind"] == "corpus") & (contrasts["loss"] == options.loss)]
    print(
        json.dumps(
            {
                "share": {k: round(share[k], 3) for k in ("median", "q05", "q95")},
                "agreed": round(float(np.mean(ours == theirs)), 3),
                "kappa": [round(float(v), 3) for v in (value, low, high)],
                "kappa of predictable or not": round(kappa(*two), 3),
                "forecastable": round(float(ahead["forecastable"].mean()), 3),
                "both": round(float((by_task["forecastable"] & (ours == "predictable")).mean()), 3),
                "corpus changes behaviour": int(
                    (corpora.groupby("task")["p_change"].max() > 0.9).sum()
                ),
                "flips": int((contrasts.groupby("task")["p_flip"].max() > 0.9).sum()),
                "not converged": int((table["problems"] != "").sum()),
                "seconds of classify": seconds,
            }
        )
    )


if __name__ == "__main__":
    main()
