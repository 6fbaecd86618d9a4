"""Parameters and formulas that several direct laws share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from bayes_scaling.laws.base import Array, Constant, Parameter, ScalingLaw, Values

EXPONENT = Parameter(
    "exponent",
    "local exponent: fall of log(−log Q') per unit of log C at the centroid",
    "",
    start=0.15,
)
CEILING = Constant("ceiling", "chance-corrected accuracy Q' at endless compute")


def below_neg_log_q(p: Values, xp: Any) -> Array:
    """Bound the irreducible part of −log Q' by the whole of it at the centroid."""
    return p["neg_log_q"]


IRREDUCIBLE = Parameter(
    "E",
    "irreducible part of −log Q', from label noise and ambiguous items",
    "nats",
    start=0.02,
    upper=below_neg_log_q,
    shown_as="ceiling",
)


def reducible_exponent(p: Values) -> Array:
    """Return the exponent of −log Q' − E, from that of the whole of −log Q' at the centroid."""
    return p["exponent"] * p["neg_log_q"] / (p["neg_log_q"] - p["E"])


class DirectLaw(ScalingLaw):
    """−log Q' = (neg_log_q − E)·e^z + E, where z is the law's own function of a budget.

    E is 0 in laws without :data:`IRREDUCIBLE`. What is written in this form can also be sent
    through a loss; see :class:`bayes_scaling.laws._routes.ThroughLoss`.
    """

    @abstractmethod
    def log_reducible(self, p: Values, x: Values, xp: Any) -> Array:
        """Return z, the log of the reducible part of −log Q' over that at the centroid."""

    def irreducible(self, p: Values) -> Array:
        """Return E in nats."""
        return p["E"] if IRREDUCIBLE in self.parameters else 0.0

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q'; see :class:`ScalingLaw`."""
        return self.quality(p, self.log_reducible(p, x, xp), xp)

    def quality(self, p: Values, z: Array, xp: Any) -> Array:
        """Return Q' where the log of the reducible part over that at the centroid is z."""
        above = (p["neg_log_q"] - self.irreducible(p)) * xp.exp(z)
        return xp.exp(-(above + self.irreducible(p)))
