"""The order of attempts at a posterior with scales of vectors among its parameters.

Its density grows without bound where a scale goes to 0, far from its mass, so a mode says nothing
of where the draws should be, and the search for modes is left out. Each chain starts at a place of
its own, within 1 of the model's start in every unconstrained coordinate, as PyMC's own do. Chains
that start within 2 were tried: some got stuck in places of far lower density.

Where there are many parameters, all trajectories have the same length. NUTS stops when all of them
together turn back. Most of a thousand do so soon, and a few slow ones had hardly moved by then.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_scaling.inference.attempts import Settings, Wanted, run_in_order
from bayes_scaling.inference.diagnostics import Diagnostics
from bayes_scaling.inference.laplace import Laplace
from bayes_scaling.inference.program import Bound
from bayes_scaling.inference.record import Record

# In this order, until one passes. Divergences need smaller steps, and modes that chains cross
# seldom need more draws. A diagonal mass matrix, because a low-rank one took four times as long.
_ORDER = (
    Settings(False, 1.0, 0.95, 1, "diag"),
    Settings(False, 1.0, 0.99, 1, "diag"),
    Settings(False, 1.0, 0.99, 8, "diag"),
)
_MANY = 200  # With so many parameters or more, the order below is used.
_ORDER_OF_MANY = (
    Settings(False, 0.5, 0.95, 1, "diag", 8),
    Settings(False, 0.5, 0.99, 1, "diag", 9),
    Settings(False, 0.5, 0.995, 4, "diag", 9),
)


def sample_hierarchical(bound: Bound, wanted: Wanted) -> tuple[xr.Dataset, xr.Dataset, Diagnostics]:
    """Sample in three attempts at most.

    The first attempt that passes is kept, and the last if none does. Arguments and result are
    those of :func:`bayes_scaling.inference.fast.sample_bound`.
    """
    unused = np.eye(bound.program.size)
    start = Laplace(bound.start, unused, bound.log_density(bound.start)[0], np.nan)
    order = _ORDER if bound.program.size < _MANY else _ORDER_OF_MANY
    tried = list(run_in_order(bound, {1: start}, order, wanted))
    record = Record(attempts=[one.entry(one is tried[-1]) for one in tried])
    last = tried[-1]
    return last.posterior, record.attach(last.sample_stats), last.diagnostics
