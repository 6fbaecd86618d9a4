"""What a ladder model sees: scores by run and benchmark, budgets and losses by run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import ModelError
from bayes_scaling.modelling.observations import check_loss, choose_loss, ratios_vary
from bayes_scaling.runs import Runs

NEAR_CHANCE = "near_chance"
# A run at most this far above chance says where the floor is (as `Runs.near_chance`).
_NEAR = 0.05
_FEWEST_RUNS = 3


def observe_ladder(runs: Runs, loss: str | None) -> xr.Dataset:
    """Return the runs of a ladder as its model sees them.

    Parameters
    ----------
    runs : Runs
        One mixture, any benchmarks, one metric of each and one row of each run and benchmark.
    loss : str or None
        Column of the loss, "auto", or None for a model without a loss.

    Returns
    -------
    xarray.Dataset
        Dimensions run (by budget) and benchmark. `score` (run, benchmark) in [0, 1], NaN where a
        run was not scored; `n_items` (run, benchmark), 0 where unknown; `chance` (benchmark);
        `flops`, and where tokens per parameter vary `params` and `tokens`, and `loss` (run).

    Raises
    ------
    ModelError
        If runs are of several mixtures, a benchmark has several metrics or rows of a run, a
        training has several checkpoints, or there are too few runs. The message says what to do.
    """
    _check(runs)
    table = runs.table
    column = None if loss is None else choose_loss(runs, loss)
    if column == "task_loss":
        raise ModelError(
            "a ladder model goes through one loss of each run, and task_loss is one of each "
            "benchmark; name another loss, or give loss=None"
        )
    if column is not None:
        check_loss(runs, "the ladder model", column)
    first = table.drop_duplicates("run").set_index("run").sort_values("flops", kind="stable")
    ratios = {"params", "tokens"} <= set(table) and bool(
        first[["params", "tokens"]].notna().to_numpy().all()
    )
    wanted = ["flops", *(["params", "tokens"] if ratios and ratios_vary(first) else [])]
    by_run = {name: ("run", first[name].to_numpy(float)) for name in wanted}
    if column is not None:
        by_run["loss"] = ("run", first[column].to_numpy(float))
    cells = {
        name: by_run_and_benchmark(table, name, list(first.index)) for name in ("score", "n_items")
    }
    order = list(cells["score"].columns)
    chance = table.groupby("benchmark", sort=False)["chance"].first()[order].to_numpy(float)
    return xr.Dataset(
        {
            "score": (("run", "benchmark"), cells["score"].to_numpy(float)),
            "n_items": (("run", "benchmark"), cells["n_items"].fillna(0).to_numpy(float)),
            "chance": ("benchmark", chance),
            **by_run,
        },
        coords={"run": first.index.to_numpy(str), "benchmark": np.array(order, str)},
        attrs={"mixture": str(table["mixture"].iloc[0]), "loss": column or ""},
    )


def near_chance(observations: xr.Dataset) -> xr.DataArray:
    """Return for each benchmark whether some run scores near chance or below."""
    return observations["score"].min("run") <= observations["chance"] + _NEAR


def by_run_and_benchmark(table: pd.DataFrame, name: str, runs: list[str]) -> pd.DataFrame:
    """Return a column of a table of runs, a row for each of `runs` and a column a benchmark."""
    wide = table.pivot_table(index="run", columns="benchmark", values=name, dropna=False)
    return wide.reindex(index=runs, columns=list(dict.fromkeys(table["benchmark"])))


def _check(runs: Runs) -> None:
    table = runs.table
    mixtures = table["mixture"].unique()
    if len(mixtures) > 1:
        raise ModelError(
            f"a ladder model is fitted to one mixture; there are {', '.join(map(str, mixtures))}. "
            "Select one: runs.select(mixture=...)"
        )
    metrics = table.groupby("benchmark")["metric"].unique()
    several = metrics[metrics.map(len) > 1]
    if len(several):
        raise ModelError(
            f"{several.index[0]} has the metrics {', '.join(several.iloc[0])}; a ladder model "
            "takes one of each benchmark. Select it: runs.select(benchmark, metric)"
        )
    twice = table[table.duplicated(["run", "benchmark"])]
    if len(twice):
        row = twice.iloc[0]
        raise ModelError(
            f"run {row['run']} has several scores of {row['benchmark']}; a ladder model takes one "
            "of each run (for pass@k one k)"
        )
    if runs.has_checkpoints():
        raise ModelError(
            "several runs are checkpoints of one training; a ladder model takes them as "
            "independent, so keep the last checkpoint of each"
        )
    if table["run"].nunique() < _FEWEST_RUNS:
        raise ModelError(
            f"a ladder model needs at least {_FEWEST_RUNS} runs; there are {table['run'].nunique()}"
        )
