"""Numbers and metrics as people write them: "1.3B", "350e9", "pass@16"."""

import numbers
import re
import reprlib
from collections.abc import Iterable
from decimal import Decimal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_scaling.errors import printable

_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([kmbgt]?)", re.ASCII | re.I)
_MISSING = frozenset({"", "nan", "na", "n/a", "<na>", "null", "none"})
_PASS_METRIC = re.compile(r"pass(?:@|_at_)(\d{1,9})", re.ASCII)


def is_missing(value: object) -> bool:
    """Tell whether a cell is empty; unlike `pandas.isna`, for any object without raising."""
    absent = value is None or value is pd.NA or value is pd.NaT
    return absent or (isinstance(value, float) and value != value)


def parse_quantity(value: object) -> float:
    """Convert a number or a text such as "1.3B", "350e9", "10T" or "190M" to a float.

    Parameters
    ----------
    value : object
        A real number, or a text: a number with an optional unit K, M, B (or G) or T for
        10^3, 10^6, 10^9 and 10^12. Empty text, "nan", "NA", "null" and None are NaN.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `value` is anything else.
    """
    if is_missing(value):
        return np.nan
    if isinstance(value, str):
        return _parse_text(value.strip())
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real | Decimal):
        raise ValueError(f"{reprlib.repr(value)} is not a number")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("a whole number too large for float64") from error


def _parse_text(text: str) -> float:
    if text.lower() in _MISSING:
        return np.nan
    if text.lower().lstrip("+-") in {"inf", "infinity"}:
        return -np.inf if text.startswith("-") else np.inf
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{reprlib.repr(text)} is not a number")
    return float(match[1]) * _UNITS[match[2].lower()]


def has_unit(text: str) -> bool:
    """Tell whether `text` is a number with a unit, such as "1.3B"."""
    match = _QUANTITY.fullmatch(text.strip())
    return match is not None and match[2] != ""


def split_pass_at_k(metric: str) -> int | None:
    """Return k of a metric spelled "pass@16" or "pass_at_16", None for any other metric."""
    match = _PASS_METRIC.fullmatch(metric)
    return int(match[1]) if match else None


def misses_whole_count(
    score: NDArray[np.float64], n_items: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which scores cannot be a whole number of right answers out of `n_items`.

    Parameters
    ----------
    score, n_items : array of float, same shape
        NaN is never a miss.

    Returns
    -------
    array of bool
        Rounding of the score to its last written decimal, or to float32, is not a miss.
    """
    digits = np.array([_decimals(value) for value in score.tolist()], np.float64)
    with np.errstate(invalid="ignore"):
        count = score * n_items
        return np.abs(count - np.round(count)) > n_items * (10.0**-digits + 1e-7)


def _decimals(value: float) -> int:
    exponent = Decimal(repr(value)).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def short_list(names: Iterable[str], most: int = 8) -> str:
    """Return the names in order, the first `most` in full."""
    names = sorted(set(names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return printable(", ".join(names[:most]) + more)
