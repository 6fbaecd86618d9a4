"""The command `bayes-scaling report`."""

from __future__ import annotations

import os
import shlex
import sys
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from bayes_scaling.cli.options import AllRatios, Benchmarks, Loss, Mixture, Ratio, RunsFile
from bayes_scaling.cli.selections import choose_runs


def run_report(
    runs: RunsFile = None,
    benchmark: Benchmarks = None,
    mixture: Mixture = None,
    tokens_per_param: Ratio = None,
    all_ratios: AllRatios = False,
    law: Annotated[
        str | None,
        typer.Option(
            help="A ready model or a TOML file; by default chosen by what the runs have "
            "(docs/default.md)."
        ),
    ] = None,
    loss: Loss = None,
    fit_below: Annotated[
        float | None,
        typer.Option(
            help="Fit runs of at most this budget in FLOPs and hold out the others. Embedded dclm: "
            "6e21; else all runs are fitted."
        ),
    ] = None,
    at: Annotated[
        list[float] | None,
        typer.Option(
            help="Budget in FLOPs to forecast; may be repeated. By default ten times the largest "
            "fitted one."
        ),
    ] = None,
    target: Annotated[
        list[float] | None,
        typer.Option(
            help="Accuracy to be reached, such as 0.8; may be repeated. By default half the error "
            "of the best fitted run, for each series."
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "What larger runs will score",
    workers: Annotated[int | None, typer.Option(min=1, help="By default all cores.")] = None,
    out: Annotated[Path, typer.Option(help="The HTML file.")] = Path("report.html"),
    seed: Annotated[int, typer.Option(min=0)] = 0,
    draws: Annotated[int, typer.Option(min=4, help="Kept draws of each chain.")] = 1000,
    tune: Annotated[int, typer.Option(min=1, help="Warm-up steps of each chain.")] = 1000,
    chains: Annotated[int, typer.Option(min=1)] = 4,
) -> None:
    """Write one HTML page: forecasts of every benchmark, what they rest on, how far to trust them.

    Finished fits are kept in a folder beside the page, so that a second call goes on from them.
    """
    from bayes_scaling.cli import terminal

    with terminal.reporting():
        at_once = workers or os.cpu_count() or 1
        if at_once > 1:
            from bayes_scaling.fitting.workers import import_ahead

            import_ahead()
        with terminal.status("Importing PyMC"):
            from bayes_scaling.fitting.workers import executor_of
            from bayes_scaling.reporting.build import report
            from bayes_scaling.reporting.gathering import gather_report
        usual, chosen = choose_runs(
            runs, mixture, benchmark or [], tokens_per_param, all_ratios=all_ratios
        )
        cutoff = (usual or inf) if fit_below is None else fit_below
        folder = out.with_name(f"{out.stem}_fits")
        folder.mkdir(parents=True, exist_ok=True)
        with executor_of(at_once) as helpers:
            with terminal.tell_steps() as tell:
                found = gather_report(
                    chosen,
                    folder,
                    law=law,
                    loss=loss,
                    cutoff=cutoff,
                    workers=at_once,
                    executor=helpers,
                    tell=tell,
                    seed=seed,
                    draws=draws,
                    tune=tune,
                    chains=chains,
                )
            with terminal.status("Drawing"):
                file = report(
                    found.fits,
                    out,
                    held_out=found.held_out,
                    flops=at or [],
                    targets=target or [],
                    past=found.past,
                    behaviours=found.behaviours,
                    title=title,
                    notes=found.notes,
                    command=shlex.join(["bayes-scaling", *sys.argv[1:]]),
                    workers=at_once,
                    executor=helpers,
                )
        bad = sum(bool(fit.diagnostics.problems()) for fit in found.fits)
        typer.echo(f"Written: {file} ({len(found.fits)} fits, {bad} NOT CONVERGED)")
