"""Tables as commands give them: in one style for people, as JSON for programs."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table


def plain_table() -> Table:
    """Return an empty table in the house style."""
    return Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)


def plain_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table in a form that JSON can hold."""
    return [
        {str(name): plain(value) for name, value in row.items()} for row in table.to_dict("records")
    ]


def plain(value: Any) -> Any:
    """Return a value that JSON can hold: None for missing values, NaN and infinity."""
    if value is pd.NA:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
