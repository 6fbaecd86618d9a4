"""Chance levels and item counts of known benchmarks: data/benchmarks.csv."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pandas as pd

from bayes_scaling._io.resources import resource_dir
from bayes_scaling.runs.quantities import (
    misses_whole_count,
    parse_quantity,
    short_list,
    split_pass_at_k,
)

_COUNTED_METRICS = ("acc", "acc_norm", "exact_match", "len_norm")


@cache
def _table() -> pd.DataFrame:
    return pd.read_csv(resource_dir("data") / "benchmarks.csv")


def known_benchmarks() -> pd.DataFrame:
    """Return what is known of benchmarks, one row per suite × benchmark.

    Returns
    -------
    DataFrame
        ``suite`` ("harness": names of lm-evaluation-harness; "gadre2024"; "olmo_ladder"),
        ``benchmark``, ``n_items`` (items of the test set, NaN where scores are not counts
        of items), ``chance`` (1/choices, 0 for exact match and generation), ``source``.

    Examples
    --------
    >>> known_benchmarks().query("benchmark == 'piqa'")["chance"].unique().tolist()
    [0.5]
    """
    return _table().copy()


def known_values(column: str, suite: str | None = None) -> dict[str, float]:
    """Return benchmark → ``chance`` or ``n_items``.

    Without a suite, benchmarks on which the suites disagree are left out: the same name can
    stand for another number of choices.
    """
    table = _table() if suite is None else _table().query("suite == @suite")
    values = table.groupby("benchmark")[column].agg(["first", "nunique", "count", "size"])
    agreed = values[(values["nunique"] == 1) & (values["count"] == values["size"])]
    return {str(name): float(value) for name, value in agreed["first"].items()}


def fill_known(
    table: pd.DataFrame, chance: Mapping[str, float] | None = None, suite: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Fill in missing chance levels and item counts of known benchmarks.

    Parameters
    ----------
    table : DataFrame
        A raw table with columns ``benchmark`` and ``metric``; others may be missing.
    chance : mapping of str to float, optional
        Chance levels of unknown benchmarks, or to use instead of the known ones.
    suite : str, optional
        Suite of `known_benchmarks` that the names are from; without one, only what all suites
        agree on is used.

    Returns
    -------
    table : DataFrame
        A copy. Item counts are filled in only where every score is a whole count of them.
    notes : list of str
        What was filled in, with counts.
    """
    if not {"benchmark", "metric"} <= set(table.columns):
        return table, []
    table = table.copy()
    notes = [
        *_fill(table, "chance", known_values("chance", suite) | dict(chance or {})),
        *_fill(table, "n_items", _fitting_counts(table, known_values("n_items", suite))),
    ]
    return table, notes


def _fill(table: pd.DataFrame, column: str, values: Mapping[str, float]) -> list[str]:
    given = table[column] if column in table else pd.Series(np.nan, index=table.index)
    gaps = given.isna() | (given.astype(str).str.strip() == "")
    known = table["benchmark"].astype(str).str.strip().map(dict(values))
    if column == "n_items":
        known = known.where(table["metric"].astype(str).str.strip().isin(_COUNTED_METRICS))
    use = gaps & known.notna()
    table[column] = given.astype(object).where(~use, known)
    if not use.any():
        return []
    names = short_list(table.loc[use, "benchmark"].astype(str))
    return [f"{column}: filled in {use.sum()} rows from data/benchmarks.csv ({names})"]


def _fitting_counts(table: pd.DataFrame, counts: dict[str, float]) -> dict[str, float]:
    """Keep the counts that every score of their benchmark is a whole count of."""
    if "score" not in table:
        return counts
    rows = table["metric"].astype(str).map(split_pass_at_k).isna()
    names = table.loc[rows, "benchmark"].astype(str).str.strip()
    score = np.array([_number(value) for value in table.loc[rows, "score"]], np.float64)
    n_items = np.array([counts.get(name, np.nan) for name in names], np.float64)
    misfits = {
        name for name, off in zip(names, misses_whole_count(score, n_items), strict=True) if off
    }
    return {name: n for name, n in counts.items() if name not in misfits}


def _number(value: object) -> float:
    try:
        return parse_quantity(value)
    except ValueError:
        return np.nan
