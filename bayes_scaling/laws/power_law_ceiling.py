"""The direct power law with a ceiling below perfect accuracy."""

from typing import Any

from bayes_scaling.laws._pieces import (
    CEILING,
    EXPONENT,
    IRREDUCIBLE,
    DirectLaw,
    reducible_exponent,
)
from bayes_scaling.laws.base import Array, Constant, Values


class PowerLawCeiling(DirectLaw):
    """−log Q' = A·C^−α + E, so that Q' tends to the ceiling e^−E.

    The sampled parameters are E and the local exponent at the centroid, the slope that data show.
    α follows from them: it is the local exponent divided by the reducible share of −log Q'.
    """

    name = "power_law_ceiling"
    equation = "-log Q' = A C^-alpha + E"
    source = "Krajewski et al. 2025 (arXiv:2512.08894), eq. 10 (appendix L)"
    parameters = (EXPONENT, IRREDUCIBLE)
    constants = (
        Constant("A", "reducible part of −log Q' at one FLOP", "nats FLOPs^alpha"),
        Constant("alpha", "exponent of the reducible part of −log Q'"),
        CEILING,
    )
    ceiling = CEILING.name

    def log_reducible(self, p: Values, x: Values, xp: Any) -> Array:
        """Return the straight line; see :class:`DirectLaw`."""
        return -reducible_exponent(p) * x["flops"]

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return A, in FLOPs^alpha, alpha, and the ceiling of Q'."""
        alpha = reducible_exponent(p)
        return {
            "A": (p["neg_log_q"] - p["E"]) * xp.exp(alpha * c["flops"]),
            "alpha": alpha,
            "ceiling": xp.exp(-p["E"]),
        }


LAW = PowerLawCeiling()
