"""What a model sees of one series: scores, item counts, inputs and the centre they give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import ModelError
from bayes_scaling.laws import Input, ScalingLaw
from bayes_scaling.runs import Runs

# A law in parameters and tokens needs runs whose tokens per parameter differ by this factor (log).
_MIN_RATIO_SPREAD = np.log(1.5)
# Words for what to do when a law's input is missing.
_MEND = {
    "flops": "give flops, or params and tokens",
    "params": "add a params column (model parameters)",
    "tokens": "add a tokens column (training tokens)",
    "k": "select the metric 'pass@k', which keeps the number of samples k",
}


def observe(runs: Runs, law: ScalingLaw, loss: str | None = None) -> xr.Dataset:
    """Return one series of runs as a model sees it.

    Parameters
    ----------
    runs : Runs
        One series: one benchmark, metric and mixture.
    law : ScalingLaw
        The law to be fitted; its inputs must be in the runs.
    loss : str, optional
        Column of the loss that a two-stage law goes through.

    Returns
    -------
    xarray.Dataset
        Dimension `row`, labelled by run (and k, where a run has several rows): `score` in
        [0, 1], `n_items` (0 where unknown), the law's inputs, and `loss` of a two-stage law.
        Scalars: `chance` and the centre. `centre_<input>` is subtracted from each input as it
        enters, and `reach` is the distance of the farthest run from the mean of the first input.
        The coordinates `run` and `training` name the run and the training of each row.

    Raises
    ------
    ModelError
        If an input is missing or constant.
    """
    runs.require_one_series()
    table = runs.table
    _check(runs, law)
    if loss is not None:
        check_loss(runs, law.name, loss)
    inputs = {name: ("row", table[name].to_numpy(float)) for name in law.columns}
    entered = {one.name: enter(one, table[one.name].to_numpy(float)) for one in law.reads}
    centre = {one.name: float(entered[one.name].mean()) * one.centred for one in law.reads}
    first, *_ = entered.values()
    if loss is not None:
        inputs["loss"] = ("row", table[loss].to_numpy(float))
    return xr.Dataset(
        {
            **inputs,
            "score": ("row", table["score"].to_numpy(float)),
            "n_items": ("row", table["n_items"].fillna(0).to_numpy(float)),
            "chance": float(table["chance"].iloc[0]),
            **{f"centre_{name}": value for name, value in centre.items()},
            "reach": float(np.abs(first - first.mean()).max()),
        },
        coords={
            "run": ("row", table["run"].to_numpy(str)),
            "training": ("row", table["training"].to_numpy(str)),
            "row": _labels(table),
        },
        attrs={name: str(table[name].iloc[0]) for name in ("benchmark", "metric", "mixture")},
    )


def enter(one: Input, values: Any) -> Any:
    """Return an input as it enters a law, before its mean is subtracted."""
    return np.log(values) if one.log else values


def _labels(table: pd.DataFrame) -> list[str]:
    """Return a name for each row: that of its run, with k where a run has several."""
    names = table["run"].astype(str)
    if names.is_unique:
        return names.tolist()
    return [f"{run}, k={k:g}" for run, k in zip(names, table["k"], strict=True)]


def _check(runs: Runs, law: ScalingLaw) -> None:
    table = runs.table
    where = f"{table['benchmark'].iloc[0]} ({table['metric'].iloc[0]})"
    for one in law.reads:
        name = one.name
        if name not in table:
            raise ModelError(f"{where}: {law.name} needs {name!r}; {_mend(name)}")
        missing = int(table[name].isna().sum())
        if missing:
            raise ModelError(
                f"{where}: {law.name} needs {name!r}, missing in {missing} of {len(table)} rows; "
                f"{_mend(name)}"
            )
        if one.log and (table[name] <= 0).any():
            row = table[table[name] <= 0].iloc[0]
            raise ModelError(
                f"{where}: {law.name} reads the logarithm of {name!r}, which is {row[name]:g} in "
                f"run {row['run']}; leave that run out, or let the law read it as it is"
            )
        if table[name].nunique() < 2:
            raise ModelError(
                f"{where}: all runs have the same {name!r}; {law.name} needs at least two values"
            )
    if {"params", "tokens"} <= set(law.columns) and not ratios_vary(table):
        raise ModelError(
            f"{where}: all runs have about the same tokens per parameter, so "
            f"{law.name} cannot tell their effects apart; use a law in flops, or add runs at other "
            "ratios"
        )
    if table["n_items"].isna().any() and table["score"].nunique() < 2:
        raise ModelError(
            f"{where}: every score is {table['score'].iloc[0]:g}, which tells a law nothing; "
            "leave this series out, or give n_items"
        )


def _mend(name: str) -> str:
    more = f"keep the column with Runs.from_frame(..., covariates=[{name!r}])"
    return _MEND.get(name, more)


def choose_loss(runs: Runs, loss: str) -> str:
    """Return the loss column that a two-stage law goes through.

    "auto" is the loss on the runs' own mixture (`loss_<mixture>`), else the only loss there is.

    Raises
    ------
    ModelError
        If the column is not there, or "auto" cannot choose.
    """
    there = [*runs.losses, "task_loss"]
    if loss != "auto":
        if loss not in there:
            raise ModelError(f"no loss column {loss!r}; there are {', '.join(there)}")
        return loss
    own = f"loss_{runs.table['mixture'].iloc[0]}"
    if own in runs.losses:
        return own
    if len(runs.losses) == 1:
        return runs.losses[0]
    raise ModelError(
        f"which loss should the model go through? There is no {own!r}; "
        f"name one of {', '.join(there)} as the model's loss (--loss)"
    )


def check_loss(runs: Runs, name: str, loss: str) -> None:
    """Raise a ModelError, which says that `name` needs it, unless every row has a loss."""
    table = runs.table
    where = f"{table['benchmark'].iloc[0]} ({table['metric'].iloc[0]})"
    bad = table[loss].isna() | (table[loss] <= 0)
    if bad.any():
        raise ModelError(
            f"{where}: {name} goes through {loss!r}, missing or not positive in "
            f"{int(bad.sum())} of {len(table)} rows (first: run {table['run'][bad].iloc[0]}); "
            "leave those runs out, or choose another loss"
        )


def ratios_vary(table: pd.DataFrame) -> bool:
    """Return whether tokens per parameter differ enough to learn from parameters and tokens."""
    ratios = np.log(table["tokens"] / table["params"])
    return bool(ratios.max() - ratios.min() >= _MIN_RATIO_SPREAD)


def centre_of(observations: xr.Dataset) -> dict[str, float]:
    """Return the centre of fitted observations as the mapping `c` of a law."""
    centre = {
        str(name).removeprefix("centre_"): float(values)
        for name, values in observations.data_vars.items()
        if str(name).startswith("centre_")
    }
    return centre | {"reach": float(observations["reach"])}
