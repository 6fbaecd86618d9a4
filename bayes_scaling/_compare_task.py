"""The work behind `bayes-scaling compare`: from options to scores, files, figures and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bayes_scaling._tables import plain_records, plain_table
from bayes_scaling.backtest import STACKED, Backtest, backtest
from bayes_scaling.compare import compare
from bayes_scaling.datasets import load_csv, load_dataset
from bayes_scaling.datasets.krajewski2025 import PUBLISHED_ERRORS, STANDARD_BENCHMARKS
from bayes_scaling.errors import RunsError
from bayes_scaling.fit import Fit
from bayes_scaling.model import ScalingModel, load_model
from bayes_scaling.observations import ratios_vary
from bayes_scaling.runs import Runs, SeriesKey
from bayes_scaling.store import FitStore

LAWS = (
    "power_law",
    "power_law_ceiling",
    "broken_power_law",
    "drifting_power_law",
    "drifting_power_law_ceiling",
    "two_stage_linear",
    "two_stage_logistic",
    "exponential_loss",
)
# Only a ladder of several ratios of tokens to parameters can say what each of the two is worth.
RATIO_LAW = "drifting_params_tokens"
_EMBEDDED_RATIO = 20.0
_EMBEDDED_CUT = {"dclm": 6e21}
# Elsewhere the runs in the last factor of 6 of compute are held out, about as in the paper.
_HELD_OUT_FACTOR = 6.0


_WIDTH = 180


@dataclass(frozen=True)
class Task:
    """What to compare.

    Models by name, series of runs, the largest budget to fit, the loss of point fits, and
    whether all this is the split that the paper's own table is of.
    """

    models: dict[str, ScalingModel]
    runs: Runs
    cutoff: float
    loss: str
    is_papers: bool


@dataclass(frozen=True)
class Shown:
    """The series in the figures: fits by name, none if only point fits could be made."""

    fits: dict[str, Fit]
    held_out: Runs


def choose(
    file: Path | None,
    mixture: str | None,
    benchmarks: Sequence[str],
    tokens_per_param: float | None,
    fit_below: float | None,
    laws: Sequence[str],
    loss: str | None,
    *,
    all_ratios: bool = False,
) -> Task:
    """Return the task that the options name; see the help of the command."""
    if all_ratios and tokens_per_param is not None:
        raise RunsError("give --tokens-per-param or --all-ratios, not both")
    ratio = tokens_per_param
    if file is None:
        runs = _embedded(mixture or "dclm", benchmarks)
        ratio = _EMBEDDED_RATIO if ratio is None and not all_ratios else ratio
    else:
        runs = load_csv(file).select(mixture=mixture, benchmark=list(benchmarks) or None)
        if len(runs.mixtures) > 1:
            raise RunsError(f"choose one with --mixture: {', '.join(runs.mixtures)}")
    runs = _one_k(runs if ratio is None else runs.select(tokens_per_param=ratio))
    cutoff = fit_below
    if cutoff is None and file is None:
        cutoff = _EMBEDDED_CUT.get(runs.mixtures[0])
    if cutoff is None:
        cutoff = float(runs.table["flops"].max()) / _HELD_OUT_FACTOR
    fitted = runs.below(cutoff).table
    laws = laws or ((*LAWS, RATIO_LAW) if ratios_vary(fitted) else LAWS)
    models = {Path(law).stem: load_model(law) for law in laws}
    models = {n: m.with_options(loss=loss) if m.two_stage else m for n, m in models.items()}
    standard = file is None and not benchmarks and ratio == _EMBEDDED_RATIO
    is_papers = standard and cutoff == _EMBEDDED_CUT.get(runs.mixtures[0])
    return Task(models, runs, cutoff, loss or "auto", is_papers)


def _embedded(mixture: str, benchmarks: Sequence[str]) -> Runs:
    runs = load_dataset(mixture=mixture)
    unknown = [b for b in benchmarks if b not in STANDARD_BENCHMARKS]
    if unknown:
        runs.select(benchmark=unknown)  # says what there is, if it is not there at all
    chosen = {b: STANDARD_BENCHMARKS.get(b) for b in benchmarks} or STANDARD_BENCHMARKS
    return Runs.concat([runs.select(benchmark=b, metric=m) for b, m in chosen.items()])


def _one_k(runs: Runs) -> Runs:
    """Return the runs with pass@k at its smallest k only, which all laws can read."""
    parts = [
        series.select(k=int(series.table["k"].min())) if key.metric == "pass@k" else series
        for key, series in runs.series()
    ]
    return Runs.concat(parts)


def run(task: Task, folder: Path, on_fit: Callable[[str], None], **settings: Any) -> Backtest:
    """Fit and score everything; finished fits are kept in the folder and used again."""
    store = FitStore(folder / "fits")
    return backtest(
        task.models,
        task.runs,
        [task.cutoff],
        loss=task.loss,
        loo=True,
        store=store,
        on_fit=on_fit,
        **settings,
    )


def shown_fits(task: Task, result: Backtest, folder: Path, **settings: Any) -> Shown:
    """Return the stored fits of the first series that most models could be fitted to."""
    if result.fits.empty:
        return Shown({}, task.runs.above(task.cutoff))
    groups = result.fits.groupby(["benchmark", "metric", "mixture"], sort=False)
    fitted = {SeriesKey(*map(str, key)): list(rows["model"]) for key, rows in groups}
    most = max(fitted, key=lambda key: len(fitted[key]))
    series = dict(task.runs.series())[most]
    store, below = FitStore(folder / "fits"), series.below(task.cutoff)
    fits = {name: store.fit(below, task.models[name], **settings) for name in fitted[most]}
    return Shown(fits, series.above(task.cutoff))


# ---- results -----------------------------------------------------------------------------------

COLUMNS = ["mre", "mae", "rmse", "r2", "elpd", "crps", "cover50", "cover90"]


def by_model(result: Backtest) -> pd.DataFrame:
    """Return a row a model: mean scores over benchmarks, and weight in the stacked forecast."""
    table = result.summary()
    weights = {} if result.weights.empty else result.weights.iloc[0].drop("cutoff").to_dict()
    table["weight"] = table["model"].map(weights)
    order = ["model", "family", *COLUMNS, "weight", "width50", "width90", "n", "benchmarks"]
    return table[order].sort_values("crps", ignore_index=True)


def by_benchmark(result: Backtest) -> pd.DataFrame:
    """Return a row a model × benchmark, with leave-one-out scores and diagnostics."""
    key = ["model", "benchmark", "metric", "mixture", "cutoff"]
    table = result.summary([*key, "family"]).drop(columns="benchmarks")
    if result.fits.empty:
        return table
    return table.merge(result.fits, on=key, how="left")


def write(folder: Path, result: Backtest, figures: dict[str, Any]) -> list[Path]:
    """Write tables and figures; return the files."""
    import matplotlib.pyplot as plt

    by_model(result).to_csv(folder / "compare.csv", index=False)
    by_benchmark(result).to_csv(folder / "compare_by_benchmark.csv", index=False)
    result.scores.to_csv(folder / "compare_scores.csv", index=False)
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=160)
        plt.close(figure)
    tables = ["compare.csv", "compare_by_benchmark.csv", "compare_scores.csv"]
    return [folder / name for name in (*tables, *figures)]


def draw(result: Backtest, shown: Shown) -> dict[str, Any]:
    """Return the figures by file name, without those that there are too few fits for."""
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
        typical = [n for n in ("drifting_power_law", "two_stage_logistic") if n in shown.fits]
        fits = {name: shown.fits[name] for name in typical or list(shown.fits)[:2]}
        figures["compare_calibration.png"] = plot_calibration(result.scores)
        figures["compare_bands.png"] = plot_bands(fits, shown.held_out)
    if len(shown.fits) > 1:
        figures["compare_elpd.png"] = plot_comparison(compare(shown.fits))
    return figures


def verdicts(result: Backtest) -> list[str]:
    """Return what the tables say, in plain words: where we lose, and where LOO misleads."""
    cells = by_benchmark(result)
    found = [*_uneven(cells), *_losses(cells), *_disagreement(cells)]
    if not result.fits.empty:
        bad = result.fits[result.fits["problems"] != ""]
        found += [
            f"NOT CONVERGED: {row.model} on {row.benchmark}: {row.problems}"
            for row in bad.itertuples()
        ]
    reasons = result.skipped.groupby("reason", sort=False)
    found += [f"left out: {', '.join(sorted(set(g['model'])))}: {r}" for r, g in reasons]
    return found


def _uneven(cells: pd.DataFrame) -> list[str]:
    """Return whose means are of fewer benchmarks than others', and so not to be held to theirs."""
    counts = cells.groupby("model", sort=False)["benchmark"].nunique()
    most = counts.max()
    return [
        f"Means over {n} of {most} benchmarks only, not to be held to those over all: "
        f"{', '.join(counts.index[counts == n])}; the tables by benchmark have both"
        for n in counts[counts < most].unique()
    ]


def _losses(cells: pd.DataFrame) -> list[str]:
    mae = cells.pivot_table(index="benchmark", columns="model", values="mae")
    if STACKED not in mae or "least_squares_direct" not in mae:
        return []
    mae = mae.dropna(subset=[STACKED, "least_squares_direct"])
    lost = mae.index[mae[STACKED] > mae["least_squares_direct"]]
    where = f": {', '.join(lost)}" if len(lost) else ""
    return [
        f"The stacked forecast has a larger absolute error than the least-squares direct law on "
        f"{len(lost)} of {len(mae)} benchmarks{where}"
    ]


def _disagreement(cells: pd.DataFrame) -> list[str]:
    if "elpd_loo" not in cells:
        return []
    known = cells.dropna(subset=["elpd_loo"])
    best_loo = known.loc[known.groupby("benchmark")["elpd_loo"].idxmax()].set_index("benchmark")
    best_ahead = known.loc[known.groupby("benchmark")["crps"].idxmin()].set_index("benchmark")
    differ = best_loo.index[best_loo["model"] != best_ahead["model"]]
    lines = [
        f"{b}: leave-one-out prefers {best_loo.loc[b, 'model']}, "
        f"held-out runs {best_ahead.loc[b, 'model']}"
        for b in differ
    ]
    head = (
        f"Leave-one-out (interpolation) and held-out runs (extrapolation) name the same best "
        f"model on {len(best_loo) - len(differ)} of {len(best_loo)} benchmarks"
    )
    return [head, *lines]


def to_json(task: Task, result: Backtest, files: list[Path]) -> dict[str, Any]:
    """Return everything that a program may want to know, in plain numbers and text."""
    return {
        "cutoff": task.cutoff,
        "mixture": task.runs.mixtures[0],
        "models": plain_records(by_model(result)),
        "published": PUBLISHED_ERRORS if task.is_papers else None,
        "benchmarks": plain_records(by_benchmark(result)),
        "verdicts": verdicts(result),
        "notes": list(task.runs.notes),
        "files": [str(file) for file in files],
    }


def show(task: Task, result: Backtest, files: list[Path]) -> None:
    """Print the results for a person."""
    # Fourteen forecasts side by side do not fit the 80 columns that a pipe is taken to have.
    console = Console(highlight=False, width=max(Console().width, _WIDTH))
    console.print(
        f"Fitted on C ≤ {task.cutoff:.3g} FLOPs, mixture {task.runs.mixtures[0]}; scored on the "
        "runs above. Errors are of the median, intervals of the score of one run.",
        style="bold",
    )
    console.print(_model_table(by_model(result), PUBLISHED_ERRORS if task.is_papers else {}))
    if task.is_papers:
        console.print(
            "Published: the same point fits of this split in Krajewski et al. 2025 "
            "(arXiv:2512.08894), whose treatment of runs near chance we know in part."
        )
    cells = by_benchmark(result)
    for title, column in (("Mean absolute error", "mae"), ("CRPS", "crps"), ("90%", "cover90")):
        console.print(_cross_table(cells, title, column))
    for line in verdicts(result):
        console.print(escape(line), style="red" if line.startswith("NOT") else None)
    for note in task.runs.notes:
        console.print(f"Note: {escape(note)}")
    console.print(f"Written: {', '.join(escape(str(file)) for file in files)}")


def _model_table(table: pd.DataFrame, published: Mapping[str, Mapping[str, float]]) -> Table:
    shown = plain_table()
    for name in ("model", "family"):
        shown.add_column(name, no_wrap=True)
    for name in (*COLUMNS, "weight"):
        shown.add_column(name, justify="right", no_wrap=True)
    beside = ("mre", "mae") if published else ()
    for name in beside:
        shown.add_column(f"published\n{name}", justify="right", no_wrap=True)
    for row in table.to_dict("records"):
        numbers = [_number(name, row[name]) for name in (*COLUMNS, "weight")]
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
