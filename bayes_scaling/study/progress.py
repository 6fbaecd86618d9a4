"""What a terminal shows of a study under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def progress_bar(total: int, *, shown: bool) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar on stderr, if that is a terminal, while the block runs.

    Yields
    ------
    callable
        To be told fits done, fits failed, and what is under way.
    """
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[done]} done, {task.fields[failed]} failed, "),
        TextColumn("{task.fields[left]} left"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    hidden = not (shown and (console.is_terminal or console.is_jupyter))
    with Progress(*columns, console=console, disable=hidden) as progress:
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
