"""The command `bayes-scaling forecast`."""

from __future__ import annotations

from json import dumps
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bayes_scaling.cli.options import Loss, SamplerName

if TYPE_CHECKING:
    from bayes_scaling.modelling.model import ScalingModel
    from bayes_scaling.runs import Runs


def run_forecast(
    runs: Annotated[
        Path | None, typer.Argument(help="CSV file of runs; by default the embedded figures.")
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
    law: Annotated[
        str | None,
        typer.Option(
            help="A ready model; by default chosen by what the runs have (docs/default.md)."
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="TOML file of a model with priors of your own.")
    ] = None,
    floor: Annotated[
        str | None,
        typer.Option(
            metavar="auto|free|fixed|filter",
            help="Score of a run that has learnt nothing. free: a parameter; fixed: the chance "
            "level; filter: the chance level, without the runs within 5 points of it or below; "
            "auto: free if a run is within 5 points of chance or below, else fixed.",
        ),
    ] = None,
    likelihood: Annotated[
        str | None, typer.Option(help="normal, student_t, beta_binomial, ...")
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
    new_items: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Forecast the budgets of --at for a new test set of this many items, 0 for "
            "endlessly many. By default they answer the items that the fitted runs answered.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("forecast"),
    seed: Annotated[int, typer.Option(min=0)] = 0,
    draws: Annotated[int, typer.Option(min=4, help="Kept draws of each chain.")] = 1000,
    tune: Annotated[int, typer.Option(min=1, help="Warm-up steps of each chain.")] = 1000,
    chains: Annotated[int, typer.Option(min=1)] = 4,
    sampler: SamplerName = "fast",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Fit a scaling law and forecast the scores of larger runs.

    Writes forecast, error budget (variance by source), figures and fit to the folder of --out.
    """
    from bayes_scaling.cli import terminal

    with terminal.reporting():
        with terminal.status("Importing PyMC"):
            from bayes_scaling.cli import forecast_view
            from bayes_scaling.datasets import choose_series, load_csv, load_dataset
            from bayes_scaling.datasets.krajewski2025 import PUBLISHED_CUTOFF, PUBLISHED_RATIO
            from bayes_scaling.fitting.fit import fit_runs
            from bayes_scaling.fitting.splits import split_series
        embedded = runs is None
        # For the embedded runs, the split of the paper's table.
        usual = (PUBLISHED_CUTOFF, PUBLISHED_RATIO) if embedded else (inf, None)
        cutoff = usual[0] if fit_below is None else fit_below
        ratio = usual[1] if tokens_per_param is None else tokens_per_param
        series = choose_series(
            load_csv(runs) if runs else load_dataset(),
            benchmark=benchmark,
            metric=metric,
            mixture=mixture,
            embedded=embedded,
        )
        named, reason = _name_model(law, model, series, ratio, cutoff)
        chosen = _with_options(named, floor, likelihood, loss)
        split = split_series(
            series,
            chosen.law,
            cutoff=cutoff,
            at=at or [],
            tokens_per_param=ratio,
            new_items=new_items,
        )
        chosen.on(split.fitted)  # fails early, with the model's own message on what is missing
        out.mkdir(parents=True, exist_ok=True)
        with terminal.status(f"Compiling {chosen.law_name} (once on a machine) and sampling"):
            fit = fit_runs(
                split.fitted,
                chosen,
                sampler=cast(Any, sampler),
                draws=draws,
                tune=tune,
                chains=chains,
                seed=seed,
            )
        with terminal.status("Forecasting and drawing"):
            table = fit.forecast_table(split.held_out, split.budgets)
            files = forecast_view.write(out, fit, split, table)
        if json:
            content = forecast_view.to_json(fit, split, table, files, reason)
            typer.echo(dumps(content, indent=2, allow_nan=False))
        else:
            forecast_view.show(fit, split, table, files, reason)


def _name_model(
    law: str | None, file: Path | None, series: Runs, ratio: float | None, cutoff: float
) -> tuple[str | Path, str]:
    """Return the name or file of the model, and for the default one why."""
    from bayes_scaling.errors import ModelError
    from bayes_scaling.modelling.default_law import choose_default

    if law and file:
        raise ModelError("give --law or --model, not both: the file of --model names its law")
    if named := file or law:
        return named, ""
    return choose_default(series.select(tokens_per_param=ratio).below(cutoff))


def _with_options(
    named: str | Path, floor: str | None, likelihood: str | None, loss: str | None
) -> ScalingModel:
    """Return the model with what the options change."""
    from bayes_scaling.errors import ModelError
    from bayes_scaling.modelling.model import load_model

    model = load_model(named)
    if loss and not model.two_stage:
        raise ModelError(f"{model.law_name} does not go through a loss; leave --loss out")
    return model.with_options(likelihood=likelihood, floor=cast(Any, floor), loss=loss)
