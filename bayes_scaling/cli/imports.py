"""The command `bayes-scaling import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run_import(
    results: Annotated[
        Path, typer.Argument(help="Folder with result files of lm-evaluation-harness, or one file.")
    ],
    runs: Annotated[
        Path,
        typer.Option(
            help="CSV file with a row for each run: run, params and tokens (or flops), and if "
            "known mixture, loss_*, and tokens_per_step of a run that has checkpoints."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The table of scores.")] = Path("table.csv"),
) -> None:
    """Turn result files into a table of runs, and show what each file was matched to."""
    from bayes_scaling.cli import terminal
    from bayes_scaling.datasets.lm_eval import read_lm_eval

    with terminal.reporting():
        found = read_lm_eval(results, runs)
        found.runs.to_csv(out)
        from rich.console import Console
        from rich.markup import escape

        from bayes_scaling.cli.tables import plain_table

        shown = plain_table()
        for name in ("file", "run", "scores", "skipped"):
            shown.add_column(name, justify="right" if name == "scores" else "left", overflow="fold")
        for row in found.files.astype(str).itertuples(index=False):
            shown.add_row(*(escape(str(cell)) for cell in row))
        console = Console(highlight=False)
        console.print(shown)
        for note in found.runs.notes:
            console.print(f"Note: {escape(note)}")
        table = found.runs.table
        console.print(
            f"Written: {escape(str(out))} ({table['run'].nunique()} runs, {len(table)} scores of "
            f"{table['benchmark'].nunique()} benchmarks)"
        )
