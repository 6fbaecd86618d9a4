"""What was tried to sample a posterior, and what came of it: JSON that travels with the draws."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import xarray as xr

ATTRIBUTE = "sampling"  # of `sample_stats`


@dataclass(frozen=True)
class Record:
    """Attempts at a posterior and its modes.

    Attributes
    ----------
    attempts : sequence of dict
        One an attempt, in order: settings, diagnostics, and whether its draws are kept.
    modes : sequence of dict
        One a mode, by falling evidence: weight and its standard error, log density, Laplace log
        evidence, and the sampled parameters there.
    unweighed : str
        Why the modes could not be weighed, in words; empty if they could, or need not be.
    """

    attempts: Sequence[Mapping[str, Any]] = ()
    modes: Sequence[Mapping[str, Any]] = ()
    unweighed: str = ""

    @classmethod
    def read(cls, sample_stats: xr.Dataset) -> Record:
        """Return the record that statistics carry; an empty one if they carry none."""
        return cls(**json.loads(sample_stats.attrs.get(ATTRIBUTE, "{}")))

    def attach(self, sample_stats: xr.Dataset) -> xr.Dataset:
        """Return statistics that carry the record."""
        text = json.dumps(_without_nan(asdict(self)), allow_nan=False)
        return sample_stats.assign_attrs({ATTRIBUTE: text})

    @property
    def kept(self) -> list[Mapping[str, Any]]:
        """The attempts whose draws are kept: several if modes were weighed."""
        return [attempt for attempt in self.attempts if attempt["kept"]]


def describe_attempt(
    settings: Mapping[str, Any], numbers: Mapping[str, Any], problems: Sequence[str], kept: bool
) -> dict[str, Any]:
    """Return an attempt as an entry of the record: settings, diagnostics, and what became of it."""
    return {**settings, **numbers, "problems": list(problems), "kept": kept}


def _without_nan(value: Any) -> Any:
    """Return a value with null for numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
