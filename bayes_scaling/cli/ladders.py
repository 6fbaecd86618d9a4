"""The command `bayes-scaling ladder`."""

from __future__ import annotations

from json import dumps
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from bayes_scaling.cli.options import AllRatios, Benchmarks, Mixture, Ratio, RunsFile
from bayes_scaling.cli.selections import choose_runs


def run_ladder(
    runs: RunsFile = None,
    mixture: Mixture = None,
    benchmark: Benchmarks = None,
    tokens_per_param: Ratio = None,
    all_ratios: AllRatios = False,
    loss: Annotated[
        str | None,
        typer.Option(
            help="Loss column of the runs, or none for the pooled direct model. By default "
            "loss_<mixture>, or the only one there is."
        ),
    ] = None,
    fit_below: Annotated[
        float | None,
        typer.Option(help="Fit runs of at most this budget in FLOPs. Embedded dclm: 6e21."),
    ] = None,
    at: Annotated[
        list[float] | None,
        typer.Option(help="Budget in FLOPs to forecast besides held-out runs; may be repeated."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("ladder"),
    seed: Annotated[int, typer.Option(min=0)] = 0,
    draws: Annotated[int, typer.Option(min=4, help="Kept draws of each chain.")] = 1000,
    tune: Annotated[int, typer.Option(min=1, help="Warm-up steps of each chain.")] = 1000,
    chains: Annotated[int, typer.Option(min=1)] = 4,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Fit all benchmarks of a ladder in one posterior, and forecast larger runs on all of them.

    Writes ladder.csv (a row for each benchmark and budget, and their average), ladder_routes.csv
    (which share goes through the loss), a figure and the fit to the folder of --out.
    """
    from bayes_scaling.cli import terminal

    with terminal.reporting():
        with terminal.status("Importing PyMC"):
            from bayes_scaling.cli import ladder_view
            from bayes_scaling.fitting.ladder_fit import fit_ladder
            from bayes_scaling.modelling.ladder_model import LadderModel
        published, chosen = choose_runs(
            runs, mixture, benchmark or [], tokens_per_param, all_ratios=all_ratios
        )
        cutoff = (published or inf) if fit_below is None else fit_below
        column = None if loss == "none" or not chosen.losses else loss or "auto"
        asked = ladder_view.Asked(chosen.above(cutoff), tuple(at or ()), tokens_per_param)
        out.mkdir(parents=True, exist_ok=True)
        with terminal.status("Compiling (up to a minute, once on a machine) and sampling"):
            fit = fit_ladder(
                chosen.below(cutoff),
                LadderModel(loss=column),
                draws=draws,
                tune=tune,
                chains=chains,
                seed=seed,
            )
        with terminal.status("Forecasting and drawing"):
            tables = ladder_view.tabulate(fit, asked)
            files = ladder_view.write(out, fit, tables, asked)
        if json:
            typer.echo(dumps(ladder_view.to_json(fit, tables, files), indent=2, allow_nan=False))
        else:
            ladder_view.show(fit, tables, files)
