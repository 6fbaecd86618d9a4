"""What `bayes-scaling forecast` writes and prints."""

from __future__ import annotations

import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bayes_scaling.cli.tables import plain, plain_records, plain_table
from bayes_scaling.fitting.error_budgets import error_budget
from bayes_scaling.fitting.fit import Fit
from bayes_scaling.fitting.splits import Split
from bayes_scaling.runs import Budgets


def write(folder: Path, fit: Fit, split: Split, table: pd.DataFrame) -> list[Path]:
    """Write tables, figures and fit; return the files."""
    import matplotlib.pyplot as plt

    from bayes_scaling.plots import plot_error_budget, plot_forecast, plot_priors

    table.to_csv(folder / "forecast.csv", index=False)
    asked = [Budgets.of_runs(split.held_out, fit.model.law.columns)] if len(split.held_out) else []
    asked += [split.budgets] if split.budgets is not None else []
    sources = xr.concat([error_budget(fit, budgets) for budgets in asked], "budget")
    inputs = [c for c in table.columns if c in sources.coords]
    shares = sources["share"].to_pandas().set_axis(pd.MultiIndex.from_frame(table[inputs]))
    shares.to_csv(folder / "error_budget.csv")
    plt.switch_backend("agg")
    figures = {
        "forecast.png": plot_forecast(fit, split.held_out),
        "priors.png": plot_priors(fit),
        "error_budget.png": plot_error_budget(sources),
    }
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=160)
        plt.close(figure)
    fit.save(folder / "fit.nc")
    return [folder / name for name in ("forecast.csv", "error_budget.csv", *figures, "fit.nc")]


def to_json(
    fit: Fit, split: Split, table: pd.DataFrame, files: list[Path], reason: str
) -> dict[str, Any]:
    """Return everything that a program may want to know, in plain numbers and text."""
    seen = fit.observations
    return {
        "forecast": plain_records(table),
        "parameters": dict(
            zip(fit.parameters().index, plain_records(fit.parameters()), strict=True)
        ),
        "diagnostics": {k: plain(v) for k, v in fit.diagnostics.to_dict().items()},
        "problems": fit.diagnostics.problems(),
        "checks": plain_records(fit.checks()),
        "cautions": fit.cautions(),
        "test_set": {"new_items": _new_items(split)},
        "model": {
            "law": fit.model.law_name,
            "why": reason or None,
            "likelihood": fit.model.likelihood_name,
            "floor": fit.model.floor,
            "loss": fit.model.loss if fit.model.two_stage else None,
        },
        "data": {
            **{name: seen.attrs[name] for name in ("benchmark", "metric", "mixture")},
            "n_runs_fitted": len(set(seen["run"].to_numpy())),
            "n_runs_held_out": len(set(split.held_out.table["run"])),
            "n_scores_fitted": seen.sizes["row"],
            "n_scores_held_out": len(split.held_out),
            "n_scores_left_out": len(split.fitted) - seen.sizes["row"],
            "largest_flops_fitted": float(split.fitted.table["flops"].max()),
            "notes": list(split.notes),
        },
        "sampling": {
            "seed": fit.seed,
            "chains": fit.posterior.sizes["chain"],
            "draws": fit.posterior.sizes["draw"],
        },
        "files": [str(file) for file in files],
    }


def show(fit: Fit, split: Split, table: pd.DataFrame, files: list[Path], reason: str) -> None:
    """Print the results for a person."""
    console = Console(highlight=False)
    problems = fit.diagnostics.problems()
    console.print(escape(fit.describe()), style="bold red" if problems else "bold")
    if reason:
        console.print(escape(reason), style="dim")
    console.print(_score_table(fit, table))
    for caution in [] if problems else fit.cautions():
        console.print(f"[bold yellow]Caution:[/] {escape(caution)}")
    console.print(
        "Intervals are of the score of one future run: uncertainty about the curve, scatter of "
        "runs and noise of the test set."
    )
    console.print(_on_which_items(split))
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
    else:
        for line in _failed_checks(fit):
            console.print(line)
    for note in split.notes:
        console.print(f"Note: {escape(note)}")
    console.print(f"Written: {', '.join(escape(str(file)) for file in files)}")


def _new_items(split: Split) -> float | None:
    """Return the items of a new test set; None if all runs answer the fitted one."""
    if split.budgets is None or not split.budgets.new_test_set:
        return None
    assert split.budgets.n_items is not None
    return float(split.budgets.n_items[0])


def _on_which_items(split: Split) -> str:
    """Return in a sentence for which test set the forecast is."""
    items = _new_items(split)
    if items is None:
        return "They are for the test set that the fitted runs answered; see --new-items."
    of = f"a new test set of {items:.0f} items" if items else "a new test set without end"
    held_out = " Held-out runs answered the fitted one." if len(split.held_out) else ""
    return f"Those of the budgets of --at are for {of}.{held_out}"


def _failed_checks(fit: Fit) -> list[str]:
    """Return how many checks have passed, and a line for each that has failed."""
    told = fit.checks().dropna(subset="passed")
    failed = told[~told["passed"].astype(bool)]
    lines = [f"[yellow]Fails {c.check}:[/] {escape(str(c.sentence))}" for c in failed.itertuples()]
    return [f"Checks: {len(told) - len(failed)} of {len(told)} passed", *lines]


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
    """Return the narrowest interval that contains the observed score."""
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
    meanings = {p.name: p.meaning for p in fit.bound.parameters}
    meanings |= {constant.name: constant.meaning for constant in fit.model.law.constants}
    for row in fit.parameters().reset_index(names="name").to_dict("records"):
        interval = f"{row['q05']:.3g} to {row['q95']:.3g}"
        cells = (f"{row['mean']:.3g}", f"{row['sd']:.2g}", interval)
        shown.add_row(row["name"], *cells, meanings.get(row["name"], ""))
    return shown
