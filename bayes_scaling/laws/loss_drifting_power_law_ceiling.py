"""The drifting power law with a ceiling, through a loss that drifts in the same way."""

from dataclasses import replace
from typing import Any

from bayes_scaling.laws._pieces import IRREDUCIBLE, reducible_exponent
from bayes_scaling.laws._routes import (
    IRREDUCIBLE_SHARE,
    LOSS_E,
    POWER,
    ThroughLoss,
    loss_precision,
)
from bayes_scaling.laws.base import LOSS_LEVEL, LOSS_SCATTER, Array, Values
from bayes_scaling.laws.drifting_power_law import DRIFT, MEAN_EXPONENT, TAU, bend_width
from bayes_scaling.laws.drifting_power_law_ceiling import LAW as DIRECT


def _width(p: Values, x: Values, xp: Any) -> Array:
    z = -reducible_exponent(p) * x["flops"]
    above = (p["neg_log_q"] - p["E"]) * xp.exp(z)
    return bend_width(p, x, xp, above / (above + p["E"]), loss_precision(p, z, xp))


class LossDriftingPowerLawCeiling(ThroughLoss):
    """log(L − loss_E) = z(log C)/κ + constant, −log Q' = K·(L − loss_E)^κ + E."""

    name = "loss_drifting_power_law_ceiling"
    equation = (
        "log(L - loss_E) = z(log C) / kappa + constant, -z' an Ornstein-Uhlenbeck "
        "process of sd tau;  "
        "-log Q' = K (L - loss_E)^kappa + E"
    )
    source = "this project; drifting_power_law_ceiling behind a loss with an irreducible part"
    direct = DIRECT
    loss_parameters = (LOSS_LEVEL, IRREDUCIBLE_SHARE, POWER, LOSS_SCATTER)
    parameters = (MEAN_EXPONENT, IRREDUCIBLE, *loss_parameters, TAU, replace(DRIFT, width=_width))
    constants = (*DIRECT.constants, LOSS_E)
    ceiling = DIRECT.ceiling


LAW = LossDriftingPowerLawCeiling()
