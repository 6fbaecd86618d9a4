"""A loss of two terms and an irreducible part, and −log accuracy as a power of what is above it."""

from dataclasses import replace
from typing import Any

from bayes_scaling.laws._routes import IRREDUCIBLE_SHARE, LOSS_E, ThroughLoss
from bayes_scaling.laws.base import LOSS_LEVEL, LOSS_SCATTER, Array, Values
from bayes_scaling.laws.params_tokens import ALPHA, BETA, PARAMS_SHARE
from bayes_scaling.laws.params_tokens_power import KAPPA
from bayes_scaling.laws.params_tokens_power import LAW as DIRECT


def _width(p: Values, x: Values, xp: Any) -> Array:
    """Return the power that makes log L fall as fast as log(−log Q'), up to a constant."""
    return 1 - p["irreducible_share"]


class LossParamsTokensPower(ThroughLoss):
    """L = loss_E + A·N^−a + B·D^−b, −log Q' = K·(L − loss_E)^κ."""

    name = "loss_params_tokens_power"
    equation = "L = loss_E + A N^-a + B D^-b;  -log Q' = K (L - loss_E)^kappa"
    source = "this project; the loss of Hoffmann et al. 2022 (arXiv:2203.15556), eq. 10"
    inputs = DIRECT.inputs
    direct = DIRECT
    loss_parameters = (
        LOSS_LEVEL,
        IRREDUCIBLE_SHARE,
        replace(KAPPA, width=_width),
        LOSS_SCATTER,
    )
    parameters = (PARAMS_SHARE, ALPHA, BETA, *loss_parameters)
    constants = (*DIRECT.constants, LOSS_E)


LAW = LossParamsTokensPower()
