"""The route through a loss: what turns a direct law into one that goes through the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from bayes_scaling.laws._pieces import DirectLaw, reducible_exponent
from bayes_scaling.laws.base import (
    Array,
    Constant,
    Parameter,
    TwoStageLaw,
    Values,
)

# A loss at or below the irreducible one counts as this share of the reducible loss at the
# centroid, with a smooth bend: a corner would make NUTS diverge.
_CORNER = 0.01

IRREDUCIBLE_SHARE = Parameter(
    "irreducible_share", "irreducible share of the loss at the centroid", "", start=0.5
)


def _power_width(p: Values, x: Values, xp: Any) -> Array:
    """Return the power that makes log L fall by 1 per unit of log C; runs determine that slope."""
    slope = reducible_exponent(p) if "E" in p else p["exponent"]
    return (1 - p["irreducible_share"]) * slope


POWER = Parameter(
    "kappa",
    "power of the reducible loss to which the reducible part of −log Q' is proportional",
    "",
    start=1.2,
    width=_power_width,
)
LOSS_E = Constant("loss_E", "irreducible loss", "nats")


class ThroughLoss(TwoStageLaw):
    """−log Q' = K·(L − loss_E)^κ + E, with the loss L = loss_E + R·e^(z/κ).

    z is the function of a budget of a direct law, `direct`. With a run at the median loss of its
    budget, the curve is that of the direct law, with the same parameters and so with the same
    priors. What differs is the route: the shape z also describes the losses, and a run with a
    lucky loss has a lucky accuracy.

    Attributes
    ----------
    direct : DirectLaw
        The direct law of the pair.
    """

    separable = False
    direct: ClassVar[DirectLaw]

    def log_loss(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return the log of the median loss; see :class:`TwoStageLaw`."""
        return log_loss_above(p, self.direct.log_reducible(p, x, xp) / p["kappa"], xp)

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q' at a loss; see :class:`TwoStageLaw`."""
        return self.direct.quality(p, p["kappa"] * log_ratio_seen(p, x["loss"], xp), xp)

    def features(self, x: Mapping[str, xr.DataArray], c: Values) -> dict[str, xr.DataArray]:
        """Return the features of the direct law."""
        return self.direct.features({name: x[name] for name in self.direct.columns}, c)

    def beyond(
        self,
        p: Mapping[str, xr.DataArray],
        x: Mapping[str, xr.DataArray],
        c: Values,
        rng: np.random.Generator,
    ) -> dict[str, xr.DataArray]:
        """Draw what the direct law draws beyond the fitted runs."""
        return self.direct.beyond(p, x, c, rng)

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return the constants of the direct law, and the irreducible loss."""
        return self.direct.textbook(p, c, xp) | {"loss_E": p["loss_level"] * p["irreducible_share"]}


def log_loss_above(p: Values, log_ratio: Array, xp: Any) -> Array:
    """Return log L, from the log of the reducible loss over that at the centroid."""
    share = p["irreducible_share"]
    return xp.log(p["loss_level"]) + xp.log(share + (1 - share) * xp.exp(log_ratio))


def log_ratio_seen(p: Values, above: Array, xp: Any) -> Array:
    """Return the log of the reducible loss over that at the centroid, from L less its level."""
    reducible = p["loss_level"] * (1 - p["irreducible_share"])
    return xp.log(_positive(1 + above / reducible, xp))


def loss_precision(p: Values, z: Array, xp: Any) -> Array:
    """Return the precision, squared, with which the loss of each run determines z.

    The log loss moves by its reducible share of a change of z, over κ.
    """
    reducible = (1 - p["irreducible_share"]) * xp.exp(z / p["kappa"])
    share = reducible / (p["irreducible_share"] + reducible)
    return (share / (p["kappa"] * p["loss_scatter"])) ** 2


def _positive(ratio: Array, xp: Any) -> Array:
    """Return the ratio where it is well above 0, and else a small positive number."""
    return (ratio + xp.sqrt(ratio**2 + _CORNER**2)) / (1 + xp.sqrt(1 + _CORNER**2))
