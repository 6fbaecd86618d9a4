"""Parameters and formulas that several direct laws share."""

from __future__ import annotations

from typing import Any

from bayes_scaling.laws.base import Array, Constant, Parameter, Values

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
