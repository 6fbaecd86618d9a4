"""Scales on which the sampler moves: they change how posteriors are sampled, not what they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform


class ProbitInterval(Transform):
    """Map an interval to the real line by the normal quantile function.

    Posteriors of floors and ceilings often pile up at an end of their interval. On the
    logistic scale that is a long exponential tail, which NUTS crosses slowly; on the probit
    scale it is a normal one.
    """

    name = "probit_interval"

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return the normal quantile of the place in the interval."""
        lower, upper = inputs[-2:]
        return np.sqrt(2) * pt.erfinv(2 * (value - lower) / (upper - lower) - 1)

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the place in the interval."""
        lower, upper = inputs[-2:]
        return lower + (upper - lower) * 0.5 * pt.erfc(-value / np.sqrt(2))

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log derivative of `backward`."""
        lower, upper = inputs[-2:]
        return pt.log(upper - lower) - 0.5 * value**2 - 0.5 * np.log(2 * np.pi)


class InWidths(Transform):
    """Measure a parameter in widths that depend on other parameters, a positive one on a log scale.

    How far the runs let the bends of a curve move depends on the scale of the bends. If the
    bends themselves are sampled, the posterior is a funnel; in units of this width, it is not.
    """

    name = "in_widths"

    def __init__(self, positive: bool) -> None:
        self.positive = positive

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return the value in widths, or its log."""
        ratio = value / self._width(inputs)
        return pt.log(ratio) if self.positive else ratio

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the value itself."""
        return (pt.exp(value) if self.positive else value) * self._width(inputs)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log derivative of `backward`, by element."""
        return pt.log(self._width(inputs)) + (value if self.positive else 0.0)

    @staticmethod
    def _width(inputs: tuple[Any, ...]) -> Any:
        return inputs[-2]  # the last parameter of a pm.CustomDist; its generator follows
