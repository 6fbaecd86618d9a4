"""The command `bayes-scaling compare`."""

from __future__ import annotations

import os
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from bayes_scaling.cli.options import AllRatios, Benchmarks, Loss, Mixture, Ratio, RunsFile
from bayes_scaling.cli.selections import choose_runs


def run_compare(
    runs: RunsFile = None,
    mixture: Mixture = None,
    benchmark: Benchmarks = None,
    tokens_per_param: Ratio = None,
    all_ratios: AllRatios = False,
    law: Annotated[
        list[str] | None,
        typer.Option(
            help="A ready model or a TOML file; may be repeated. By default eleven laws, and two "
            "in parameters and tokens if their ratio varies."
        ),
    ] = None,
    loss: Loss = None,
    fit_below: Annotated[
        float | None,
        typer.Option(
            help="Fit runs of at most this budget in FLOPs. Embedded dclm: 6e21; else a sixth of "
            "the largest budget."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("compare"),
    seed: Annotated[int, typer.Option(min=0)] = 0,
    draws: Annotated[int, typer.Option(min=4, help="Kept draws of each chain.")] = 1000,
    tune: Annotated[int, typer.Option(min=1, help="Warm-up steps of each chain.")] = 1000,
    chains: Annotated[int, typer.Option(min=1)] = 4,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Fits that run at one time; by default one for each core."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Compare laws by their forecasts of held-out larger runs, and by leave-one-out.

    Writes compare.csv (one row per model), compare_by_benchmark.csv, compare_scores.csv,
    compare_differences.csv, compare_routes.csv (direct laws against the same laws through the
    loss) and figures to the folder of --out. Finished fits are kept there, so
    that an interrupted command can be run again and continues from them.
    """
    from bayes_scaling.cli import terminal

    at_once = workers or os.cpu_count() or 1
    with terminal.reporting():
        if at_once > 1:
            from bayes_scaling.fitting.workers import import_ahead

            import_ahead()
        with terminal.status("Importing PyMC"):
            from bayes_scaling.cli import compare_view
            from bayes_scaling.evaluation.backtesting import backtest
            from bayes_scaling.evaluation.shown import choose_shown
            from bayes_scaling.evaluation.splits import plan_comparison
            from bayes_scaling.fitting.store import FitStore
        cutoff, chosen = choose_runs(
            runs, mixture, benchmark or [], tokens_per_param, all_ratios=all_ratios
        )
        cutoff = cutoff if fit_below is None else fit_below
        plan = plan_comparison(chosen, laws=law or [], cutoff=cutoff, loss=loss)
        out.mkdir(parents=True, exist_ok=True)
        store = FitStore(out / "fits")
        settings: dict[str, Any] = {"draws": draws, "tune": tune, "chains": chains, "seed": seed}
        made = (plan.models, plan.runs)
        with terminal.tell_steps() as tell:
            result = backtest(
                *made,
                [plan.cutoff],
                loss=plan.loss,
                loo=True,
                store=store,
                on_fit=tell,
                workers=at_once,
                **settings,
            )
        with terminal.status("Drawing"):
            shown = choose_shown(result, *made, plan.cutoff, store, **settings)
            files = compare_view.write(out, result, compare_view.draw(result, shown))
        if json:
            content = compare_view.to_json(plan, result, files)
            typer.echo(dumps(content, indent=2, allow_nan=False))
        else:
            compare_view.show(plan, result, files)
