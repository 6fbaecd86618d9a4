"""Tables as commands give them: in the house style to people, as JSON to programs."""

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
    """Return the rows of a table as JSON can hold them."""
    return [
        {str(name): plain(value) for name, value in row.items()} for row in table.to_dict("records")
    ]


def plain(value: Any) -> Any:
    """Return what JSON can hold: no NaN and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
