"""What one check of a fit has found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import pandas as pd

Direction = Literal["", "too low", "too high"]


@dataclass(frozen=True)
class Check:
    """One check of a fit.

    Attributes
    ----------
    check : str
        Its name.
    value : float
        What was found.
    low, high : float
        The range of values that pass, or for statistics of residuals that 99% of replicated
        data sets give; NaN where there is no bound on that side.
    p : float
        Posterior predictive p-value; NaN where there is none.
    passed : bool or None
        None where the check does not apply, or only informs.
    direction : {"", "too low", "too high"}
        What the failure says of forecasts of larger runs; empty if it says neither.
    sentence : str
        The result in words.
    """

    check: str
    value: float
    low: float
    high: float
    p: float
    passed: bool | None
    direction: Direction
    sentence: str


def check_table(checks: Sequence[Check]) -> pd.DataFrame:
    """Return checks as a table with a row each, and the attributes of :class:`Check` as columns.

    `passed` is of the type "boolean", which knows missing values.
    """
    table = pd.DataFrame([asdict(check) for check in checks])
    return table.astype({"passed": "boolean"})


def failures(checks: Sequence[Check]) -> list[Check]:
    """Return the checks that have failed."""
    return [check for check in checks if check.passed is False]
