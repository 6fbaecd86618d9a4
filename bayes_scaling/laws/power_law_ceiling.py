"""The direct power law with a ceiling below perfect accuracy."""

from typing import Any

from bayes_scaling.laws.base import (
    EXPONENT,
    IRREDUCIBLE,
    Array,
    ScalingLaw,
    Values,
    reducible_exponent,
)


class PowerLawCeiling(ScalingLaw):
    """−log Q' = A·C^−α + E, so that Q' tends to the ceiling e^−E.

    Sampled by the local exponent at the centroid, the slope that data show, from which
    α follows once E is known: the two exponents differ by the reducible share of −log Q'.
    """

    name = "power_law_ceiling"
    equation = "-log Q' = A C^-alpha + E"
    source = "Krajewski et al. 2025 (arXiv:2512.08894), eq. 10 (appendix L)"
    parameters = (EXPONENT, IRREDUCIBLE)

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q'; see :class:`ScalingLaw`."""
        reducible = p["level"] - p["E"]
        return xp.exp(-(reducible * xp.exp(-reducible_exponent(p) * x["flops"]) + p["E"]))

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return A, in FLOPs^alpha, alpha, and the ceiling of Q'."""
        alpha = reducible_exponent(p)
        return {
            "A": (p["level"] - p["E"]) * xp.exp(alpha * c["flops"]),
            "alpha": alpha,
            "ceiling": xp.exp(-p["E"]),
        }


LAW = PowerLawCeiling()
