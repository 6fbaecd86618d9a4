"""The direct law in parameters and tokens, with a ceiling and a drift."""

from dataclasses import replace
from typing import Any

from bayes_scaling.laws._pieces import CEILING, IRREDUCIBLE
from bayes_scaling.laws.base import Array, Values
from bayes_scaling.laws.drifting_power_law import DRIFT, TAU, DriftingPowerLaw, bend_width, drifted
from bayes_scaling.laws.params_tokens import ALPHA, AMOUNTS, BETA, PARAMS_SHARE, amounts, relative


def _bend_width(p: Values, x: Values, xp: Any) -> Array:
    above = (p["neg_log_q"] - p["E"]) * relative(p, x, xp)
    return bend_width(p, x, xp, above / (above + p["E"]))


# The runs determine how fast the whole of −log Q' falls with N and with D, whatever the reducible
# part and its split. So each exponent is sampled in units of its value for such a slope of 1.
def alpha_width(p: Values, x: Values, xp: Any) -> Array:
    """Return the alpha of a slope of 1 in log N."""
    return p["neg_log_q"] / ((p["neg_log_q"] - p["E"]) * p["params_share"])


def beta_width(p: Values, x: Values, xp: Any) -> Array:
    """Return the beta of a slope of 1 in log D."""
    return p["neg_log_q"] / ((p["neg_log_q"] - p["E"]) * (1 - p["params_share"]))


class DriftingParamsTokens(DriftingPowerLaw):
    """−log Q' = (A·N^−α + B·D^−β)·e^−w(log C) + E, w the integral of an Ornstein-Uhlenbeck process.

    The drifting power law with a ceiling, for ladders whose ratio of tokens to parameters
    varies. The reducible part, the sum of both terms, drifts with compute. Without drift and
    ceiling it is :class:`~bayes_scaling.laws.params_tokens.ParamsTokens`.
    """

    name = "drifting_params_tokens"
    equation = (
        "-log Q' = (A N^-alpha + B D^-beta) e^-w(log C) + E, w' an Ornstein-Uhlenbeck process of "
        "sd tau"
    )
    source = "this project; Krajewski et al. 2025 (arXiv:2512.08894), eq. 4 and 10, with a drift"
    # Compute first: the knots of the drift are placed over the first input.
    inputs = ("flops", "params", "tokens")
    parameters = (
        PARAMS_SHARE,
        IRREDUCIBLE,
        replace(ALPHA, width=alpha_width),
        replace(BETA, width=beta_width),
        TAU,
        replace(DRIFT, width=_bend_width),
    )
    constants = (*AMOUNTS, CEILING)
    ceiling = CEILING.name

    def log_reducible(self, p: Values, x: Values, xp: Any) -> Array:
        """Return z; see :class:`~bayes_scaling.laws._pieces.DirectLaw`."""
        return xp.log(relative(p, x, xp)) - drifted(p, x, xp)

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return A, in parameters^alpha, B, in tokens^beta, and the ceiling of Q'."""
        return amounts(p, p["neg_log_q"] - p["E"], c, xp) | {"ceiling": xp.exp(-p["E"])}


LAW = DriftingParamsTokens()
