"""Evidence by bridge sampling (Meng and Wong 1996; Gronau et al. 2017, arXiv:1703.05984)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import arviz as az
import numpy as np
from numpy.typing import NDArray

from bayes_scaling.inference.program import Bound

_ROUNDS = 1000
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Normal:
    """A multivariate normal distribution.

    Attributes
    ----------
    mean : numpy.ndarray
        Shape (size,).
    root : numpy.ndarray
        Shape (size, size), the Cholesky root of the covariance.
    """

    mean: NDArray[np.float64]
    root: NDArray[np.float64]

    @classmethod
    def fit(cls, points: NDArray[np.float64]) -> Normal:
        """Return the normal with the mean and covariance of points (point, size)."""
        covariance = np.cov(points, rowvar=False, ddof=1).reshape(points.shape[1], -1)
        return cls(points.mean(axis=0), np.linalg.cholesky(covariance))

    def log_density(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log density at points (..., size)."""
        deviations = (points - self.mean) @ self._inverse.T
        return np.asarray(-0.5 * np.square(deviations).sum(axis=-1) - self._volume)

    @cached_property
    def _inverse(self) -> NDArray[np.float64]:
        return np.linalg.inv(self.root)

    @cached_property
    def _volume(self) -> float:
        return float(np.log(np.diag(self.root)).sum() + self.mean.size / 2 * np.log(2 * np.pi))

    def draw(self, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return draws (draw, size)."""
        return self.mean + rng.standard_normal((draws, self.mean.size)) @ self.root.T


def first_half(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first half of each chain's draws (chain, draw, size) as (point, size)."""
    half = points[:, : points.shape[1] // 2]
    return half.reshape(-1, points.shape[-1])


def estimate_log_evidence(
    bound: Bound,
    points: NDArray[np.float64],
    proposal: Normal,
    is_inside: Callable[[NDArray[np.float64]], NDArray[np.bool_]],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the log of the mass that a density has in a region, and its standard error.

    The proposal has been fitted to the first half of the draws; the second half makes the
    estimate. It takes the correlation of the draws into account.

    Parameters
    ----------
    bound : Bound
        The density.
    points : numpy.ndarray
        Unconstrained draws of the density in the region, shape (chain, draw, size).
    proposal : Normal
        A normal near the density in the region.
    is_inside : callable
        Whether points (..., size) lie in the region.
    rng : numpy.random.Generator
        Draws from the proposal.
    """
    rest = points[:, points.shape[1] // 2 :]
    inside = is_inside(rest)
    proposed = proposal.draw(inside.size, rng)
    ratio = _log_density(bound, rest) - proposal.log_density(rest)
    middle = float(np.median(ratio[inside]))
    ratio = np.where(inside, ratio, middle)
    ratio_proposed = _log_density(bound, proposed) - proposal.log_density(proposed)
    ratio_proposed = np.where(is_inside(proposed), ratio_proposed, -np.inf)
    one, other = np.exp(ratio - middle), np.exp(ratio_proposed - middle)
    weight = min(1.0, _effective(ratio) / inside.size)
    share = weight / (weight + 1)
    mass = _iterate(one, inside, other, share)
    bridge = inside / (share * one + (1 - share) * mass)
    bridge_proposed = other / (share * other + (1 - share) * mass)
    error = np.sqrt(
        _relative_variance(bridge) / _effective(bridge)
        + _relative_variance(bridge_proposed) / proposed.shape[0]
    )
    return float(np.log(mass) + middle), float(error)


def _iterate(
    one: NDArray[np.float64], inside: NDArray[np.bool_], other: NDArray[np.float64], share: float
) -> float:
    """Return the ratio of masses at which Meng and Wong's iteration stops; NaN if it does not."""
    mass = 1.0
    for _ in range(_ROUNDS):
        over = np.mean(other / (share * other + (1 - share) * mass))
        under = np.sum(inside / (share * one + (1 - share) * mass)) / np.sum(inside)
        last, mass = mass, float(over / under)
        if not np.isfinite(mass) or mass <= 0:
            return np.nan
        if abs(np.log(mass / last)) < _TOLERANCE:
            return mass
    return np.nan


def _log_density(bound: Bound, points: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = points.reshape(-1, points.shape[-1])
    return np.array([bound.log_density(point)[0] for point in flat]).reshape(points.shape[:-1])


def _relative_variance(values: NDArray[np.float64]) -> float:
    return float(values.var() / values.mean() ** 2)


def _effective(values: NDArray[np.float64]) -> float:
    """Return the effective number of values by chain and draw."""
    return float(az.ess(values, method="mean"))
