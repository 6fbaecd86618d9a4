"""The direct law in parameters and tokens with ceiling and drift, through a loss of its shape."""

from dataclasses import replace
from typing import Any

from bayes_scaling.laws._pieces import IRREDUCIBLE
from bayes_scaling.laws._routes import (
    IRREDUCIBLE_SHARE,
    LOSS_E,
    POWER,
    ThroughLoss,
    loss_precision,
)
from bayes_scaling.laws.base import LOSS_LEVEL, LOSS_SCATTER, Array, Values
from bayes_scaling.laws.drifting_params_tokens import LAW as DIRECT
from bayes_scaling.laws.drifting_params_tokens import alpha_width, beta_width
from bayes_scaling.laws.drifting_power_law import DRIFT, TAU, bend_width
from bayes_scaling.laws.params_tokens import ALPHA, BETA, PARAMS_SHARE, relative


def _width(p: Values, x: Values, xp: Any) -> Array:
    above = (p["neg_log_q"] - p["E"]) * relative(p, x, xp)
    from_loss = loss_precision(p, xp.log(relative(p, x, xp)), xp)
    return bend_width(p, x, xp, above / (above + p["E"]), from_loss)


def _power_width(p: Values, x: Values, xp: Any) -> Array:
    """Return the power that makes log L fall as fast as log(−log Q')."""
    return (1 - p["irreducible_share"]) * p["neg_log_q"] / (p["neg_log_q"] - p["E"])


class LossDriftingParamsTokens(ThroughLoss):
    """(L − loss_E)^κ ∝ (A·N^−α + B·D^−β)·e^−w(log C), −log Q' = K·(L − loss_E)^κ + E.

    Without drift the loss has the form of Kaplan et al. 2020 with an irreducible part.
    """

    name = "loss_drifting_params_tokens"
    equation = (
        "K (L - loss_E)^kappa = (A N^-alpha + B D^-beta) e^-w(log C), w' an Ornstein-Uhlenbeck "
        "process of sd tau;  -log Q' = K (L - loss_E)^kappa + E"
    )
    source = (
        "this project; Kaplan et al. 2020 (arXiv:2001.08361), eq. 1.5, with an irreducible part"
    )
    inputs = DIRECT.inputs
    direct = DIRECT
    loss_parameters = (
        LOSS_LEVEL,
        IRREDUCIBLE_SHARE,
        replace(POWER, width=_power_width),
        LOSS_SCATTER,
    )
    parameters = (
        PARAMS_SHARE,
        IRREDUCIBLE,
        replace(ALPHA, width=alpha_width),
        replace(BETA, width=beta_width),
        *loss_parameters,
        TAU,
        replace(DRIFT, width=_width),
    )
    constants = (*DIRECT.constants, LOSS_E)
    ceiling = DIRECT.ceiling


LAW = LossDriftingParamsTokens()
