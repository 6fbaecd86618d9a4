"""Rolling origin for the ladder model: one fit of all benchmarks below each cut-off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import BayesScalingError
from bayes_scaling.evaluation.results import Backtest
from bayes_scaling.evaluation.scoring import score_forecast
from bayes_scaling.fitting.ladder_fit import LadderFit, fit_ladder
from bayes_scaling.modelling.ladder_model import LadderModel
from bayes_scaling.runs import Runs

LADDER = "ladder"


def backtest_ladder(
    runs: Runs,
    cutoffs: Sequence[float],
    model: LadderModel | None = None,
    *,
    name: str = LADDER,
    on_fit: Callable[[str], None] | None = None,
    **settings: Any,
) -> Backtest:
    """Fit the ladder model below each cut-off and score it on the runs above.

    Parameters
    ----------
    runs : Runs
        One ladder; see :func:`bayes_scaling.fit_ladder`.
    cutoffs : sequence of float
        Largest budgets to fit, in FLOPs.
    model : LadderModel, optional
        As for that function.
    name : str
        Name of the model in the tables.
    on_fit : callable, optional
        Called with what is being done.
    **settings
        For that function.

    Returns
    -------
    Backtest
        Scores of the same held-out runs as those of :func:`bayes_scaling.backtest`, so that
        ``backtest(...).joined(backtest_ladder(...))`` compares them.

    Raises
    ------
    BayesScalingError
        If no run lies above a cut-off.

    Examples
    --------
    Compiling takes most of a minute, so the fit is left out where examples are tested.

    >>> from bayes_scaling import backtest_ladder, load_dataset
    >>> runs = load_dataset(mixture="dclm").select(["piqa", "sciq"], "acc", tokens_per_param=20)
    >>> result = backtest_ladder(runs, [6e21])  # doctest: +SKIP
    >>> len(result.scores)  # doctest: +SKIP
    16
    """
    tell = on_fit or (lambda _: None)
    tables, fits = [], []
    for cutoff in cutoffs:
        fitted, ahead = runs.below(cutoff), runs.above(cutoff)
        if not len(ahead):
            raise BayesScalingError(f"backtest: no run is above {cutoff:g} FLOPs")
        tell(f"all benchmarks below {cutoff:.2g} FLOPs")
        fit = fit_ladder(fitted, model, **settings)
        labels: dict[str, Any] = {"model": name, "family": LADDER, "cutoff": cutoff}
        tables += [table.assign(**labels) for table in _score(fit, ahead)]
        fits += [row | labels for row in _fit_rows(fit)]
    nothing = pd.DataFrame(columns=["model", "benchmark", "metric", "mixture", "cutoff", "reason"])
    return Backtest(
        pd.concat(tables, ignore_index=True), pd.DataFrame(fits), pd.DataFrame(), nothing
    )


def _score(fit: LadderFit, ahead: Runs) -> Iterator[pd.DataFrame]:
    """Yield the scores of each benchmark."""
    forecast = fit.forecast_runs(ahead)
    training = ahead.table.drop_duplicates("run").set_index("run")["training"]
    forecast = forecast.assign_coords(
        training=("budget", training[forecast["run"].to_numpy()].to_numpy(str))
    )
    for (benchmark, metric, mixture), rows in ahead.series():
        part = _of_benchmark(forecast, benchmark)
        where = dict(zip(rows.table["run"], rows.table["k"], strict=True))
        keys = [
            " | ".join(map(str, (benchmark, metric, mixture, run, where[run])))
            for run in part["run"].to_numpy()
        ]
        fitted = fit.runs.table
        largest = fitted.loc[fitted["benchmark"] == benchmark, "flops"].max()
        yield score_forecast(part, keys).assign(
            elpd=part["log_density"].to_numpy(),
            benchmark=benchmark,
            metric=metric,
            mixture=mixture,
            distance=part["flops"].to_numpy() / largest,
        )


def _of_benchmark(forecast: xr.Dataset, benchmark: str) -> xr.Dataset:
    """Return the forecast of one benchmark for the runs that were scored on it."""
    part = forecast.sel(benchmark=benchmark)
    return part.isel(budget=np.flatnonzero(~np.isnan(part["observed"].to_numpy())))


def _fit_rows(fit: LadderFit) -> Iterator[dict[str, Any]]:
    """Yield a row for each benchmark: how the fit of all converged."""
    for benchmark, metric, mixture in (series for series, _ in fit.runs.series()):
        yield {
            "benchmark": benchmark,
            "metric": metric,
            "mixture": mixture,
            "likelihood": "normal",
            "floor": "auto",
            **fit.diagnostics.to_dict(),
            "problems": "; ".join(fit.diagnostics.problems()),
        }
