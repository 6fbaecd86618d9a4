"""Which rows of a table match what is asked for."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_scaling.errors import RunsError
from bayes_scaling.runs.draft import PASS_AT_K
from bayes_scaling.runs.quantities import split_pass_at_k

# Published ratios are nominal: at "20 tokens per parameter" the exact ratio is 18 to 22.
_RATIO_TOLERANCE = 0.1


def as_list(values: Any) -> list[Any]:
    """Return what was asked for as a list."""
    return [values] if isinstance(values, str) or not np.iterable(values) else list(values)


def keep_matches(table: pd.DataFrame, column: str, values: list[Any]) -> pd.DataFrame:
    """Return the rows that match one of the values; a RunsError lists the values there are."""
    keep = np.zeros(len(table), bool)
    for value in values:
        matches = _matches(table, column, value)
        if not matches.any():
            raise RunsError(_nothing_left(table, column, value))
        keep |= matches
    return table[keep]


def _matches(table: pd.DataFrame, column: str, value: Any) -> NDArray[np.bool_]:
    cells: NDArray[Any] = table[column].to_numpy()
    if column == "metric" and (k := split_pass_at_k(value)) is not None:
        return np.asarray((cells == PASS_AT_K) & (table["k"].to_numpy() == k), bool)
    if column == "tokens_per_param":
        return np.asarray(np.abs(cells - value) <= _RATIO_TOLERANCE * value, bool)
    return np.asarray(cells == value, bool)


def _nothing_left(table: pd.DataFrame, column: str, value: Any) -> str:
    available = list(dict.fromkeys(_label(v) for v in unique(table[column].dropna())))
    close = difflib.get_close_matches(str(value), available, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"no row has {column} {value}.{hint} Available: {first_names(available) or 'none'}"


def _label(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def unique(values: pd.Series) -> tuple[Any, ...]:
    """Return the distinct values, sorted."""
    return tuple(sorted(values.unique()))


def first_names(names: Sequence[str], most: int = 20) -> str:
    """Return the first names as text, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
