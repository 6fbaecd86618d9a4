"""Mode and curvature of a posterior: where NUTS starts, and in which coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from bayes_scaling.inference.program import Bound

_STEP = 1e-4  # of finite differences of the gradient, on scales of order 1
_CURVATURES = (0.1, 1e10)  # others are moved here: priors are of order 1, and no mode is so sharp
_ITERATIONS = 300


@dataclass(frozen=True)
class Laplace:
    """A normal approximation of a posterior in unconstrained coordinates.

    Attributes
    ----------
    mode : numpy.ndarray
        Shape (size,).
    scale : numpy.ndarray
        Shape (size, size); scale @ scale.T is the inverse of the curvature at the mode.
    log_density : float
        Log density at the mode, not normalised.
    steepness : float
        Length of the gradient there, in standard deviations: 0 where the search has ended well.
    """

    mode: NDArray[np.float64]
    scale: NDArray[np.float64]
    log_density: float
    steepness: float

    @property
    def log_evidence(self) -> float:
        """Log of the mass of the normal approximation, not normalised."""
        volume = float(np.linalg.slogdet(self.scale)[1])
        return self.log_density + volume + self.mode.size / 2 * float(np.log(2 * np.pi))

    def distance(self, point: NDArray[np.float64]) -> float:
        """Return how far a point lies from the mode, in standard deviations."""
        return float(np.linalg.norm(self._inverse @ (point - self.mode)))

    @cached_property
    def _inverse(self) -> NDArray[np.float64]:
        return np.linalg.inv(self.scale)


def climb(
    bound: Bound,
    start: NDArray[np.float64],
    *,
    scale: NDArray[np.float64] | None = None,
    is_known: Callable[[NDArray[np.float64]], bool] | None = None,
) -> NDArray[np.float64]:
    """Return where BFGS ends that looks for a mode.

    Parameters
    ----------
    bound : Bound
        The density.
    start : numpy.ndarray
        Where it starts.
    scale : numpy.ndarray, optional
        Of the density near the start, as in :class:`Laplace`.
    is_known : callable, optional
        Whether a point that it passes is close enough to a known mode to end there.
    """

    def objective(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, slopes = bound.log_density(point)
        return (-value, -slopes) if np.isfinite(value) else (1e10, slopes)

    def stop_where_known(point: NDArray[np.float64]) -> None:
        if is_known is not None and is_known(point):
            raise StopIteration

    options: Any = {"maxiter": _ITERATIONS}
    if scale is not None:
        options["hess_inv0"] = scale @ scale.T
    search: Any = scipy.optimize.minimize  # its stubs do not know `callback` with `jac=True`
    found = search(
        objective, start, jac=True, method="BFGS", callback=stop_where_known, options=options
    )
    return np.asarray(found.x)


def expand_at(bound: Bound, point: NDArray[np.float64]) -> Laplace:
    """Return the normal approximation from the curvature at a point."""
    value, slopes = bound.log_density(point)
    steps = np.eye(point.size) * _STEP
    curvature = np.array(
        [bound.log_density(point - h)[1] - bound.log_density(point + h)[1] for h in steps]
    )
    if not np.isfinite(curvature).all():
        return Laplace(point, np.eye(point.size), value, np.inf)
    values, directions = np.linalg.eigh((curvature + curvature.T) / (4 * _STEP))
    scale = directions / np.sqrt(np.clip(values, *_CURVATURES))
    return Laplace(point, scale, value, float(np.linalg.norm(scale.T @ slopes)))


def approximate(bound: Bound) -> Laplace:
    """Return mode and curvature of a posterior, from the point where it starts.

    If the search for the mode fails, its last point is used: NUTS samples the same posterior
    from any place and on any scale, only more slowly.
    """
    return expand_at(bound, climb(bound, bound.start))
