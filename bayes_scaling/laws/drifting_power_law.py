"""A direct power law whose exponent drifts with compute: structural error as a parameter."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from bayes_scaling.laws._pieces import EXPONENT, DirectLaw
from bayes_scaling.laws.base import Array, Constant, Parameter, Values

# A ladder over four decades of compute gets a knot every third of a decade.
_KNOTS = 12
KNOT = "knot"
_WIDTH = 2 / _KNOTS  # spacing of the knots in reaches
_PLACES = -1 + _WIDTH * (np.arange(_KNOTS) + 0.5)


def _ramps(u: Any) -> Any:
    """Return what a unit step of the exponent at each knot adds at u, in reaches."""
    return np.clip(np.asarray(u)[..., None] - _PLACES, 0, None)


def _line_and_rotation() -> tuple[Any, Any]:
    """Split the random walk into its straight line and its bends, largest bend first.

    Runs determine the straight line far better than any single step, and a few broad bends far
    better than the rest. So the line is taken out and the steps are rotated to those bends. In
    the posterior these coordinates are hardly correlated. A rotation keeps them standard normal.
    """
    u = np.linspace(-1, 1, 201)
    line = np.column_stack([np.ones_like(u), u])
    coefficients = np.linalg.lstsq(line, _ramps(u), rcond=None)[0]
    bends = _ramps(u) - line @ coefficients
    return coefficients, np.linalg.svd(bends)[2].T


_LINE, _ROTATION = _line_and_rotation()
_END_SLOPE = (1 - _LINE[1]) @ _ROTATION


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
TAU = Parameter("tau", "drift of the exponent per root of log C", "1/sqrt(log FLOPs)", 0.04)
DRIFT = Parameter(
    "drift",
    "bends of the random walk, in standard units",
    "",
    start=0.0,
    dims={KNOT: _KNOTS},
    width=bend_width,
)


def drifted(p: Values, x: Values, xp: Any) -> Array:
    """Return how far the random walk has taken the curve from its straight line at x."""
    bends = x["drift_basis"] * p["drift"]
    # Not `dot`: the call of BLAS takes seconds to compile.
    return p["tau"] * (bends.sum(KNOT) if xp is np else bends.sum(axis=-1))


class DriftingPowerLaw(DirectLaw):
    """log(−log Q') = z(log C), a straight line plus an integrated Wiener process in log C.

    The local exponent −z′ drifts as a random walk with standard deviation τ·sqrt(Δ log C), in
    steps at evenly spaced knots, round its mean over the fitted range. Beyond the fitted runs
    the walk continues, so that intervals widen with the distance of extrapolation at a rate
    that the runs themselves show.
    """

    name = "drifting_power_law"
    equation = "log(-log Q') = z(log C), -z' a Wiener process of scale tau"
    source = "this project; a random-walk exponent, as in local linear trend models (Harvey 1989)"
    parameters: ClassVar[tuple[Parameter, ...]] = (MEAN_EXPONENT, TAU, DRIFT)
    constants: ClassVar[tuple[Constant, ...]] = (
        Constant("exponent_at_end", "local exponent at the upper end of the fitted range"),
    )

    def log_reducible(self, p: Values, x: Values, xp: Any) -> Array:
        """Return z; see :class:`DirectLaw`."""
        return -p["exponent"] * x["flops"] - drifted(p, x, xp)

    def features(self, x: Mapping[str, xr.DataArray], c: Values) -> dict[str, xr.DataArray]:
        """Return `drift_basis`: what each unit bend, and each step beyond the range, adds at x."""
        u = x["flops"] / c["reach"]
        inside = _bends(u.to_numpy()) - _bends(0.0)
        below, above = _beyond(u)
        steps = np.concatenate(
            [
                np.clip(below - u.to_numpy()[:, None], 0, None),
                np.clip(u.to_numpy()[:, None] - above, 0, None),
            ],
            axis=1,
        )
        scale = c["reach"] ** 1.5 * np.sqrt(_WIDTH)
        basis = scale * np.concatenate([inside, steps], axis=1)
        return {"drift_basis": xr.DataArray(basis, dims=(*u.dims, KNOT))}

    def beyond(
        self,
        p: Mapping[str, xr.DataArray],
        x: Mapping[str, xr.DataArray],
        c: Values,
        rng: np.random.Generator,
    ) -> dict[str, xr.DataArray]:
        """Draw the steps of the exponent at knots beyond the fitted range."""
        known = p["drift"].drop_vars(KNOT, errors="ignore")
        shape = [known.sizes[dim] for dim in ("chain", "draw")]
        # One stream per side, so that a budget's draws do not depend on the other budgets.
        sides = zip(rng.spawn(2), _beyond(x["flops"] / c["reach"]), strict=True)
        steps = [
            xr.DataArray(stream.standard_normal(shape), dims=("chain", "draw"))
            for stream, places in sides
            for _ in places
        ]
        return dict(p) | {"drift": xr.concat([known, *steps], KNOT)}

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return the local exponent at the upper end of the fitted range."""
        bent = (p["drift"] * _END_SLOPE).sum()
        return {"exponent_at_end": p["exponent"] + p["tau"] * (c["reach"] * _WIDTH) ** 0.5 * bent}


def _bends(u: Any) -> Any:
    """Return the rotated bends at u, in reaches."""
    line = np.stack([np.ones_like(np.asarray(u, float)), np.asarray(u, float)], axis=-1)
    return (_ramps(u) - line @ _LINE) @ _ROTATION


def _beyond(u: xr.DataArray) -> tuple[Any, Any]:
    """Return the knots that lie between the fitted range and u, below it and above it."""
    below = -np.arange(1 + _WIDTH / 2, -float(u.min()), _WIDTH)
    above = np.arange(1 + _WIDTH / 2, float(u.max()), _WIDTH)
    return below, above


LAW = DriftingPowerLaw()
