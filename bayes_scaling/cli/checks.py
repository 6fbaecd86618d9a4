"""The command `bayes-scaling check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run_check(
    runs: Annotated[Path, typer.Argument(help="CSV or Parquet file of runs.")],
) -> None:
    """List everything that is wrong with a file of runs, with counts.

    The exit code is 2 if the file cannot be used as it stands.
    """
    from bayes_scaling.cli import terminal
    from bayes_scaling.datasets import check_file

    found = check_file(runs)
    typer.echo(str(found))
    if found.errors:
        raise typer.Exit(terminal.EXIT_CODE)
