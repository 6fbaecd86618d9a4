"""What commands show of their progress, warnings and errors: on stderr, so that stdout is data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

from bayes_scaling.errors import (
    BayesScalingError,
    ConvergenceWarning,
    RunsWarning,
    SamplerWarning,
)

EXIT_CODE = 2
INTERRUPTED = 130  # what shells expect after Ctrl-C

_stderr = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def reporting() -> Iterator[None]:
    """Turn the package's errors into a red line and exit code 2, its warnings into lines.

    An error of the operating system, such as a folder that cannot be written, is shown in the
    same way. So is Ctrl-C, with its message and its own exit code.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RunsWarning)
        warnings.simplefilter("always", SamplerWarning)
        # A posterior that has not converged is shown once, with its diagnostics, by the command.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.showwarning = lambda message, *_, **__: _line("yellow", "warning", str(message))
        try:
            yield
        except (BayesScalingError, OSError) as error:
            _line("bold red", "error", str(error))
            raise typer.Exit(EXIT_CODE) from error
        except KeyboardInterrupt as error:
            _line("bold red", "interrupted", str(error))
            raise typer.Exit(INTERRUPTED) from error


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show a spinner beside `text` while the block runs, if stderr is a terminal."""
    with _stderr.status(text):
        yield


@contextmanager
def tell_steps() -> Iterator[Callable[[str], None]]:
    """Show a spinner with the current step and its number."""
    with _stderr.status("Fitting") as shown:
        steps = 0

        def tell(text: str) -> None:
            nonlocal steps
            steps += 1
            shown.update(f"Fit {steps}: {escape(text)}")

        yield tell


def _line(style: str, kind: str, text: str) -> None:
    _stderr.print(f"[{style}]{kind}:[/] {escape(text)}")
