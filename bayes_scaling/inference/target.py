"""What can be sampled: a `pm.Model` that says what its machine code depends on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pymc as pm
import xarray as xr

from bayes_scaling.inference.diagnostics import Diagnostics


class Target(Protocol):
    """A posterior to be sampled; a :class:`~bayes_scaling.modelling.bound.BoundModel` is one."""

    @property
    def pymc(self) -> pm.Model:
        """The model, all of its parameters continuous, its numbers in `pm.Data`."""

    @property
    def hierarchical(self) -> bool:
        """Whether scales of vectors are sampled, so that no mode says where the mass is."""

    def structure(self) -> Hashable:
        """Return what machine code depends on: everything but the numbers."""

    def data(self) -> Mapping[str, Any]:
        """Return a value for each `pm.Data` of the model."""

    def starts(self) -> Mapping[str, Any]:
        """Return where chains start, by variable; None or absent stands for PyMC's own."""


@dataclass(frozen=True)
class Samples:
    """Draws of a posterior.

    Attributes
    ----------
    posterior, sample_stats : xarray.Dataset
        Dimensions (chain, draw). A kept draw is diverging if any since the last kept is.
    diagnostics : Diagnostics
        Whether the draws can be trusted.
    sampler : str
        The sampler that made them.
    """

    posterior: xr.Dataset
    sample_stats: xr.Dataset
    diagnostics: Diagnostics
    sampler: str
