"""The drifting power law, through a loss that drifts in the same way."""

from dataclasses import replace
from typing import Any

from bayes_scaling.laws._routes import (
    IRREDUCIBLE_SHARE,
    LOSS_E,
    POWER,
    ThroughLoss,
    loss_precision,
)
from bayes_scaling.laws.base import LOSS_LEVEL, LOSS_SCATTER, Array, Values
from bayes_scaling.laws.drifting_power_law import DRIFT, MEAN_EXPONENT, TAU, bend_width
from bayes_scaling.laws.drifting_power_law import LAW as DIRECT


def _width(p: Values, x: Values, xp: Any) -> Array:
    return bend_width(p, x, xp, from_loss=loss_precision(p, -p["exponent"] * x["flops"], xp))


class LossDriftingPowerLaw(ThroughLoss):
    """log(L − loss_E) = z(log C)/κ + constant, −log Q' = K·(L − loss_E)^κ.

    The drift is that of :class:`DriftingPowerLaw`: bends of the loss become bends of the
    accuracy, and both tell how large they are.
    """

    name = "loss_drifting_power_law"
    equation = (
        "log(L - loss_E) = z(log C) / kappa + constant, -z' an Ornstein-Uhlenbeck "
        "process of sd tau;  "
        "-log Q' = K (L - loss_E)^kappa"
    )
    source = "this project; drifting_power_law behind a loss with an irreducible part"
    direct = DIRECT
    loss_parameters = (LOSS_LEVEL, IRREDUCIBLE_SHARE, POWER, LOSS_SCATTER)
    parameters = (MEAN_EXPONENT, *loss_parameters, TAU, replace(DRIFT, width=_width))
    constants = (*DIRECT.constants, LOSS_E)


LAW = LossDriftingPowerLaw()
