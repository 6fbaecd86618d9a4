"""From prior specifications to PyMC variables whose hyperparameters are data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.continuous import PositiveContinuous
from pymc.logprob.transforms import Transform
from pymc_extras.prior import Prior

from bayes_scaling.errors import ModelError


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
    """Measure a parameter in widths that depend on other parameters; a positive one by its log.

    How far the runs let the bends of a curve move depends on the scale of the bends. Sampled
    as they are, that is a funnel; in units of the width the runs leave them, it is not.
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


def hyperparameters(name: str, prior: Prior) -> dict[str, float]:
    """Return the hyperparameters of a prior by the name of the data that hold them.

    Raises
    ------
    ModelError
        If a hyperparameter is not a plain number: hierarchical priors are for pooled models.
    """
    values = {}
    for key, value in prior.parameters.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ModelError(
                f"prior of {name!r}: {key} is {type(value).__name__}, not a number; "
                "give plain numbers"
            )
        values[f"{name}_{key}"] = float(value)
    return values


def create_variable(
    name: str,
    prior: Prior,
    bounds: tuple[Any, Any] | None = None,
    width: Any = None,
    dims: tuple[str, ...] = (),
) -> Any:
    """Create the variable `name` in the model on the stack, truncated to `bounds` if given.

    With `width` it is sampled in units of that. Hyperparameters enter as `pm.Data`, so that one
    compiled model serves every prior of the same family.
    """
    data = {
        key: pm.Data(f"{name}_{key}", value)
        for key, value in zip(prior.parameters, hyperparameters(name, prior).values(), strict=True)
    }
    if width is not None:
        return _create_in_widths(name, prior, data, width, dims)
    if bounds is None:
        return prior.pymc_distribution(name, **data, dims=dims or None)
    base = prior.pymc_distribution.dist(**data)
    return pm.Truncated(
        name, base, lower=bounds[0], upper=bounds[1], default_transform=ProbitInterval()
    )


def _create_in_widths(
    name: str, prior: Prior, data: dict[str, Any], width: Any, dims: tuple[str, ...]
) -> Any:
    """Create a variable whose distribution is its prior, and which hands `width` to its transform.

    PyMC gives a transform what the distribution is made from, and nothing else.
    """

    def base(*values: Any, **size: Any) -> Any:
        named = dict(zip(prior.parameters, values, strict=True))
        return prior.pymc_distribution.dist(**named, **size)

    return pm.CustomDist(
        name,
        *data.values(),
        width,
        dist=lambda *inputs: base(*inputs[:-2], size=inputs[-1]),
        logp=lambda value, *values: pm.logp(base(*values[:-1]), value),
        default_transform=InWidths(issubclass(prior.pymc_distribution, PositiveContinuous)),
        dims=dims or None,
    )
