"""A table on its way to the canonical columns, and the problems found in it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayes_scaling.errors import printable

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Level = Literal["error", "warning"]

BUDGET = ("params", "tokens", "flops", "tokens_per_param")
PASS_AT_K = "pass@k"
UNSPECIFIED = "unspecified"


@dataclass(frozen=True)
class Problem:
    """One finding: what is wrong, in which column, in which rows, and how to mend it.

    Attributes
    ----------
    kind : str
        The check that found it, in a word or two.
    level : {"error", "warning"}
        An error keeps the table from being used; a warning does not.
    column : str or None
        Column of the table, None where the table as a whole is meant.
    message : str
        The finding and how to mend it, worded for the first of `rows`.
    rows : tuple
        Labels of all rows it holds for; empty where the table as a whole is meant.
    """

    kind: str
    level: Level
    column: str | None
    message: str
    rows: tuple[Any, ...] = ()

    def __str__(self) -> str:
        place = [f"row {self.rows[0]}"] if self.rows else []
        place += [f"column '{self.column}'"] if self.column is not None else []
        head = f"{', '.join(place)}: " if place else ""
        return printable(f"{head}{self.message}{self._others()}")

    def _others(self) -> str:
        others = self.rows[1:]
        if not others:
            return ""
        shown = ", ".join(str(row) for row in others[:3])
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        return f" (also row{'s' if len(others) > 1 else ''} {shown}{more})"


@dataclass
class Draft:
    """The table while it is being converted.

    Attributes
    ----------
    rows : array
        The row labels that messages name.
    columns : dict
        Column name to array: str (object) for labels, float64 for numbers.
    losses : tuple of str
        Names of the loss columns.
    covariates : tuple of str
        Names of the further numeric columns that the caller asked to keep.
    faulty : dict
        Column name to a mask of cells that were already reported, so that each fault is
        reported once.
    kind : str
        The check that is running.
    """

    rows: NDArray[Any]
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    losses: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    faulty: dict[str, Bools] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kind: str = ""

    def numbers(self, column: str) -> Floats:
        """Return a column of numbers; changes to it are changes of the draft."""
        return self.columns[column]

    def labels(self, column: str) -> NDArray[Any]:
        """Return a column of texts; changes to it are changes of the draft."""
        return self.columns[column]

    def sound(self, *columns: str) -> Bools:
        """Return the rows in which nothing was reported about any of `columns`."""
        sound = np.ones(len(self.rows), bool)
        for column in columns:
            if column in self.faulty:
                sound &= ~self.faulty[column]
        return sound

    def error(self, column: str, mask: Bools, message: str, *values: NDArray[Any]) -> None:
        """Report the rows of `mask` as faulty, passing over cells that were reported before.

        `message` is a format string for the first row's entries of `values`.
        """
        fresh = mask & self.sound(column)
        self.faulty[column] = ~self.sound(column) | fresh
        self._add("error", column, fresh, message, values)

    def warn(self, column: str, mask: Bools, message: str, *values: NDArray[Any]) -> None:
        """Report the rows of `mask` as suspicious; see `error`."""
        self._add("warning", column, mask & self.sound(column), message, values)

    def add(self, level: Level, column: str | None, message: str, rows: Iterable[Any] = ()) -> None:
        """Add a finding with its final message; `rows` are positions."""
        labels = tuple(self.rows[list(rows)])
        self.problems.append(Problem(self.kind, level, column, message, labels))

    def _add(
        self, level: Level, column: str, mask: Bools, message: str, values: tuple[NDArray[Any], ...]
    ) -> None:
        where = np.flatnonzero(mask)
        if where.size:
            first = where[0]
            self.add(level, column, message.format(*(v[first] for v in values)), where)
