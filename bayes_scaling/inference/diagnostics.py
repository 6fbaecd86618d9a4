"""Whether a posterior's draws can be trusted: computed once and carried with the fit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import arviz as az
import numpy as np
import xarray as xr

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
    """

    divergences: int
    max_rhat: float
    min_ess_bulk: float
    min_ess_tail: float

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
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return asdict(self)


def diagnose(posterior: xr.Dataset, sample_stats: xr.Dataset) -> Diagnostics:
    """Return the diagnostics of a posterior with dimensions (chain, draw)."""
    rhat, bulk, tail = (
        az.rhat(posterior),
        az.ess(posterior, method="bulk"),
        az.ess(posterior, method="tail"),
    )
    return Diagnostics(
        divergences=int(sample_stats["diverging"].sum()),
        max_rhat=_worst(rhat, np.max),
        min_ess_bulk=_worst(bulk, np.min),
        min_ess_tail=_worst(tail, np.min),
    )


def _worst(values: xr.Dataset, reduce: Any) -> float:
    return float(reduce([reduce(v.to_numpy()) for v in values.data_vars.values()]))
