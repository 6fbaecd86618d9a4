"""The progress bar of a running study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column


@contextmanager
def progress_bar(total: int, *, shown: bool) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar on stderr, if that is a terminal, while the block runs.

    Yields
    ------
    callable
        Takes the numbers of fits done and failed, and what is under way.
    """
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=12),
        TextColumn(
            "{task.fields[done]} done, {task.fields[failed]} failed, {task.fields[left]} left"
        ),
        TimeElapsedColumn(),
        # What is under way gets the room that is left, so that the counts are never cut off.
        TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True)),
    )
    hidden = not (shown and (console.is_terminal or console.is_jupyter))
    with Progress(*columns, console=console, disable=hidden, expand=True) as progress:
        bar = progress.add_task("", total=total, done=0, failed=0, left=total)

        def tell(done: int, failed: int, what: str) -> None:
            finished = done + failed
            progress.update(
                bar,
                completed=finished,
                description=escape(what),
                done=done,
                failed=failed,
                left=total - finished,
            )

        yield tell
