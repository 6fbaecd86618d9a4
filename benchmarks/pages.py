"""Tables of benchmarks as Markdown, and where they stand in the pages of docs/."""

import pandas as pd


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
