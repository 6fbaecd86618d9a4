"""Reading text files from strangers: every failure becomes a `RunsError` that names the file."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_scaling.errors import RunsError


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark.

    Raises
    ------
    RunsError
        If the file is absent, cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RunsError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunsError(f"{path}: cannot be read: {reason}") from error


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a CSV file as texts; conversion to numbers is left to the checks.

    Returns
    -------
    DataFrame
        All columns hold str, "" where a cell is empty. The index is the line of the file on
        which each row ends, so that messages can be looked up in an editor or a spreadsheet.

    Raises
    ------
    RunsError
        If the file cannot be read as CSV, or a row has more or fewer cells than the header.
    """
    # csv wants line ends as they are, for quoted cells that span lines.
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    lines, rows, ragged = [], [], []
    try:
        header = next(reader, [])
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            lines.append(reader.line_num)
            rows.append(row)
            if len(row) != len(header):
                ragged.append(f"row {reader.line_num} has {len(row)} cells")
    except csv.Error as error:
        raise RunsError(f"{path}: row {reader.line_num}: is not CSV: {error}") from error
    if not any(name.strip() for name in header):
        raise RunsError(f"{path}: is empty; the first line should name the columns")
    if ragged:
        more = f" (and {len(ragged) - 5} more)" if len(ragged) > 5 else ""
        raise RunsError(
            f"{path}: the header has {len(header)} columns, but {', '.join(ragged[:5])}{more}"
        )
    cells = np.array(rows, dtype=object).reshape(len(rows), len(header))
    return pd.DataFrame(cells, columns=header, index=lines)


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    RunsError
        If the file cannot be read as JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise RunsError(f"{path}: is nested too deeply") from error
    except ValueError as error:
        raise RunsError(f"{path}: is not JSON: {error}") from error


def read_parquet(path: str | Path) -> pd.DataFrame:
    """Read a Parquet file; its rows are counted from 0.

    Raises
    ------
    RunsError
        If the file cannot be read as Parquet.
    """
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        # Metadata that pandas left in the file could rename rows and columns.
        table: pd.DataFrame = pq.read_table(path).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or ["broken file"])[0]
        raise RunsError(f"{path}: cannot be read as Parquet: {reason}") from error
    return table
