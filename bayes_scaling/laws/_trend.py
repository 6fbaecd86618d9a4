"""The trend of a benchmark's accuracy in a validation loss: a line and its bends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bayes_scaling.laws._reverting import RevertingSlope
from bayes_scaling.laws.base import Array

# The range of losses is 2 wide, so a deviation of the slope is forgotten over half of it.
_SLOPE = RevertingSlope(reach=1.0, length=1.0)


@dataclass(frozen=True)
class LossScale:
    """Places on a range of losses: −1 at the largest and 1 at the smallest, even in e^−loss.

    Attributes
    ----------
    largest, smallest : float
        Ends of the range, in nats.
    """

    largest: float
    smallest: float

    @classmethod
    def of(cls, loss: NDArray[np.float64]) -> Self:
        """Return the scale of the losses of runs."""
        return cls(float(np.max(loss)), float(np.min(loss)))

    def places(self, loss: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the place of each loss."""
        low, high = np.exp(-self.largest), np.exp(-self.smallest)
        return np.asarray(2 * (np.exp(-np.asarray(loss)) - low) / (high - low) - 1)

    def losses(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the loss at each place, in nats."""
        low, high = np.exp(-self.largest), np.exp(-self.smallest)
        return np.asarray(-np.log(low + (np.asarray(places) + 1) / 2 * (high - low)))


def bend_basis(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each bend adds at each place, by place and bend; none has a straight line."""
    return _SLOPE.inside(np.asarray(places, float))


def straight(p: Any, places: Array) -> Array:
    """Return the line: `level` at the middle of the range, and `rise` over the whole of it."""
    return p["level"] + p["rise"] / 2 * places
