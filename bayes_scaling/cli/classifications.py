"""The command `bayes-scaling classify`."""

from __future__ import annotations

import os
from json import dumps
from pathlib import Path
from typing import Annotated

import typer


def run_classify(
    runs: Annotated[
        Path | None,
        typer.Argument(
            help="CSV file of runs with a loss column, or the folder of Gadre et al. 2024; by "
            "default the embedded figures."
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="Column of the validation loss, in nats; by default the only one there is. "
            "Embedded data: loss_c4."
        ),
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(
            help="Loss of the context, by mixture; may be repeated. By default that of --loss; all "
            "takes every loss (ten minutes and more for 46 tasks), none leaves it out."
        ),
    ] = None,
    benchmark: Annotated[
        list[str] | None, typer.Option(help="May be repeated; by default all.")
    ] = None,
    mixture: Annotated[
        list[str] | None, typer.Option(help="May be repeated; by default all.")
    ] = None,
    trend: Annotated[
        float, typer.Option(min=0, max=1, help="Trendless below this share of all variance.")
    ] = 0.2,
    explained: Annotated[
        float, typer.Option(min=0, max=1, help="Noisy below this share beyond item noise.")
    ] = 0.8,
    reversal: Annotated[
        float, typer.Option(min=0, max=1, help="Nonmonotone if it turns back by more.")
    ] = 0.25,
    jump: Annotated[
        float, typer.Option(min=0, max=1, help="Breakthrough if more of its range is sudden.")
    ] = 0.6,
    workers: Annotated[int | None, typer.Option(min=1, help="By default all cores.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("classification"),
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Say how each task depends on a validation loss: predictable, noisy, inverse, ...

    Writes classification.csv (a row a task), share.json (the share that is predictable),
    context.csv (a row for each task, mixture and loss), contrasts.csv and figures to the folder
    of --out. Finished tasks are kept there, so a second call goes on.
    """
    from bayes_scaling.cli import terminal

    with terminal.reporting():
        with terminal.status("Importing PyMC"):
            from bayes_scaling.cli import classify_view
            from bayes_scaling.evaluation.behaviours import BehaviourRules
            from bayes_scaling.fitting.workers import import_ahead
            from bayes_scaling.study.classifying import classify
            from bayes_scaling.study.progress import progress_bar
        table = classify_view.read(runs, benchmark or None, mixture or None)
        column = loss or (classify_view.EMBEDDED_LOSS if runs is None else None)
        rules = BehaviourRules(trend=trend, explained=explained, reversal=reversal, jump=jump)
        wanted = classify_view.context_losses(table, context or [])
        out.mkdir(parents=True, exist_ok=True)
        at_once = workers or os.cpu_count() or 1
        if at_once > 1:
            import_ahead()
        with progress_bar(classify_view.n_tasks(table), shown=not json) as tell:
            found = classify(
                table,
                column,
                losses=wanted,
                rules=rules,
                workers=at_once,
                folder=out / "trends",
                show=tell,
                seed=seed,
            )
        with terminal.status("Drawing"):
            tables = classify_view.tabulate(found)
            files = classify_view.write(out, found, tables)
        if json:
            typer.echo(dumps(classify_view.to_json(tables, files), indent=2, allow_nan=False))
        else:
            classify_view.show(found, tables, files)
