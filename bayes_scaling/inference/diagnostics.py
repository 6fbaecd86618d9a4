"""Whether a posterior's draws can be trusted: computed once and carried with the fit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import arviz as az
import numpy as np
import xarray as xr

from bayes_scaling.inference.record import Record

MAX_RHAT = 1.01
MIN_ESS = 400


@dataclass(frozen=True)
class Diagnostics:
    """Convergence of one posterior, worst over its parameters.

    Attributes
    ----------
    divergences : int
        Divergent transitions after tuning.
    max_rhat : float
        Largest rank-normalised split R-hat (Vehtari et al. 2021, arXiv:1903.08008).
    min_ess_bulk, min_ess_tail : float
        Smallest effective sample sizes of bulk and tails.
    unweighed : str
        What the chains could not settle about several modes, in words; empty if nothing.
    """

    divergences: int
    max_rhat: float
    min_ess_bulk: float
    min_ess_tail: float
    unweighed: str = ""

    def problems(self) -> list[str]:
        """Return what is wrong, in words; empty where nothing is."""
        found = []
        if self.divergences:
            found.append(f"{self.divergences} divergent transitions")
        # Written so that a NaN, of a chain that never moved, counts as a failure.
        if not self.max_rhat <= MAX_RHAT:
            found.append(f"R-hat {self.max_rhat:.3f} above {MAX_RHAT}")
        for kind in ("bulk", "tail"):
            ess = getattr(self, f"min_ess_{kind}")
            if not ess >= MIN_ESS:
                found.append(f"{kind} ESS {ess:.0f} below {MIN_ESS}")
        if self.unweighed:
            found.append(self.unweighed)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return {name: value for name, value in asdict(self).items() if name != "unweighed"}


def diagnose(posterior: xr.Dataset, sample_stats: xr.Dataset) -> Diagnostics:
    """Return the diagnostics of a posterior with dimensions (chain, draw).

    The record of sampling, in the attributes of `sample_stats`, may add to them. Draws that were
    resampled from several modes look independent. Their diagnostics are then the worst of those
    of the modes.
    """
    rhat, bulk, tail = (
        az.rhat(posterior),
        az.ess(posterior, method="bulk"),
        az.ess(posterior, method="tail"),
    )
    record = Record.read(sample_stats)
    weighed = record.kept if len(record.kept) > 1 else []
    return Diagnostics(
        divergences=int(sample_stats["diverging"].sum()),
        max_rhat=max(_worst(rhat, np.max), *(one["max_rhat"] for one in weighed), -np.inf),
        min_ess_bulk=min(_worst(bulk, np.min), *(one["min_ess_bulk"] for one in weighed), np.inf),
        min_ess_tail=min(_worst(tail, np.min), *(one["min_ess_tail"] for one in weighed), np.inf),
        unweighed=record.unweighed,
    )


def _worst(values: xr.Dataset, reduce: Any) -> float:
    return float(reduce([reduce(v.to_numpy()) for v in values.data_vars.values()]))
