"""Budgets: runs that have not been made yet, as laws read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from bayes_scaling.errors import ModelError
from bayes_scaling.runs.table import Runs

if TYPE_CHECKING:
    import xarray as xr

BudgetLike = float | Sequence[float] | NDArray[np.float64]

_POSITIVE = ("flops", "params", "tokens", "k", "tokens_per_param")


@dataclass(frozen=True)
class Budgets:
    """Future runs: their cost, the other inputs of laws, and their test items.

    Make one with :meth:`of` or :meth:`of_runs`. Functions that take budgets also take the
    arguments of :meth:`of` directly.

    Attributes
    ----------
    inputs : xarray.Dataset
        A variable for each known input (FLOPs, params, tokens, k and covariates), dimension
        `budget`.
    n_items : xarray.DataArray or None
        Test items of each future run, dimension `budget`; 0 stands for endlessly many, None
        for as many as in the fitted runs.
    new_test_set : bool
        Whether the future runs answer other items than the fitted ones.

    Examples
    --------
    >>> Budgets.of(flops=[1e22, 1e23], tokens_per_param=20).inputs["tokens"].round(-9).values
    array([1.83e+11, 5.77e+11])
    """

    inputs: xr.Dataset
    n_items: xr.DataArray | None = None
    new_test_set: bool = False

    @classmethod
    def of(
        cls,
        given: Budgets | None = None,
        *,
        flops: BudgetLike | None = None,
        params: BudgetLike | None = None,
        tokens: BudgetLike | None = None,
        k: BudgetLike | None = None,
        tokens_per_param: float | None = None,
        n_items: BudgetLike | None = None,
        **covariates: BudgetLike,
    ) -> Budgets:
        """Return future runs.

        Parameters
        ----------
        given : Budgets, optional
            Ready budgets; nothing else may be given then.
        flops, params, tokens, k : float or sequence of float, optional
            Training FLOPs, model parameters, training tokens and samples of pass@k; scalars
            are repeated. FLOPs are 6·N·D if params and tokens are given. Params and
            tokens follow from FLOPs if tokens_per_param is given.
        tokens_per_param : float, optional
            Training tokens per parameter.
        n_items : float or sequence of float, optional
            Items of a new test set of the same benchmark, 0 for endlessly many. By default the
            future runs answer the same items as the fitted ones.
        **covariates : float or sequence of float
            Covariates of the runs that the law reads, by name.

        Raises
        ------
        ModelError
            If nothing is given, lengths differ, a budget is not positive and finite, or a
            covariate is not finite.
        """
        named = {"flops": flops, "params": params, "tokens": tokens, "k": k, **covariates}
        if given is not None:
            more = [name for name, value in named.items() if value is not None]
            more += ["tokens_per_param"] if tokens_per_param is not None else []
            more += ["n_items"] if n_items is not None else []
            if more:
                raise ModelError(f"give budgets, or {', '.join(more)}, not both")
            if not isinstance(given, Budgets):
                raise ModelError(f"{given!r} is not Budgets; name it, such as flops={given!r}")
            return given
        import xarray as xr  # takes half a second; loading a table does not need it

        columns = _columns(named, tokens_per_param)
        shaped = _same_length(columns)
        coords = {"budget": np.arange(next(iter(shaped.values())).size)}
        inputs = xr.Dataset({n: ("budget", v) for n, v in shaped.items()}, coords=coords)
        if n_items is None:
            return cls(inputs)
        return cls(inputs, _items(n_items, inputs), new_test_set=True)

    @classmethod
    def of_runs(cls, runs: Runs, names: Iterable[str]) -> Self:
        """Return the budgets of existing runs, with their own item counts, on the same test set.

        Parameters
        ----------
        runs : Runs
            One row per budget.
        names : iterable of str
            Columns of the runs that the law reads, besides FLOPs.
        """
        import xarray as xr

        table = runs.table
        columns = dict.fromkeys(("flops", *names))
        inputs = xr.Dataset(
            {name: ("budget", table[name].to_numpy(float)) for name in columns},
            coords={"budget": np.arange(len(table))},
        )
        items = table["n_items"].fillna(0).to_numpy(float)
        return cls(inputs, inputs["flops"].copy(data=items).rename("n_items"))

    def without(self, names: Iterable[str]) -> Budgets:
        """Return the budgets without some covariates; what every budget has stays."""
        dropped = set(names) - set(_POSITIVE)
        return replace(self, inputs=self.inputs.drop_vars(list(dropped), errors="ignore"))


def _columns(
    named: Mapping[str, BudgetLike | None], tokens_per_param: float | None
) -> dict[str, NDArray[np.float64]]:
    """Return what is given, and what follows from it."""
    columns = {n: np.atleast_1d(np.asarray(v, float)) for n, v in named.items() if v is not None}
    if not set(columns) - {"k"}:
        raise ModelError("a forecast needs budgets: give flops, or params and tokens")
    for name, values in columns.items():
        _check(name, values)
    if tokens_per_param is not None:
        _check("tokens_per_param", np.atleast_1d(float(tokens_per_param)))
        columns |= _from_ratio(columns, tokens_per_param)
    if "flops" not in columns and {"params", "tokens"} <= set(columns):
        lengths = {columns["params"].size, columns["tokens"].size} - {1}
        if len(lengths) < 2:
            columns["flops"] = 6.0 * columns["params"] * columns["tokens"]
    return columns


def _from_ratio(
    columns: Mapping[str, NDArray[np.float64]], ratio: float
) -> dict[str, NDArray[np.float64]]:
    """Return parameters and tokens of a ratio of tokens to parameters."""
    if {"params", "tokens"} <= set(columns):
        raise ModelError("give tokens_per_param, or both params and tokens, not all three")
    if "params" in columns:
        return {"tokens": columns["params"] * ratio}
    if "tokens" in columns:
        return {"params": columns["tokens"] / ratio}
    if "flops" in columns:
        params = np.sqrt(columns["flops"] / (6 * ratio))
        return {"params": params, "tokens": params * ratio}
    raise ModelError("tokens_per_param needs flops, params or tokens beside it")


def _check(name: str, values: NDArray[np.float64]) -> None:
    if not values.size:
        raise ModelError(f"forecast: {name} is empty; give at least one budget")
    positive = name in _POSITIVE
    if not np.isfinite(values).all() or (positive and not (values > 0).all()):
        what = "positive and finite" if positive else "finite"
        raise ModelError(f"forecast: {name} must be {what}, got {values.tolist()}")


def _same_length(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    try:
        shaped = np.broadcast_arrays(*columns.values())
    except ValueError as error:
        sizes = ", ".join(f"{name} {values.size}" for name, values in columns.items())
        raise ModelError(f"forecast: lengths differ ({sizes})") from error
    return dict(zip(columns, shaped, strict=True))


def _items(n_items: BudgetLike, inputs: xr.Dataset) -> xr.DataArray:
    given, size = np.asarray(n_items, float), inputs.sizes["budget"]
    if given.ndim and given.size not in (1, size):
        raise ModelError(f"forecast: lengths differ ({size} budgets, n_items {given.size})")
    values = np.broadcast_to(given, (size,))
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ModelError(f"forecast: n_items must be 0 or more, got {np.unique(values).tolist()}")
    return inputs["budget"].copy(data=np.round(values)).rename("n_items")
