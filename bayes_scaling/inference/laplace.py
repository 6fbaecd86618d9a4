"""Mode and curvature of a posterior: where NUTS starts, and in which coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from bayes_scaling.inference.program import Bound

_STEP = 1e-4  # of finite differences of the gradient, on scales of order 1
_LEAST_CURVATURE = 0.1  # smaller ones are raised to this: priors are of order 1
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
    """

    mode: NDArray[np.float64]
    scale: NDArray[np.float64]


def approximate(bound: Bound) -> Laplace:
    """Return mode and curvature of a posterior.

    If the search for the mode fails, its last point is used: NUTS samples the same posterior
    from any place and on any scale, only more slowly.
    """

    def objective(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, slopes = bound.log_density(point)
        return (-value, -slopes) if np.isfinite(value) else (1e10, slopes)

    found = scipy.optimize.minimize(
        objective, bound.start, jac=True, method="BFGS", options={"maxiter": _ITERATIONS}
    )
    mode = found.x
    steps = np.eye(mode.size) * _STEP
    curvature = np.array([objective(mode + h)[1] - objective(mode - h)[1] for h in steps])
    values, directions = np.linalg.eigh((curvature + curvature.T) / (4 * _STEP))
    return Laplace(mode, directions / np.sqrt(np.clip(values, _LEAST_CURVATURE, None)))
