"""Modes of a posterior: a search from many starts, because chains find only what they start near.

The search cannot prove that there are no further modes. It starts where the prior has its mass,
and then far from every mode that it knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_scaling.inference.laplace import Laplace, approximate, climb, expand_at
from bayes_scaling.inference.program import Bound

WINDOW = 10.0  # nats of log evidence: a mode further below the best holds 1/20,000 of its mass
PRIOR_DRAWS = 12
LEAST_JUMPS, MOST_JUMPS = 8, 64
_BARRIER = 2.0  # nats: chains cross lower ones without help
_PLACES = np.linspace(0, 1, 21)[1:-1]  # where the density is looked at between two points
_NEAR = 0.5  # standard deviations, and nats, from a mode: the search need not go on from there
_STEEP = 0.1  # of the gradient in standard deviations: steeper points are not modes


def search_modes(bound: Bound, seed: int) -> list[Laplace]:
    """Return the modes of a posterior that may hold some of its mass.

    Local searches start at `bound.start`, at draws from the prior, and at jumps: a known mode
    plus the difference of two draws from the prior. The more optima are found, the more jumps
    are made.

    Parameters
    ----------
    bound : Bound
        The density.
    seed : int
        Seed of the starts; the same seed finds the same modes.

    Returns
    -------
    list of Laplace
        Modes whose log evidence is within `WINDOW` of the best, best first. There is a
        barrier on the straight line between any two of them.
    """
    modes = [approximate(bound)]
    pool = [point for point in bound.prior_points(PRIOR_DRAWS, seed) if np.isfinite(point).all()]
    for start in pool:
        modes = _join(bound, modes, start)
    if len(pool) > 1:
        modes = _jump(bound, modes, np.array(pool), np.random.default_rng([seed, 1]))
    return _worth_sampling(modes)


def describe_modes(
    bound: Bound, modes: Sequence[Laplace], weights: Sequence[float], errors: Sequence[float]
) -> list[dict[str, Any]]:
    """Return modes as entries of the record, with the values of sampled parameters.

    Parameters
    ----------
    bound : Bound
        The density.
    modes : sequence of Laplace
        The modes.
    weights, errors : sequence of float
        Their weights and the standard errors of these; NaN where unknown.
    """
    values = bound.constrain(np.array([[mode.mode for mode in modes]]))
    return [
        {
            "weight": float(weight),
            "weight_se": float(error),
            "log_density": mode.log_density,
            "log_evidence": mode.log_evidence,
            "parameters": {
                name: values[name].isel(chain=0, draw=i).to_numpy().tolist()
                for name in bound.program.sampled
            },
        }
        for i, (mode, weight, error) in enumerate(zip(modes, weights, errors, strict=True))
    ]


def _jump(
    bound: Bound, modes: list[Laplace], pool: NDArray[np.float64], rng: np.random.Generator
) -> list[Laplace]:
    """Return the modes with those that jumps find, in rounds that go on while more are likely."""
    for jumps in range(LEAST_JUMPS, MOST_JUMPS + 1, LEAST_JUMPS):
        known = _worth_sampling(modes)
        for i in range(LEAST_JUMPS):
            here, there = rng.choice(len(pool), 2, replace=False)
            start = known[i % len(known)].mode + pool[there] - pool[here]
            modes = _join(bound, modes, start)
        if 1 + len(pool) + jumps >= _enough_starts(len(modes)):
            break
    return modes


def _enough_starts(optima: int) -> int:
    """Return after how many starts no further optimum is likely, given how many were found.

    From w optima in n starts, w (n - 1) / (n - w - 2) is an estimate of how many there are
    (Boender and Rinnooy Kan 1987, Mathematical Programming 37, 59-80). It has to be below
    w + 1/8. Optima too low to matter count as well: they tell how rugged the density is.
    """
    return 8 * optima**2 + 9 * optima + 2


def _worth_sampling(modes: list[Laplace]) -> list[Laplace]:
    ranked = sorted(modes, key=lambda mode: -mode.log_evidence)
    return [mode for mode in ranked if mode.log_evidence >= ranked[0].log_evidence - WINDOW]


def _join(bound: Bound, modes: list[Laplace], start: NDArray[np.float64]) -> list[Laplace]:
    """Return the modes with the one that a search from `start` finds.

    It takes the place of lower ones that no barrier parts from it.
    """

    def is_known(at: NDArray[np.float64]) -> bool:
        return any(_is_at(bound, mode, at) for mode in modes)

    point = climb(bound, start, is_known=is_known)
    if is_known(point):
        return modes
    new = expand_at(bound, point)
    if np.isfinite(new.log_density) and new.steepness > _STEEP:
        # Once more, on the scale that is known by now.
        new = expand_at(bound, climb(bound, point, scale=new.scale))
    if not np.isfinite(new.log_density):
        return modes
    same = [mode for mode in modes if not _is_barrier_between(bound, mode, new)]
    # A low point has no barrier to many modes, which may have one between them: it joins none.
    if any(mode.log_density >= new.log_density for mode in same):
        return modes
    if not same and new.steepness > _STEEP:
        return modes
    return [*(mode for mode in modes if all(mode is not other for other in same)), new]


def _is_at(bound: Bound, mode: Laplace, point: NDArray[np.float64]) -> bool:
    """Return whether a point is next to a mode, in place and in height.

    A flat optimum has wide standard deviations, within which a higher mode may lie.
    """
    if mode.distance(point) >= _NEAR:
        return False
    return abs(bound.log_density(point)[0] - mode.log_density) < _NEAR


def _is_barrier_between(bound: Bound, one: Laplace, other: Laplace) -> bool:
    lowest = min(_heights(bound, one.mode, other.mode))
    return lowest < min(one.log_density, other.log_density) - _BARRIER


def _heights(
    bound: Bound, here: NDArray[np.float64], there: NDArray[np.float64]
) -> Iterator[float]:
    """Return the log density on the line between two points."""
    return (bound.log_density(here + place * (there - here))[0] for place in _PLACES)
