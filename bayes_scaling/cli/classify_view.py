"""What `bayes-scaling classify` reads, writes and prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bayes_scaling.cli.tables import plain, plain_records, plain_table
from bayes_scaling.datasets import load_csv, load_dataset, load_gadre
from bayes_scaling.evaluation.behaviours import BEHAVIOURS, PREDICTABLE
from bayes_scaling.evaluation.classification import CANNOT_TELL, SHAPES_DIFFER, Classification
from bayes_scaling.runs import Runs

EMBEDDED_LOSS = "loss_c4"
_LIKELY = 0.9  # a change more probable than this is counted
_WORTH_NAMING = 0.01  # a second behaviour less probable than this is not named


@dataclass(frozen=True)
class ClassificationTables:
    """The tables of a classification."""

    tasks: pd.DataFrame
    context: pd.DataFrame
    contrasts: pd.DataFrame
    share: dict[str, Any]


def read(path: Path | None, benchmarks: list[str] | None, mixtures: list[str] | None) -> Runs:
    """Return the runs of a CSV file, of the folder of Gadre et al., or the embedded ones."""
    if path is None:
        runs = load_dataset()
    elif path.is_dir():
        runs = load_gadre(path)
    else:
        runs = load_csv(path)
    return runs.select(benchmark=benchmarks, mixture=mixtures)


def context_losses(runs: Runs, asked: list[str]) -> list[str] | None:
    """Return the losses of the context; None for the default."""
    if "all" in asked:
        return list(runs.losses)
    return [one for one in asked if one != "none"] if asked else None


def n_tasks(runs: Runs) -> int:
    """Return how many tasks the runs have."""
    return int(runs.table.groupby(["benchmark", "metric"]).ngroups)


def tabulate(found: Classification) -> ClassificationTables:
    """Return all tables."""
    return ClassificationTables(found.table(), found.context(), found.contrasts(), found.share())


def write(folder: Path, found: Classification, tables: ClassificationTables) -> list[Path]:
    """Write tables and figures; return the files."""
    import matplotlib.pyplot as plt

    from bayes_scaling.plots import plot_behaviours, plot_flips

    names = ["classification.csv", "share.json"]
    tables.tasks.to_csv(folder / "classification.csv", index=False)
    share = json.dumps(_plain_tree(tables.share), indent=2, allow_nan=False)
    (folder / "share.json").write_text(share + "\n", encoding="utf-8")
    for name in ("context", "contrasts"):
        table = getattr(tables, name)
        if len(table):
            table.to_csv(folder / f"{name}.csv", index=False)
            names.append(f"{name}.csv")
    plt.switch_backend("agg")
    figures: dict[str, Callable[[Classification], Any]] = {"behaviours.png": plot_behaviours}
    if len(tables.context):
        figures["flips.png"] = plot_flips
    for name, plot in figures.items():
        figure = plot(found)
        figure.savefig(folder / name, dpi=150)
        plt.close(figure)
    return [folder / name for name in (*names, *figures)]


def to_json(tables: ClassificationTables, files: list[Path]) -> dict[str, Any]:
    """Return everything that a program may want to know, in plain numbers and text."""
    return {
        "share": _plain_tree(tables.share),
        "tasks": plain_records(tables.tasks),
        "context": plain_records(tables.context),
        "contrasts": plain_records(tables.contrasts),
        "files": [str(file) for file in files],
    }


def _plain_tree(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain_tree(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain_tree(one) for one in value]
    return plain(value)


def show(found: Classification, tables: ClassificationTables, files: list[Path]) -> None:
    """Print the results for a person."""
    console = Console(highlight=False)
    console.print(_task_table(tables.tasks))
    console.print(_answer(tables))
    if differ := int((tables.tasks["apart"] > SHAPES_DIFFER).sum()):
        console.print(
            f"[yellow]In {differ} of {len(tables.tasks)} tasks the mixtures' trends differ in "
            f"shape (apart above {SHAPES_DIFFER:g}):[/] what is said of them is of the shape that "
            "the mixtures have in common. context.csv has each mixture by itself."
        )
    for sentence in _changes(found, tables):
        console.print(sentence)
    unknown = tables.tasks[tables.tasks["behaviour"] == CANNOT_TELL]
    for row in unknown.itertuples():
        console.print(f"[yellow]cannot tell: {escape(str(row.reason))}[/]")
    bad = tables.tasks[tables.tasks["problems"] != ""]
    for row in bad.itertuples():
        text = escape(f"{row.task}: {row.problems}")
        console.print(f"[bold white on red] NOT CONVERGED [/] [red]{text}[/]")
    console.print("Written: " + ", ".join(str(file) for file in files), soft_wrap=True)


def _task_table(tasks: pd.DataFrame) -> Table:
    """Return a row a task: its two most probable behaviours, and what the trend explains."""
    table = plain_table()
    for name in ("task", "behaviour", "P", "or else", "P", "explained"):
        table.add_column(name, justify="right" if name in ("P", "explained") else "left")
    for row in tasks.sort_values(["behaviour", "task"]).to_dict("records"):
        cells = [""] * 4
        if row["behaviour"] != CANNOT_TELL:
            order = sorted(BEHAVIOURS, key=lambda name: -row[f"p_{name}"])
            first, second = (row[f"p_{name}"] for name in order[:2])
            other = [order[1], f"{second:.2f}"] if second >= _WORTH_NAMING else ["", ""]
            cells = [f"{first:.2f}", *other, f"{row['explained']:.2f}"]
        table.add_row(escape(row["task"]), row["behaviour"], *cells)
    return table


def _answer(tables: ClassificationTables) -> str:
    share = tables.share
    n, left = share["n_tasks"], share["cannot_tell"]
    more = f" Of {left} more nothing can be told." if left else ""
    return (
        f"[bold]{share['median']:.0%}[/] of {n} tasks are {PREDICTABLE} from {share['loss']}, "
        f"between {share['q05']:.0%} and {share['q95']:.0%} with 90% probability, by the rules "
        f"with explained = {share['rules']['explained']:g}. share.json has it for other "
        f"thresholds.{more}"
    )


def _changes(found: Classification, tables: ClassificationTables) -> list[str]:
    contrasts = tables.contrasts
    if not len(contrasts) or "p_flip" not in contrasts:
        return []
    corpora = contrasts[(contrasts["kind"] == "corpus") & (contrasts["loss"] == found.loss)]
    changed = int((corpora.groupby("task")["p_change"].max() > _LIKELY).sum())
    sentences = [
        f"With another corpus, {changed} of {corpora['task'].nunique()} tasks behave in another "
        f"way with a probability above {_LIKELY:.0%} for some pair of corpora."
    ]
    flips = contrasts.groupby("task")["p_flip"].max().dropna()
    if len(flips):
        sentences.append(
            f"For {int((flips > _LIKELY).sum())} of {len(flips)} tasks, which of two corpora looks "
            "better at equal loss changes with the validation loss, with a probability above "
            f"{_LIKELY:.0%} for some pair."
        )
    return sentences
