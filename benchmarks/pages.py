"""Tables of benchmarks as Markdown, and where they stand in the pages of docs/."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent


def as_markdown(table: pd.DataFrame) -> str:
    """Return a table as Markdown."""
    rows = [table.columns, ["---"] * table.shape[1], *table.map(str).to_numpy()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def replace_between(text: str, marker: str, new: str) -> str:
    """Return a page with the text between two markers replaced."""
    begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{new}\n\n{end}{after}"


def write_tables(name: str, tables: Mapping[str, pd.DataFrame]) -> None:
    """Put tables, by their marker, into a page of docs/."""
    page = ROOT / "docs" / name
    text = page.read_text(encoding="utf-8")
    for marker, table in tables.items():
        text = replace_between(text, marker, as_markdown(table))
    page.write_text(text, encoding="utf-8")
