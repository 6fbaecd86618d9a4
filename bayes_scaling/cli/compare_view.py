"""What `bayes-scaling compare` writes and prints."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bayes_scaling.cli.tables import plain_records, plain_table
from bayes_scaling.datasets.krajewski2025 import PUBLISHED_ERRORS, is_published_split
from bayes_scaling.evaluation.comparison import compare
from bayes_scaling.evaluation.results import SCORES, Backtest
from bayes_scaling.evaluation.shown import Shown
from bayes_scaling.evaluation.splits import ComparisonPlan

# Fourteen forecasts side by side do not fit the 80 columns that Rich assumes for a pipe.
_WIDTH = 180
_INTERVALS = (
    "In brackets: 90% interval of a mean, clustered by run and benchmark. There is none below "
    "three runs or three benchmarks, and so none in the tables by benchmark."
)


def write(folder: Path, result: Backtest, figures: dict[str, Any]) -> list[Path]:
    """Write tables and figures; return the files."""
    import matplotlib.pyplot as plt

    result.by_model().to_csv(folder / "compare.csv", index=False)
    result.by_benchmark().to_csv(folder / "compare_by_benchmark.csv", index=False)
    result.scores.to_csv(folder / "compare_scores.csv", index=False)
    result.differences().to_csv(folder / "compare_differences.csv", index=False)
    tables = ["compare", "compare_by_benchmark", "compare_scores", "compare_differences"]
    if result.pairs:
        result.routes(by=["distance"]).to_csv(folder / "compare_routes.csv", index=False)
        tables.append("compare_routes")
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=160)
        plt.close(figure)
    return [folder / name for name in (*(f"{table}.csv" for table in tables), *figures)]


def draw(result: Backtest, shown: Shown) -> dict[str, Any]:
    """Return the figures by file name; those that need more fits are left out."""
    import matplotlib.pyplot as plt

    from bayes_scaling.plots import (
        plot_bands,
        plot_calibration,
        plot_comparison,
        plot_crps_by_distance,
    )

    plt.switch_backend("agg")
    figures = {"compare_crps.png": plot_crps_by_distance(result.scores)}
    if shown.fits:
        figures["compare_calibration.png"] = plot_calibration(result.scores)
        figures["compare_bands.png"] = plot_bands(shown.typical, shown.held_out)
    if len(shown.fits) > 1:
        figures["compare_elpd.png"] = plot_comparison(compare(shown.fits))
    return figures


def to_json(plan: ComparisonPlan, result: Backtest, files: list[Path]) -> dict[str, Any]:
    """Return everything that a program may want to know, in plain numbers and text."""
    published = _published(plan)
    return {
        "cutoff": plan.cutoff,
        "mixture": plan.runs.mixtures[0],
        "models": plain_records(result.by_model()),
        "published": published or None,
        "differences": plain_records(result.differences()),
        "routes": plain_records(result.routes(by=["distance"])) if result.pairs else [],
        "benchmarks": plain_records(result.by_benchmark()),
        "verdicts": result.verdicts(),
        "notes": list(plan.runs.notes),
        "files": [str(file) for file in files],
    }


def show(plan: ComparisonPlan, result: Backtest, files: list[Path]) -> None:
    """Print the results for a person."""
    published = _published(plan)
    console = Console(highlight=False, width=max(Console().width, _WIDTH))
    console.print(
        f"Fitted on C ≤ {plan.cutoff:.3g} FLOPs, mixture {plan.runs.mixtures[0]}; scored on the "
        "runs above. Errors are of the median, intervals of the score of one run.",
        style="bold",
    )
    console.print(_model_table(result.by_model(), published))
    console.print(_INTERVALS)
    if published:
        console.print(
            "Published: the same laws on this split in Krajewski et al. 2025 (arXiv:2512.08894), "
            "perhaps as means over seven of these benchmarks (docs/published.md)."
        )
    console.print(_difference_table(result.differences()))
    if result.pairs:
        console.print(_route_table(result.routes(by=["distance"])))
    cells = result.by_benchmark()
    for title, column in (("Mean absolute error", "mae"), ("CRPS", "crps"), ("90%", "cover90")):
        console.print(_cross_table(cells, title, column))
    for line in result.verdicts():
        console.print(escape(line), style="red" if line.startswith("NOT") else None)
    for note in plan.runs.notes:
        console.print(f"Note: {escape(note)}")
    console.print(f"Written: {', '.join(escape(str(file)) for file in files)}")


def _published(plan: ComparisonPlan) -> Mapping[str, Mapping[str, float]]:
    """Return the paper's errors by point fit, if the split is the one of its table."""
    return PUBLISHED_ERRORS if is_published_split(plan.runs, plan.cutoff) else {}


def _model_table(table: pd.DataFrame, published: Mapping[str, Mapping[str, float]]) -> Table:
    shown = plain_table()
    for name in ("model", "family"):
        shown.add_column(name, no_wrap=True)
    for name in (*SCORES, "weight"):
        shown.add_column(name, justify="right", no_wrap=True)
    beside = ("mre", "mae") if published else ()
    for name in beside:
        shown.add_column(f"published\n{name}", justify="right", no_wrap=True)
    for row in table.to_dict("records"):
        numbers = [_number(name, row[name]) + _between(name, row) for name in (*SCORES, "weight")]
        theirs = published.get(row["model"], {})
        numbers += [_number(name, theirs.get(name, np.nan)) for name in beside]
        shown.add_row(row["model"], row["family"], *numbers)
    return shown


def _number(name: str, value: float) -> str:
    if pd.isna(value):
        return "–"
    if name in ("mre", "cover50", "cover90"):
        return f"{100 * value:.2f}%" if name == "mre" else f"{100 * value:.0f}%"
    return (
        f"{value:.0f}" if name == "elpd" else f"{value:.2f}" if name == "weight" else f"{value:.4f}"
    )


def _between(name: str, row: Mapping[Hashable, Any]) -> str:
    """Return the interval of a mean CRPS or coverage; empty where there is none."""
    if name not in ("crps", "cover50", "cover90") or pd.isna(row[f"{name}_low"]):
        return ""
    low, high = (_number(name, row[f"{name}_{end}"]).rstrip("%") for end in ("low", "high"))
    return f" [{low}, {high}]"


def _difference_table(table: pd.DataFrame) -> Table:
    """Return the mean CRPS of each model less that of the reference, on shared scores."""
    shown = plain_table()
    shown.title = "CRPS less that of the reference, on the scores that both forecast"
    for name in ("model", "reference"):
        shown.add_column(name, no_wrap=True)
    for name in ("difference", "90% interval", "design effect", "scores"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in table.to_dict("records"):
        known = not pd.isna(row["low"])
        interval = f"{row['low']:+.4f} to {row['high']:+.4f}" if known else "–"
        effect = f"{row['design_effect']:.1f}" if known else "–"
        difference = f"{row['difference']:+.4f}"
        numbers = (difference, interval, effect, f"{row['n']}")
        shown.add_row(row["model"], row["reference"], *numbers)
    return shown


def _route_table(table: pd.DataFrame) -> Table:
    """Return how much larger the mean CRPS is through the loss, by pair and distance."""
    shown = plain_table()
    shown.title = (
        "CRPS through the loss less that of the same law direct, by compute over the largest fitted"
    )
    for name in ("distance", "law", "loss"):
        shown.add_column(name, no_wrap=True)
    for name in ("direct", "through the loss", "difference", "90% interval", "scores"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("better", no_wrap=True)
    for row in table.to_dict("records"):
        known = not pd.isna(row["low"])
        interval = f"{row['low']:+.4f} to {row['high']:+.4f}" if known else "–"
        means = (f"{row['direct_mean']:.4f}", f"{row['through_mean']:.4f}")
        numbers = (*means, f"{row['difference']:+.4f}", interval, f"{row['n']}")
        shown.add_row(str(row["distance"]), row["direct"], row["loss"], *numbers, row["better"])
    return shown


def _cross_table(cells: pd.DataFrame, title: str, column: str) -> Table:
    """Return benchmarks × models of one score."""
    wide = cells.pivot_table(index="benchmark", columns="model", values=column, sort=False)
    shown = plain_table()
    shown.title = (
        f"{title} by benchmark" if column != "cover90" else "Share inside the 90% interval"
    )
    shown.add_column("benchmark", no_wrap=True)
    for name in wide.columns:
        shown.add_column(str(name).replace("_", " "), justify="right", max_width=13)
    for benchmark, row in wide.iterrows():
        cells_ = (
            "–" if pd.isna(v) else f"{v:.0%}" if column == "cover90" else f"{v:.3f}" for v in row
        )
        shown.add_row(str(benchmark), *cells_)
    return shown
