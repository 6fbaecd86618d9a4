"""What was tried to sample a fit, and its modes, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.inference.record import Record

_ATTEMPT = (
    *("modes", "coordinates", "tune", "draws", "target_accept", "divergences", "max_rhat"),
    *("min_ess_bulk", "min_ess_tail", "problems", "kept"),
)
_MODE = ("weight", "weight_se", "log_density", "log_evidence")


def attempt_table(sample_stats: xr.Dataset) -> pd.DataFrame:
    """Return one row an attempt; see :attr:`Fit.attempts`."""
    rows = [
        {
            **attempt,
            "modes": ", ".join(map(str, attempt["modes"])),
            "problems": "; ".join(attempt["problems"]),
        }
        for attempt in Record.read(sample_stats).attempts
    ]
    return pd.DataFrame(rows, columns=list(_ATTEMPT)).rename_axis("attempt")


def mode_table(sample_stats: xr.Dataset) -> pd.DataFrame:
    """Return one row a mode; see :attr:`Fit.modes`."""
    modes = Record.read(sample_stats).modes
    rows = [
        {**{name: mode[name] for name in _MODE}, **dict(_columns(mode["parameters"]))}
        for mode in modes
    ]
    numbered = pd.RangeIndex(1, len(rows) + 1, name="mode")
    columns = None if rows else list(_MODE)
    return pd.DataFrame(rows, index=numbered, columns=columns, dtype=float)


def _columns(parameters: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Return each number of each parameter, those of a vector by place."""
    for name, value in parameters.items():
        if np.ndim(value) == 0:
            yield name, value
        for place, one in np.ndenumerate(value) if np.ndim(value) else ():
            yield f"{name}[{', '.join(map(str, place))}]", one
