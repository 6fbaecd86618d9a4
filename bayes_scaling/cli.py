"""The command line. PyMC and all that is slow to import is imported inside commands only."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated, cast

import typer

# Plain help: without bytecode caches, Rich's alone would take longer than half a second.
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Loss = Annotated[
    str | None,
    typer.Option(
        help="Loss column that two-stage laws go through, or task_loss. By default "
        "loss_<mixture>, or the only one there is."
    ),
]


@app.callback()
def main() -> None:
    """Bayesian downstream scaling laws of language models."""


@app.command()
def forecast(
    runs: Annotated[
        Path | None, typer.Argument(help="CSV file of runs; the embedded figures if absent.")
    ] = None,
    benchmark: Annotated[str | None, typer.Option(help="Embedded data: arc_easy.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="acc, acc_norm, exact_match, pass@k, pass@1, ...")
    ] = None,
    mixture: Annotated[
        str | None, typer.Option(help="Training mixture. Embedded data: dclm.")
    ] = None,
    tokens_per_param: Annotated[
        float | None,
        typer.Option(
            help="Keep runs of this ratio (within 10%). For a law in parameters and tokens: the "
            "ratio of the budgets of --at. Embedded data: 20."
        ),
    ] = None,
    law: Annotated[str | None, typer.Option(help="A ready model, by default power_law.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="TOML file of a model with priors of your own.")
    ] = None,
    floor: Annotated[
        str | None,
        typer.Option(
            metavar="free|fixed|filter",
            help="What a run that has learnt nothing scores: a parameter; the chance level; the "
            "chance level, leaving out runs within 5 points of it.",
        ),
    ] = None,
    likelihood: Annotated[
        str | None, typer.Option(help="beta_binomial, normal, student_t, ...")
    ] = None,
    loss: Loss = None,
    fit_below: Annotated[
        float | None,
        typer.Option(
            help="Fit runs of at most this budget in FLOPs and hold out the others. "
            "Embedded data: 6e21; else all runs are fitted."
        ),
    ] = None,
    at: Annotated[
        list[float] | None,
        typer.Option(help="Budget in FLOPs to forecast besides held-out runs; may be repeated."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("forecast"),
    seed: Annotated[int, typer.Option(min=0)] = 0,
    draws: Annotated[int, typer.Option(min=4, help="Kept draws of each chain.")] = 1000,
    tune: Annotated[int, typer.Option(min=1, help="Warm-up steps of each chain.")] = 1000,
    chains: Annotated[int, typer.Option(min=1)] = 4,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Fit a scaling law and forecast the scores of larger runs.

    Writes forecast, error budget (variance by source), figures and fit to the folder of --out.
    """
    from bayes_scaling import _terminal

    with _terminal.reporting():
        with _terminal.status("Importing PyMC"):
            from bayes_scaling import _forecast_task as work
            from bayes_scaling.fit import fit_runs
        chosen = work.choose_model(law, model, floor, likelihood, loss)
        wanted = {"benchmark": benchmark, "metric": metric, "mixture": mixture}
        task = work.choose_runs(chosen, runs, wanted, tokens_per_param, fit_below, at or [])
        out.mkdir(parents=True, exist_ok=True)
        with _terminal.status(f"Compiling {chosen.law_name} (once on a machine) and sampling"):
            fit = fit_runs(task.fitted, chosen, draws=draws, tune=tune, chains=chains, seed=seed)
        with _terminal.status("Forecasting and drawing"):
            table = work.forecast_table(fit, task)
            files = work.write(out, fit, task, table)
        if json:
            typer.echo(dumps(work.to_json(fit, task, table, files), indent=2, allow_nan=False))
        else:
            work.show(fit, task, table, files)


@app.command()
def compare(
    runs: Annotated[
        Path | None, typer.Argument(help="CSV file of runs; the embedded figures if absent.")
    ] = None,
    mixture: Annotated[
        str | None, typer.Option(help="Training mixture. Embedded data: dclm.")
    ] = None,
    benchmark: Annotated[
        list[str] | None, typer.Option(help="May be repeated. Embedded data: the standard 12.")
    ] = None,
    tokens_per_param: Annotated[
        float | None, typer.Option(help="Keep runs of this ratio. Embedded data: 20.")
    ] = None,
    all_ratios: Annotated[
        bool, typer.Option("--all-ratios", help="Keep embedded runs of every ratio.")
    ] = False,
    law: Annotated[
        list[str] | None,
        typer.Option(
            help="A ready model or a TOML file; may be repeated. By default eight laws, and one "
            "in parameters and tokens where the ratio of these varies."
        ),
    ] = None,
    loss: Loss = None,
    fit_below: Annotated[
        float | None,
        typer.Option(
            help="Fit runs of at most this budget in FLOPs. Embedded dclm: 6e21; else a sixth of "
            "the largest."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("compare"),
    seed: Annotated[int, typer.Option(min=0)] = 0,
    draws: Annotated[int, typer.Option(min=4, help="Kept draws of each chain.")] = 1000,
    tune: Annotated[int, typer.Option(min=1, help="Warm-up steps of each chain.")] = 1000,
    chains: Annotated[int, typer.Option(min=1)] = 4,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Compare laws by their forecasts of held-out larger runs, and by leave-one-out.

    Writes compare.csv (a row a model), compare_by_benchmark.csv, compare_scores.csv and figures
    to the folder of --out. Finished fits are kept there: interrupted, it goes on from them.
    """
    from bayes_scaling import _terminal

    with _terminal.reporting():
        with _terminal.status("Importing PyMC"):
            from bayes_scaling import _compare_task as work
        chosen = work.choose(
            runs,
            mixture,
            benchmark or [],
            tokens_per_param,
            fit_below,
            law or [],
            loss,
            all_ratios=all_ratios,
        )
        out.mkdir(parents=True, exist_ok=True)
        settings = {"draws": draws, "tune": tune, "chains": chains, "seed": seed}
        with _terminal.progress() as tell:
            result = work.run(chosen, out, tell, **settings)
        with _terminal.status("Drawing"):
            shown = work.shown_fits(chosen, result, out, **settings)
            files = work.write(out, result, work.draw(result, shown))
        if json:
            typer.echo(dumps(work.to_json(chosen, result, files), indent=2, allow_nan=False))
        else:
            work.show(chosen, result, files)


@app.command()
def study(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[STUDY.toml]", help="What to fit; see docs/studies.md."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the study.")] = Path("study"),
    resume: Annotated[
        Path | None, typer.Option(help="Folder of a study to go on with, in place of a file.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Fits that run at one time.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Fit many models to many series up to many cut-offs, as one job.

    Fits are kept in the folder as they finish, with index.csv, a row a fit: interrupted, the
    study goes on from them. The exit code is 2 if nothing could be fitted.
    """
    from bayes_scaling import _pool, _terminal

    if (file is None) == (resume is None):
        raise typer.BadParameter("give a file of a study, or --resume and the folder of one")
    if workers > 1:
        _pool.import_ahead()
    with _terminal.reporting():
        with _terminal.status("Importing PyMC"):
            from bayes_scaling import _study_task as work
            from bayes_scaling.study import Study
        chosen = Study.resume(resume) if resume else work.read_study(cast(Path, file), out)
        index = chosen.run(workers)
        if json:
            typer.echo(dumps(work.to_json(chosen, index), indent=2, allow_nan=False))
        else:
            work.show(chosen, index)
    if not (index["status"] == "done").any():
        raise typer.Exit(_terminal.EXIT_CODE)


@app.command()
def check(
    runs: Annotated[Path, typer.Argument(help="CSV or Parquet file of runs.")],
) -> None:
    """List everything that is wrong with a file of runs, with counts.

    The exit code is 2 if the file cannot be used as it stands.
    """
    from bayes_scaling import _terminal
    from bayes_scaling.check import check_file

    found = check_file(runs)
    typer.echo(str(found))
    if found.errors:
        raise typer.Exit(_terminal.EXIT_CODE)
