"""The work behind `bayes-scaling forecast`: from options to runs, forecasts, files and tables."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bayes_scaling._tables import plain, plain_records, plain_table
from bayes_scaling.datasets import load_csv, load_dataset
from bayes_scaling.error_budget import error_budget
from bayes_scaling.errors import ModelError, RunsError
from bayes_scaling.fit import Fit
from bayes_scaling.forecast import QUANTILES, budgets, summarise
from bayes_scaling.laws import ScalingLaw
from bayes_scaling.model import Floor, ScalingModel, load_model
from bayes_scaling.runs import Runs

# What is chosen of the embedded figures where the user chooses nothing.
_EMBEDDED = {"mixture": "dclm", "benchmark": "arc_easy", "metric": "acc"}
_EMBEDDED_RATIO = 20.0
_EMBEDDED_CUT = 6e21
# Where no run is held out and no budget asked for: this many times the largest budget fitted.
_NEXT_RUN = 10.0


@dataclass(frozen=True)
class Task:
    """What to fit and what to forecast.

    Attributes
    ----------
    fitted, held_out : Runs
        One series, split by budget; either may have no rows before it is fitted.
    budgets : dict
        Further budgets, as arguments of :meth:`Fit.forecast`; empty if none.
    notes : tuple of str
        What was left out, changed or chosen on the way.
    """

    fitted: Runs
    held_out: Runs
    budgets: dict[str, Any]
    notes: tuple[str, ...]


# ---- from options ------------------------------------------------------------------------------


def choose_model(
    law: str | None,
    file: Path | None,
    floor: str | None,
    likelihood: str | None,
    loss: str | None,
) -> ScalingModel:
    """Return the model that the options name."""
    if law and file:
        raise ModelError("give --law or --model, not both: the file of --model names its law")
    model = load_model(file or law or "power_law")
    if loss and not model.two_stage:
        raise ModelError(f"{model.law_name} does not go through a loss; leave --loss out")
    return model.with_options(likelihood=likelihood, floor=cast(Floor | None, floor), loss=loss)


def choose_runs(
    model: ScalingModel,
    file: Path | None,
    wanted: dict[str, str | None],
    tokens_per_param: float | None,
    fit_below: float | None,
    at: list[float],
) -> Task:
    """Return the runs to fit and to forecast; see the help of the command."""
    law, embedded = model.law, file is None
    series = _select(load_csv(file) if file else load_dataset(), wanted, embedded=embedded)
    ratio = _EMBEDDED_RATIO if embedded and tokens_per_param is None else tokens_per_param
    reads_ratio = {"params", "tokens"} <= set(law.inputs)
    if ratio is not None and not reads_ratio:
        series = series.select(tokens_per_param=ratio)
    _require_one_k(series, law)
    cut = fit_below if fit_below is not None else _EMBEDDED_CUT if embedded else math.inf
    task = Task(series.below(cut), series.above(cut), {}, series.notes)
    if not len(task.fitted):
        least = series.table["flops"].min()
        raise RunsError(f"no run has at most {cut:.3g} FLOPs; the smallest has {least:.3g}")
    model.prepare(task.fitted)  # the model says best what it misses in the runs
    return _with_budgets(task, law, at, ratio if reads_ratio else None)


def _select(runs: Runs, wanted: dict[str, str | None], *, embedded: bool) -> Runs:
    for column, usual in _EMBEDDED.items():
        value = wanted[column]
        if value is None:
            there: tuple[str, ...] = getattr(runs, f"{column}s")
            value = usual if embedded and usual in there else _only(column, there)
        runs = runs.select(**cast(dict[str, Any], {column: value}))
    return runs


def _only(column: str, values: tuple[str, ...]) -> str:
    if len(values) > 1:
        raise RunsError(
            f"there are {len(values)} {column}s; choose one with --{column}: {', '.join(values)}"
        )
    return values[0]


def _require_one_k(runs: Runs, law: ScalingLaw) -> None:
    if "k" not in law.inputs and len(set(runs.table["k"].dropna())) > 1:
        raise ModelError(
            f"{law.name} does not read the k of pass@k; choose one with --metric pass@1, or a law "
            "that does with --law pass_at_k"
        )


def _with_budgets(task: Task, law: ScalingLaw, at: list[float], ratio: float | None) -> Task:
    """Add the budgets of --at, or the next run if there is nothing else to forecast."""
    notes = task.notes
    if not at and not len(task.held_out):
        largest = task.fitted.table["flops"].max()
        at = [_NEXT_RUN * largest]
        notes += (f"no run is held out: this is {_NEXT_RUN:g} times the largest budget fitted",)
    if not at:
        return task
    if "tokens" in law.inputs and ratio is None:
        raise ModelError(f"{law.name} reads params and tokens: give --tokens-per-param for --at")
    asked: dict[str, Any] = {"flops": at}
    if ratio is not None:
        asked["tokens_per_param"] = ratio
    if "k" in law.inputs:
        samples = sorted(task.fitted.table["k"].dropna().unique())
        asked = {"flops": [c for c in at for _ in samples], "k": samples * len(at)}
    budgets(**asked)  # bad numbers are better met before the fit than after it
    return Task(task.fitted, task.held_out, asked, notes)


# ---- results -----------------------------------------------------------------------------------


def forecast_table(fit: Fit, task: Task) -> pd.DataFrame:
    """Return quantiles of the score, a row a budget, held-out runs first with what they scored."""
    parts = []
    if len(task.held_out):
        forecast = fit.forecast_runs(task.held_out)
        parts.append(summarise(forecast).assign(observed=forecast["observed"].to_numpy()))
    if task.budgets:
        parts.append(summarise(fit.forecast(**task.budgets)).assign(run=None, observed=math.nan))
    names = ["run", *dict.fromkeys(("flops", *fit.model.law.inputs)), "observed", *QUANTILES]
    return pd.concat(parts, ignore_index=True)[names]


def write(folder: Path, fit: Fit, task: Task, table: pd.DataFrame) -> list[Path]:
    """Write tables, figures and fit; return the files."""
    import matplotlib.pyplot as plt

    from bayes_scaling.plots import plot_error_budget, plot_forecast, plot_priors

    table.to_csv(folder / "forecast.csv", index=False)
    asked: dict[str, Any] = {name: table[name].tolist() for name in fit.model.law.inputs}
    sources = error_budget(fit, **asked)
    inputs = [c for c in table.columns if c in sources.coords]
    shares = sources["share"].to_pandas().set_axis(pd.MultiIndex.from_frame(table[inputs]))
    shares.to_csv(folder / "error_budget.csv")
    plt.switch_backend("agg")
    figures = {
        "forecast.png": plot_forecast(fit, task.held_out),
        "priors.png": plot_priors(fit),
        "error_budget.png": plot_error_budget(sources),
    }
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=160)
        plt.close(figure)
    fit.save(folder / "fit.nc")
    return [folder / name for name in ("forecast.csv", "error_budget.csv", *figures, "fit.nc")]


def to_json(fit: Fit, task: Task, table: pd.DataFrame, files: list[Path]) -> dict[str, Any]:
    """Return everything that a program may want to know, in plain numbers and text."""
    seen = fit.observations
    return {
        "forecast": plain_records(table),
        "parameters": dict(
            zip(fit.parameters().index, plain_records(fit.parameters()), strict=True)
        ),
        "diagnostics": {k: plain(v) for k, v in fit.diagnostics.to_dict().items()},
        "problems": fit.diagnostics.problems(),
        "model": {
            "law": fit.model.law_name,
            "likelihood": fit.model.likelihood_name,
            "floor": fit.model.floor,
            "loss": fit.model.loss if fit.model.two_stage else None,
        },
        "data": {
            **{name: seen.attrs[name] for name in ("benchmark", "metric", "mixture")},
            "n_runs_fitted": len(set(seen["run"].to_numpy())),
            "n_runs_held_out": len(set(task.held_out.table["run"])),
            "n_scores_fitted": seen.sizes["row"],
            "n_scores_held_out": len(task.held_out),
            "n_scores_left_out": len(task.fitted) - seen.sizes["row"],
            "largest_flops_fitted": float(task.fitted.table["flops"].max()),
            "notes": list(task.notes),
        },
        "sampling": {
            "seed": fit.seed,
            "chains": fit.posterior.sizes["chain"],
            "draws": fit.posterior.sizes["draw"],
        },
        "files": [str(file) for file in files],
    }


def show(fit: Fit, task: Task, table: pd.DataFrame, files: list[Path]) -> None:
    """Print the results for a person."""
    console = Console(highlight=False)
    problems = fit.diagnostics.problems()
    console.print(escape(fit.describe()), style="bold red" if problems else "bold")
    console.print(_score_table(fit, table))
    console.print(
        "Intervals are of the score of one future run: uncertainty about the curve, scatter of "
        "runs and noise of the test set."
    )
    console.print(_parameter_table(fit))
    diagnostics = fit.diagnostics
    console.print(
        f"Sampling: {diagnostics.divergences} divergences, R-hat up to {diagnostics.max_rhat:.3f}, "
        f"ESS from {diagnostics.min_ess_bulk:.0f} (bulk) and {diagnostics.min_ess_tail:.0f} (tail)"
    )
    if problems:
        console.print(
            f"[bold white on red] NOT CONVERGED [/] [red]{'; '.join(problems)}. Do not use this "
            "forecast as it stands: raise --tune and --draws, or choose a simpler law.[/]"
        )
    for note in task.notes:
        console.print(f"Note: {escape(note)}")
    console.print(f"Written: {', '.join(escape(str(file)) for file in files)}")


def _score_table(fit: Fit, table: pd.DataFrame) -> Table:
    shown = plain_table()
    inputs = {"flops": table["flops"]}
    if "k" in table:
        inputs["k"] = table["k"]
    if "tokens" in table:
        inputs["tokens/param"] = table["tokens"] / table["params"]
    for name in (*inputs, "observed", "median", "50% interval", "90% interval", "inside"):
        shown.add_column(name, justify="right", no_wrap=True)
    for i, row in enumerate(table.to_dict("records")):
        shown.add_row(
            *(f"{values.iloc[i]:.3g}" for values in inputs.values()),
            "" if math.isnan(row["observed"]) else f"{row['observed']:.4f}",
            f"{row['median']:.4f}",
            f"{row['q25']:.4f}–{row['q75']:.4f}",
            f"{row['q05']:.4f}–{row['q95']:.4f}",
            _place(row),
        )
    return shown


def _place(row: dict[Hashable, Any]) -> str:
    """Return the narrowest interval that the observed score is inside of."""
    if math.isnan(row["observed"]):
        return ""
    if row["q25"] <= row["observed"] <= row["q75"]:
        return "50%"
    return "90%" if row["q05"] <= row["observed"] <= row["q95"] else "[red]neither[/]"


def _parameter_table(fit: Fit) -> Table:
    shown = plain_table()
    shown.add_column("parameter")
    for name in ("mean", "sd", "90% interval"):
        shown.add_column(name, justify="right")
    shown.add_column("meaning", style="dim")
    meanings = {p.name: p.meaning for p in fit.model.parameters}
    for row in fit.parameters().reset_index(names="name").to_dict("records"):
        interval = f"{row['q05']:.3g} to {row['q95']:.3g}"
        cells = (f"{row['mean']:.3g}", f"{row['sd']:.2g}", interval)
        shown.add_row(row["name"], *cells, meanings.get(row["name"], ""))
    return shown
