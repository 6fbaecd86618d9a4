"""What `bayes-scaling study` prints."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape

from bayes_scaling.cli.tables import plain_records, plain_table
from bayes_scaling.study.folder import INDEX, count_outcomes
from bayes_scaling.study.study import Study

# Fits that are named one by one in the closing lines.
_NAMED = 10


def to_json(study: Study, index: pd.DataFrame) -> dict[str, Any]:
    """Return everything that a program may want to know, in plain numbers and text."""
    return {
        **count_outcomes(index),
        "fits": plain_records(index),
        "folder": str(study.folder),
        "index": str(study.folder / INDEX),
    }


def show(study: Study, index: pd.DataFrame) -> None:
    """Print the outcome of a study for a person."""
    console = Console(highlight=False)
    table = plain_table()
    table.add_column("model", no_wrap=True)
    for name in count_outcomes(index):
        table.add_column(name.replace("_", " "), justify="right")
    for model, rows in index.groupby("model", sort=False):
        table.add_row(escape(str(model)), *map(str, count_outcomes(rows).values()))
    console.print(table)
    _show_failures(console, index[index["status"] == "failed"])
    _show_doubtful(console, index[index["problems"] != ""])
    console.print(f"{study.describe()}. Every fit is in {escape(str(study.folder / INDEX))}")


def _show_failures(console: Console, failed: pd.DataFrame) -> None:
    for (model, reason), rows in failed.groupby(["model", "reason"], sort=False):
        console.print(f"[red]FAILED:[/] {escape(f'{model}, {len(rows)} fits: {reason}')}")


def _show_doubtful(console: Console, doubtful: pd.DataFrame) -> None:
    for row in doubtful.head(_NAMED).itertuples():
        words = f"{row.model} on {row.benchmark} {row.metric}, {row.mixture}: {row.problems}"
        console.print(f"[red]NOT CONVERGED:[/] {escape(words)}")
    if len(doubtful) > _NAMED:
        console.print(f"[red]NOT CONVERGED:[/] {len(doubtful) - _NAMED} more")
