"""Scales on which the sampler moves: they change how posteriors are sampled, not what they are."""

from __future__ import annotations

from dataclasses import dataclass
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
        return _normal_quantile((value - lower) / (upper - lower))

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the place in the interval."""
        lower, upper = inputs[-2:]
        return lower + (upper - lower) * _mass_below(value)

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
        ratio = value / _unit(inputs)
        return pt.log(ratio) if self.positive else ratio

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the value itself."""
        return (pt.exp(value) if self.positive else value) * _unit(inputs)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log derivative of `backward`, by element."""
        return pt.log(_unit(inputs)) + (value if self.positive else 0.0)


@dataclass(frozen=True)
class Fitted:
    """What runs tell of a vector, or of numbers one by one, given the other parameters.

    Attributes
    ----------
    centre, width : tensor
        Where they lie and how far they may move, along the axes; of positive numbers, their logs.
    rotation : tensor, optional
        Shape (..., size, size), orthogonal: its columns are axes along which the runs tell of
        vectors of shape (..., size). It must not depend on parameters. None for numbers.
    """

    centre: Any
    width: Any
    rotation: Any = None


class AroundFit(Transform):
    """Measure vectors along rotated axes, from a centre, in widths; see :class:`Fitted`.

    Bends make up for what an exponent or a ceiling leaves out. In these coordinates the curve
    stays where the runs are while the other parameters move.
    """

    name = "around_fit"

    def __init__(self, rotation: Any) -> None:
        self.rotation = rotation

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return the vectors in rotated coordinates."""
        along = (self.rotation * value[..., :, None]).sum(axis=-2)
        return (along - inputs[-3]) / _unit(inputs)

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the vectors themselves."""
        along = inputs[-3] + value * _unit(inputs)
        return (self.rotation * along[..., None, :]).sum(axis=-1)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log derivative of `backward`, by element: a rotation changes no volume."""
        return pt.log(_unit(inputs))


class LogAroundFit(Transform):
    """Measure the log of a positive number from a centre, in widths; both are on the log scale."""

    name = "log_around_fit"

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return how far the log lies from the centre, in widths."""
        return (pt.log(value) - inputs[-3]) / _unit(inputs)

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the number itself."""
        return pt.exp(inputs[-3] + value * _unit(inputs))

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log derivative of `backward`."""
        return pt.log(_unit(inputs)) + inputs[-3] + value * _unit(inputs)


class ProbitAroundFit(Transform):
    """Measure a number between 0 and 1 on normal quantiles, from a centre, in widths.

    A floor and a curve that has hardly left it are known only in sums. In this coordinate the
    sum stays while the curve moves. The centre may lie below 0; it is moved smoothly above.
    """

    name = "probit_around_fit"

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return the normal quantile in widths from that of the centre."""
        centre, width = _on_normal_quantiles(inputs)
        return (_normal_quantile(value) - centre) / width

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the number itself."""
        centre, width = _on_normal_quantiles(inputs)
        return _mass_below(centre + value * width)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log derivative of `backward`, by element."""
        centre, width = _on_normal_quantiles(inputs)
        return pt.log(width) - 0.5 * (centre + value * width) ** 2 - 0.5 * np.log(2 * np.pi)


def _on_normal_quantiles(inputs: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return centre and width of a number between 0 and 1 on the scale of normal quantiles."""
    centre, width = inputs[-3], _unit(inputs)
    inside = (centre + pt.sqrt(centre**2 + 2 * width**2)) / 2
    narrow = width * inside / pt.sqrt(width**2 + inside**2)
    quantile = _normal_quantile(inside)
    return quantile, narrow * np.sqrt(2 * np.pi) * pt.exp(0.5 * quantile**2)


class ProbitShare(Transform):
    """Measure a positive number v by the normal quantile of 1 − exp(−v/whole).

    A posterior that piles up at 0 has an exponential tail on the log scale, which NUTS crosses
    slowly; here it has a normal one, as on :class:`ProbitInterval`. Under an exponential prior
    of mean `whole` the coordinate is standard normal.
    """

    name = "probit_share"

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return the normal quantile of the share."""
        return np.sqrt(2) * pt.erfcinv(2 * pt.exp(-value / _unit(inputs)))

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the number itself."""
        return -_unit(inputs) * _log_upper(value)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log derivative of `backward`, by element."""
        log_normal = -0.5 * value**2 - 0.5 * np.log(2 * np.pi)
        return pt.log(_unit(inputs)) + log_normal - _log_upper(value)


def _normal_quantile(mass: Any) -> Any:
    return np.sqrt(2) * pt.erfinv(2 * mass - 1)


def _mass_below(value: Any) -> Any:
    """Return the mass of a standard normal below a value."""
    return 0.5 * pt.erfc(-value / np.sqrt(2))


def _log_upper(value: Any) -> Any:
    """Return the log of the mass of a standard normal above a value."""
    return pt.log(_mass_below(-value))


def _unit(inputs: tuple[Any, ...]) -> Any:
    return inputs[-2]  # the last parameter of a pm.CustomDist; its generator follows
