"""A direct power law whose exponent drifts with compute: structural error as a parameter."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from bayes_scaling.laws._pieces import EXPONENT, DirectLaw
from bayes_scaling.laws._reverting import BENDS, KNOT, RevertingSlope
from bayes_scaling.laws.base import Array, Parameter, Values


def bend_width(p: Values, x: Values, xp: Any, share: Any = 1.0, from_loss: Any = 0.0) -> Array:
    """Return the sd that runs at x leave each bend, if everything else is known.

    The larger tau is, the more a bend moves the curve, and the less the runs let the bend move.
    `share` is the share of −log Q' that moves, and `from_loss` the precision with which the
    loss of a run determines the curve there, squared.
    """
    precision = (share / x["curve_sd"]) ** 2 + from_loss
    information = (x["drift_basis"] ** 2 * precision[:, None]).sum(axis=0)
    return 1 / xp.sqrt(1 + p["tau"] ** 2 * information)


MEAN_EXPONENT = replace(
    EXPONENT, meaning="mean exponent: fall of log(−log Q') per unit of log C over the fitted range"
)
TAU = Parameter("tau", "sd of the local exponent round its mean", "", start=0.05)
DRIFT = Parameter(
    "drift",
    "bends of the drift, in standard units",
    "",
    start=0.0,
    dims={KNOT: BENDS},
    width=bend_width,
)


def drifted(p: Values, x: Values, xp: Any) -> Array:
    """Return how far the drift has taken the curve from its straight line at x."""
    bends = x["drift_basis"] * p["drift"]
    # Not `dot`: the call of BLAS takes seconds to compile.
    return p["tau"] * (bends.sum(KNOT) if xp is np else bends.sum(axis=-1))


class DriftingPowerLaw(DirectLaw):
    """log(−log Q') = z(log C), a straight line plus a drift whose slope returns to its mean.

    The local exponent −z′ is an Ornstein-Uhlenbeck process in log C round its mean, with standard
    deviation τ. Within a decade of compute it wanders like a random walk, and farther away it
    has forgotten where it was. So intervals widen with the distance of extrapolation, at first
    with its power 3/2 and far away with its root.
    """

    name = "drifting_power_law"
    equation = "log(-log Q') = z(log C), -z' an Ornstein-Uhlenbeck process of sd tau"
    source = (
        "this project; a local exponent that drifts (local linear trend, Harvey 1989) and returns "
        "to its mean (Uhlenbeck and Ornstein 1930)"
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (MEAN_EXPONENT, TAU, DRIFT)

    def log_reducible(self, p: Values, x: Values, xp: Any) -> Array:
        """Return z; see :class:`DirectLaw`."""
        return -p["exponent"] * x["flops"] - drifted(p, x, xp)

    def features(self, x: Mapping[str, xr.DataArray], c: Values) -> dict[str, xr.DataArray]:
        """Return `drift_basis`: what each unit bend, and each step beyond the range, adds at x."""
        slope, flops = RevertingSlope(float(c["reach"])), x["flops"]
        at = flops.to_numpy()
        basis = np.concatenate([slope.inside(at), slope.below(at), slope.above(at)], axis=1)
        return {"drift_basis": xr.DataArray(basis, dims=(*flops.dims, KNOT))}

    def beyond(
        self,
        p: Mapping[str, xr.DataArray],
        x: Mapping[str, xr.DataArray],
        c: Values,
        rng: np.random.Generator,
    ) -> dict[str, xr.DataArray]:
        """Draw the steps of the exponent at knots beyond the fitted range."""
        known = p["drift"].drop_vars(KNOT, errors="ignore")
        slope, at = RevertingSlope(float(c["reach"])), x["flops"].to_numpy()
        shape = [known.sizes[dim] for dim in ("chain", "draw")]
        # One stream per side, so that a budget's draws do not depend on the other budgets.
        sides = zip(rng.spawn(2), (slope.below(at), slope.above(at)), strict=True)
        steps = [
            xr.DataArray(stream.standard_normal(shape), dims=("chain", "draw"))
            for stream, basis in sides
            for _ in range(basis.shape[1])
        ]
        return dict(p) | {"drift": xr.concat([known, *steps], KNOT)}

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return no constants: the sampled parameters are those of the equation."""
        return {}


LAW = DriftingPowerLaw()
