"""What scores tell of curves one by one: the coordinates in which a ladder model is sampled.

They do not change the posterior. Where the scores of a benchmark leave its floor late, a straight
line over all runs, and bends from it, are known only in sums. A line through the runs whose scores
tell of the curve, and bends from that one, are known by themselves.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_scaling.laws._reverting import KNOT
from bayes_scaling.modelling.link import curve_slope, rough_sd

AXIS = "axis"
# Scores within their noise of the floor tell nothing of a curve's level. They count as this Q'.
_LEAST = 1e-6
# Exponents that the coordinates reckon with, whatever the scores show.
_EXPONENTS = (0.02, 1.0)
# Levels of Q' that they reckon with.
_LEVELS = (0.05, 0.95)
FLOOR_SD = 0.03  # as in the prior of the floor
# A line through one score could have any slope: this share of the weight is that of all runs.
_EVEN = 0.05


def coordinates(
    seen: xr.Dataset, near: xr.DataArray, log_flops: xr.DataArray, basis: xr.DataArray
) -> dict[str, xr.DataArray]:
    """Return the numbers that coordinates are made of.

    Parameters
    ----------
    seen : xarray.Dataset
        What the ladder model sees; see :func:`observe_ladder`.
    near : xarray.DataArray
        Whether the floor of each benchmark is a parameter.
    log_flops, basis : xarray.DataArray
        Log budgets (run), and what each bend of a curve adds there (run, knot).

    Returns
    -------
    dict of str to xarray.DataArray
        `weight` (run, benchmark): how much of the line each score tells, sum 1.
        `level_known` (benchmark): 1 where scores tell the level there, 0 where only the prior does.
        `whole_seen` (benchmark): −log Q' there. `ceiling_rate` (benchmark): about one over the
        sd with which scores off a straight line tell of its irreducible part.
        `level_of_bends`, `slope_of_bends` (benchmark, knot): level and slope of each bend there.
        `exponent_seen` (benchmark): minus the slope of log(−log Q').
        `rotation` (benchmark, knot, axis): axes along which scores tell of bends one by one, and
        `information` (benchmark, axis): their precision, for a slope of 1.
        `off` (benchmark, knot): how scores off the line pull at each bend.
    """
    floor = _rough_floor(seen, near)
    measured, score = seen["score"].notnull(), seen["score"].fillna(0.5)
    noise = xr.apply_ufunc(rough_sd, score, seen["n_items"])
    quality, sure = (
        ((values - floor) / (1 - floor)).clip(_LEAST, 1 - _LEAST)
        for values in (score, score - noise)
    )
    precision = measured * (curve_slope(sure, floor) / noise) ** 2
    curve, known = xr.DataArray(np.log(-np.log(quality))), precision.sum("run")
    weight = (1 - _EVEN) * precision / known + _EVEN / precision.sizes["run"]
    away = log_flops - (weight * log_flops).sum("run")
    (level_of_bends, slope_of_bends), bent = _straighten(basis, weight, away)
    (_, slope), off = _straighten(curve, weight, away)
    gram = xr.dot(precision, bent, bent.rename({KNOT: AXIS}), dim="run")
    information, rotation = np.linalg.eigh(gram.transpose("benchmark", KNOT, AXIS))
    levels = xr.DataArray(-np.log(quality.clip(*_LEVELS)))
    whole = (weight * np.log(levels)).sum("run")
    _, ceiling = _straighten(1 / levels, weight, away)
    return {
        "weight": weight,
        "whole_seen": np.exp(whole),
        "level_known": known / (1 + known),
        "ceiling_rate": np.sqrt((precision * ceiling**2).sum("run")) + np.exp(-whole),
        "level_of_bends": level_of_bends,
        "slope_of_bends": slope_of_bends,
        "exponent_seen": (-slope).clip(*_EXPONENTS),
        "rotation": xr.DataArray(rotation, dims=("benchmark", KNOT, AXIS)),
        "information": xr.DataArray(information, dims=("benchmark", AXIS)).clip(0),
        "off": xr.dot(precision * off, bent, dim="run"),
    }


def loss_coordinates(loss: xr.DataArray, log_flops: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return what coordinates of the loss are made of, from losses and log budgets (run).

    `loss_exponent_seen` is minus the slope of the log loss, `log_flops_sd` the sd of log budgets.
    """
    even = xr.full_like(loss, 1 / loss.size)
    (_, slope), _ = _straighten(xr.DataArray(np.log(loss)), even, log_flops)
    return {
        "loss_exponent_seen": (-slope).clip(*_EXPONENTS),
        "log_flops_sd": log_flops.std("run"),
    }


def _rough_floor(seen: xr.Dataset, near: xr.DataArray) -> xr.DataArray:
    """Return about where scores begin, by benchmark: the median of the lowest quarter."""
    low = seen["score"].quantile(0.125, "run").drop_vars("quantile")
    return seen["chance"].where(~near, low.clip(seen["chance"], seen["chance"] + FLOOR_SD))


def _straighten(
    values: xr.DataArray, weight: xr.DataArray, away: xr.DataArray
) -> tuple[tuple[xr.DataArray, xr.DataArray], xr.DataArray]:
    """Return level and slope of the weighted straight line in values, and what is left."""
    level = (weight * values).sum("run")
    slope = (weight * away * values).sum("run") / (weight * away**2).sum("run")
    return (level, slope), values - level - slope * away
