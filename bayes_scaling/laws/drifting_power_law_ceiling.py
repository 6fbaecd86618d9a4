"""The drifting power law with a ceiling below perfect accuracy."""

from dataclasses import replace
from typing import Any

from bayes_scaling.laws._pieces import CEILING, IRREDUCIBLE, reducible_exponent
from bayes_scaling.laws.base import Array, Values
from bayes_scaling.laws.drifting_power_law import (
    DRIFT,
    MEAN_EXPONENT,
    TAU,
    DriftingPowerLaw,
    bend_width,
    drifted,
)


def _width(p: Values, x: Values, xp: Any) -> Array:
    above = (p["neg_log_q"] - p["E"]) * xp.exp(-reducible_exponent(p) * x["flops"])
    return bend_width(p, x, xp, above / (above + p["E"]))


class DriftingPowerLawCeiling(DriftingPowerLaw):
    """log(−log Q' − E) = z(log C): what drifts is the exponent of the reducible part.

    With E = 0 it is :class:`DriftingPowerLaw`; without drift, the power law with a ceiling.
    """

    name = "drifting_power_law_ceiling"
    equation = "log(-log Q' - E) = z(log C), -z' an Ornstein-Uhlenbeck process of sd tau"
    source = "this project; Krajewski et al. 2025 (arXiv:2512.08894), eq. 10, with a drift"
    parameters = (MEAN_EXPONENT, IRREDUCIBLE, TAU, replace(DRIFT, width=_width))
    constants = (CEILING,)
    ceiling = CEILING.name

    def log_reducible(self, p: Values, x: Values, xp: Any) -> Array:
        """Return z; see :class:`DirectLaw`."""
        return -reducible_exponent(p) * x["flops"] - drifted(p, x, xp)

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return the ceiling of Q'."""
        return {"ceiling": xp.exp(-p["E"])}


LAW = DriftingPowerLawCeiling()
