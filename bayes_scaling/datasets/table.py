"""Tables of the user's own: CSV and Parquet, with any column names."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_scaling._io.files import read_csv, read_parquet
from bayes_scaling.datasets.benchmarks import fill_known
from bayes_scaling.errors import RunsError
from bayes_scaling.runs import Runs
from bayes_scaling.runs.draft import Problem
from bayes_scaling.runs.file_check import Check
from bayes_scaling.runs.validation import INPUT_COLUMNS, clean_columns, examine


def load_csv(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    *,
    covariates: Iterable[str] = (),
    **defaults: Any,
) -> Runs:
    """Load a CSV file of runs and scores.

    Parameters
    ----------
    path : path
        UTF-8 text, comma-separated, the first line names the columns. Numbers may have units
        ("1.3B" parameters, "350e9" tokens).
    columns : mapping of str to str, optional
        Map from the file's column names to those of `Runs.from_frame`, such as
        ``{"accuracy": "score", "N": "params"}``.
    covariates : iterable of str
        Further numeric columns to keep, for laws that read them; see `Runs.from_frame`.
    **defaults
        Values for all rows where the file has none, such as ``metric="acc"``,
        ``mixture="dclm"`` or ``chance=0.25``.

    Returns
    -------
    Runs
        Chance levels and item counts of known benchmarks (`known_benchmarks`) are filled in;
        the notes say so.

    Raises
    ------
    RunsError
        If the file cannot be read, or holds an invalid table; rows are named by the line of the
        file, so row 2 is the first below the header.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "runs.csv"
    >>> rows = ["run,N,tokens,benchmark,score", "small,190M,3.8e9,arc_easy,0.412"]
    >>> _ = file.write_text(chr(10).join(rows))
    >>> load_csv(file, {"N": "params"}, metric="acc").table["params"].item()
    190000000.0
    """
    return _load(read_csv(path), str(path), columns, covariates, defaults)


def load_parquet(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    *,
    covariates: Iterable[str] = (),
    **defaults: Any,
) -> Runs:
    """Load a Parquet file of runs and scores.

    Parameters
    ----------
    path : path
        A Parquet file; its rows are counted from 0 in messages.
    columns, covariates, **defaults
        As for `load_csv`.

    Returns
    -------
    Runs

    Raises
    ------
    RunsError
        As for `load_csv`.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "runs.parquet"
    >>> table = {"run": ["small"], "flops": [4e18], "benchmark": ["arc_easy"], "score": [0.4]}
    >>> pd.DataFrame(table).to_parquet(file)
    >>> load_parquet(file, metric="acc").metrics
    ('acc',)
    """
    return _load(read_parquet(path), str(path), columns, covariates, defaults)


def _load(
    table: pd.DataFrame,
    source: str,
    columns: Mapping[str, str] | None,
    covariates: Iterable[str],
    defaults: dict[str, Any],
) -> Runs:
    table, notes = prepare(table, source, columns, defaults)
    return Runs.from_frame(table, covariates=covariates, source=source, notes=notes)


def prepare(
    table: pd.DataFrame,
    source: str,
    columns: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Name the columns, fill in defaults and known benchmarks; return the table and notes.

    Raises
    ------
    RunsError
        If `columns` names a column that the table lacks, or `defaults` one that runs lack.
    """
    table = clean_columns(table)
    absent = [name for name in columns or {} if name not in table]
    if absent:
        have = ", ".join(table.columns)
        raise RunsError(f"{source}: has no column {', '.join(absent)}. It has: {have}")
    alien = [name for name in defaults or {} if name not in INPUT_COLUMNS]
    if alien:
        raise RunsError(f"{source}: runs have no column {', '.join(alien)} to give a default for")
    table = table.rename(columns=dict(columns or {}))
    if table.columns.has_duplicates:  # left to the checks, which name the column
        return table, []
    for name, value in (defaults or {}).items():
        given = table[name] if name in table else pd.Series("", index=table.index, dtype=object)
        gaps = given.isna() | (given.astype(str).str.strip() == "")
        table[name] = given.astype(object).where(~gaps, value)
    return fill_known(table)


def check_file(
    path: str | Path, columns: Mapping[str, str] | None = None, **defaults: Any
) -> Check:
    """List everything wrong with a file of runs, errors and warnings alike.

    Parameters
    ----------
    path : path
        A CSV file, or a Parquet file by its ending ".parquet".
    columns, **defaults
        As for `load_csv`.

    Returns
    -------
    Check
        The function never raises because of the file's content: a file that cannot be read is an
        error of kind "file". Rows are named by the line of a CSV file; in Parquet they are
        counted from 0.

    Examples
    --------
    >>> [problem.kind for problem in check_file("no_such_file.csv").errors]
    ['file']
    """
    path = Path(path)
    try:
        table = read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
        table, filled = prepare(table, str(path), columns, defaults)
    except RunsError as error:
        message = str(error).removeprefix(f"{path}: ")
        return Check(str(path), 0, (Problem("file", "error", None, message),), (), None)
    found = examine(table)
    notes = (*filled, *found.notes)
    runs = None if found.errors else Runs._of(found.table, notes)
    return Check(str(path), len(table), (*found.errors, *found.warnings), notes, runs)
