"""A curve whose slope drifts but returns to its mean: what it adds at each budget."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

KNOT = "knot"
_KNOTS = 12
# Standard normal numbers inside the fitted range: the first slope, and a step a knot.
BENDS = _KNOTS + 1

# Over a decade of compute the memory of a deviation falls by e.
DECADE = float(np.log(10))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RevertingSlope:
    """The integral of a slope that is an Ornstein-Uhlenbeck process in log C, of sd 1.

    Near the fitted runs it wanders like a random walk. Far from them it has forgotten where it
    was, so the sd of its integral grows with the root of distance and not with its power 3/2.
    Inside the fitted range the straight line is taken out, and what is left is rotated to its
    bends, largest first, as in the drifting laws.

    Parameters
    ----------
    reach : float
        Distance of the farthest fitted run from the centre of the fitted runs, in log C.
    length : float
        Distance over which a deviation of the slope falls by e, in log C; by default a decade.
    """

    reach: float
    length: float = DECADE

    @property
    def spacing(self) -> float:
        """Distance between knots, at which the slope moves, in log C."""
        return 2 * self.reach / _KNOTS

    def inside(self, x: Floats) -> Floats:
        """Return what each bend adds at x, by x and bend; nothing at the centre."""
        return (self._unbent(x) - self._unbent(np.zeros(1))) @ self._rotation

    def above(self, x: Floats) -> Floats:
        """Return what each step of the slope above the fitted range adds at x, by x and step."""
        end = max(float(np.max(x)), self.reach)
        return self._steps(x, np.arange(self.reach + self.spacing / 2, end, self.spacing))

    def below(self, x: Floats) -> Floats:
        """Return the same for steps below the fitted range: the process has no direction."""
        return self.above(-x)

    def _steps(self, x: Floats, knots: Floats) -> Floats:
        # The slope decays between steps: with this sd its variance is 1 on average.
        sd = np.sqrt(2 * self.spacing / self.length)
        past = np.clip(x[:, None] - knots, 0, None)
        return np.asarray(-sd * self.length * np.expm1(-past / self.length))

    def _all(self, x: Floats) -> Floats:
        """Return what the first slope and each step add at x."""
        knots = np.asarray(-self.reach + self.spacing * (np.arange(_KNOTS) + 0.5), float)
        past = x + self.reach
        first = -np.sign(past) * self.length * np.expm1(-np.abs(past) / self.length)
        return np.concatenate([first[:, None], self._steps(x, knots)], axis=1)

    @cached_property
    def _line(self) -> Floats:
        """Return intercept and slope of the straight line in each of them."""
        grid = self._grid
        return np.linalg.lstsq(_straight(grid), self._all(grid), rcond=None)[0]

    @cached_property
    def _rotation(self) -> Floats:
        return np.linalg.svd(self._unbent(self._grid), full_matrices=False)[2].T

    @property
    def _grid(self) -> Floats:
        return np.linspace(-self.reach, self.reach, 201)

    def _unbent(self, x: Floats) -> Floats:
        return self._all(x) - _straight(x) @ self._line


def _straight(x: Floats) -> Floats:
    return np.column_stack([np.ones_like(x), x])
