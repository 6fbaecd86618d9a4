"""What `bayes-scaling ladder` writes and prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bayes_scaling.cli.tables import plain, plain_records, plain_table
from bayes_scaling.errors import BayesScalingError
from bayes_scaling.fitting.ladder_fit import LadderFit
from bayes_scaling.runs import Runs

_LEARNED = 0.2  # of the prior variance; below it, the answer to the question of routes is the prior


@dataclass(frozen=True)
class Asked:
    """What is to be forecast: held-out runs, and budgets in FLOPs."""

    held_out: Runs
    flops: tuple[float, ...]
    tokens_per_param: float | None


@dataclass(frozen=True)
class Tables:
    """The tables of a ladder: forecasts, and routes (none if the model has no loss)."""

    forecast: pd.DataFrame
    routes: pd.DataFrame | None


def tabulate(fit: LadderFit, asked: Asked) -> Tables:
    """Return the forecasts of what is asked for, and the routes."""
    parts = []
    if len(asked.held_out):
        forecast = fit.forecast_runs(asked.held_out)
        observed = forecast["observed"].to_numpy()
        both = np.column_stack([observed, observed.mean(axis=1)])
        names = np.repeat(forecast["run"].to_numpy(), both.shape[1])
        parts.append(fit.forecast_table(forecast).assign(run=names, observed=both.ravel()))
    if asked.flops:
        ratio = asked.tokens_per_param or fit.usual_ratio
        forecast = fit.forecast(flops=list(asked.flops), tokens_per_param=ratio)
        parts.append(fit.forecast_table(forecast))
    if not parts:
        raise BayesScalingError(
            "there is nothing to forecast: give --at, or --fit-below to hold runs out"
        )
    whole = pd.concat([part.reindex(columns=_columns()) for part in parts], ignore_index=True)
    return Tables(whole, fit.routes() if fit.bound.has_loss else None)


def _columns() -> list[str]:
    return ["run", "flops", "benchmark", "observed", "median", "q05", "q25", "q75", "q95"]


def write(folder: Path, fit: LadderFit, tables: Tables, asked: Asked) -> list[Path]:
    """Write tables, figure and fit; return the files."""
    import matplotlib.pyplot as plt

    from bayes_scaling.plots import plot_ladder

    tables.forecast.to_csv(folder / "ladder.csv", index=False)
    names = ["ladder.csv"]
    if tables.routes is not None:
        tables.routes.to_csv(folder / "ladder_routes.csv", index=False)
        names.append("ladder_routes.csv")
    plt.switch_backend("agg")
    figure = plot_ladder(fit, asked.held_out if len(asked.held_out) else None)
    figure.savefig(folder / "ladder.png", dpi=160)
    plt.close(figure)
    fit.save(folder / "ladder.nc")
    return [folder / name for name in (*names, "ladder.png", "ladder.nc")]


def to_json(fit: LadderFit, tables: Tables, files: list[Path]) -> dict[str, Any]:
    """Return everything that a program may want to know, in plain numbers and text."""
    seen = fit.bound.observations
    return {
        "forecast": plain_records(tables.forecast.astype({"run": object})),
        "routes": [] if tables.routes is None else plain_records(tables.routes),
        "diagnostics": {k: plain(v) for k, v in fit.diagnostics.to_dict().items()},
        "problems": fit.diagnostics.problems(),
        "data": {
            "mixture": seen.attrs["mixture"],
            "loss": seen.attrs["loss"] or None,
            "benchmarks": seen["benchmark"].to_numpy().tolist(),
            "n_runs_fitted": seen.sizes["run"],
            "largest_flops_fitted": float(seen["flops"].max()),
        },
        "files": [str(file) for file in files],
    }


def show(fit: LadderFit, tables: Tables, files: list[Path]) -> None:
    """Print the results for a person."""
    console = Console(highlight=False)
    problems = fit.diagnostics.problems()
    console.print(escape(repr(fit)), style="bold red" if problems else "bold")
    console.print(_forecast_table(tables.forecast))
    console.print(
        "Intervals are of the score of one run on the fitted test sets. A run has one loss and one "
        "luck on all benchmarks, so the interval of the average is a joint one."
    )
    if tables.routes is not None:
        console.print(_routes_table(tables.routes))
        console.print(_answer(tables.routes))
    if problems:
        console.print(
            f"[bold white on red] NOT CONVERGED [/] [red]{'; '.join(problems)}. Do not use these "
            "forecasts as they stand: raise --tune and --draws, or leave out benchmarks on which "
            "no run is above chance.[/]"
        )
    console.print(f"Written: {', '.join(escape(str(file)) for file in files)}")


def _forecast_table(forecast: pd.DataFrame) -> Table:
    """Return the forecasts of the largest budget."""
    largest = forecast[forecast["flops"] == forecast["flops"].max()]
    table = plain_table()
    table.title = f"Largest budget asked for: {largest['flops'].iloc[0]:.3g} FLOPs"
    for name in ("benchmark", "observed", "median", "90% interval"):
        table.add_column(name, justify="left" if name == "benchmark" else "right")
    for row in largest.itertuples():
        observed = "" if pd.isna(row.observed) else f"{row.observed:.3f}"
        interval = f"{row.q05:.3f} to {row.q95:.3f}"
        table.add_row(escape(str(row.benchmark)), observed, f"{row.median:.3f}", interval)
    return table


def _routes_table(routes: pd.DataFrame) -> Table:
    table = plain_table()
    table.title = "Share of the slope that goes through the loss (0 direct, 1 through the loss)"
    for name in ("benchmark", "median", "90% interval", "learned from the runs"):
        table.add_column(name, justify="left" if name == "benchmark" else "right")
    for row in routes.to_dict("records"):
        interval = f"{row['q05']:.2f} to {row['q95']:.2f}"
        learned = f"{max(0.0, row['learned']):.0%}"
        table.add_row(escape(row["benchmark"]), f"{row['median']:.2f}", interval, learned)
    return table


def _answer(routes: pd.DataFrame) -> str:
    """Return what the mean share says, in a sentence."""
    mean = routes.set_index("benchmark").loc["mean"]
    between = f"between {mean['q05']:.2f} and {mean['q95']:.2f} with 90%"
    if mean["learned"] < _LEARNED:
        return (
            f"The mean share is {between}, but that is nearly the prior: these runs cannot tell "
            "the routes apart."
        )
    return f"The mean share of these benchmarks is {between}."
