"""The page: content put into its template, in one file that asks nothing of any network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

# Columns of budgets, and columns of numbers that need few digits.
_REQUIRED = {"with 5% at", "with 90% at", "with 95% at"}
_BUDGETS = {"flops", "params", "tokens", *_REQUIRED}
_WORDS = {"benchmark": "series", "q05": "5%", "q25": "25%", "q75": "75%", "q95": "95%"}


@dataclass(frozen=True)
class PageTable:
    """A table whose cells are text.

    Attributes
    ----------
    columns : tuple of str
        Its headings.
    rows : tuple of tuple of str
        Its cells.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, frame: pd.DataFrame, names: Sequence[str] = ()) -> PageTable:
        """Return a data frame, or some of its columns, as text for people."""
        chosen = [name for name in names or frame.columns if name in frame]
        cells = [[_cell(str(name), value) for value in frame[name]] for name in chosen]
        headings = tuple(_WORDS.get(str(name), str(name).replace("_", " ")) for name in chosen)
        return cls(headings, tuple(zip(*cells, strict=True)))


def _cell(column: str, value: Any) -> str:
    if value is None or value is pd.NA:
        return ""
    if isinstance(value, str | bool | np.bool_):
        return str(value)
    number = float(value)
    if np.isnan(number):
        return ""
    if np.isinf(number):
        return "none"
    if column in _REQUIRED and number == 0:
        return "any"
    if column in _BUDGETS or abs(number) >= 1e5:
        return f"{number:.3g}"
    whole = abs(number) > 1 and (number == round(number) or abs(number) >= 1000)
    return f"{number:.0f}" if whole else f"{number:.3g}"


def render(**content: Any) -> str:
    """Return the page with its content."""
    environment = Environment(
        loader=PackageLoader("bayes_scaling.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(**content)
