"""From prior specifications to PyMC variables whose hyperparameters are data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
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
    dims: tuple[str, ...] = (),
) -> Any:
    """Create the variable `name` in the model on the stack, truncated to `bounds` if given.

    Hyperparameters enter as `pm.Data`, so that one compiled model serves every prior of the
    same family.
    """
    data = {
        key: pm.Data(f"{name}_{key}", value)
        for key, value in zip(prior.parameters, hyperparameters(name, prior).values(), strict=True)
    }
    if bounds is None:
        return prior.pymc_distribution(name, **data, dims=dims or None)
    base = prior.pymc_distribution.dist(**data)
    return pm.Truncated(
        name, base, lower=bounds[0], upper=bounds[1], default_transform=ProbitInterval()
    )
