"""A loss with an irreducible part, and accuracy logistic in it."""

from typing import Any

from bayes_scaling.laws._pieces import CEILING
from bayes_scaling.laws._routes import IRREDUCIBLE_SHARE, LOSS_E, log_loss_above
from bayes_scaling.laws._stages import (
    LOSS_EXPONENT,
    MIDPOINT,
    NEG_LOG_CEILING,
    STEEPNESS,
    sigmoid_midpoint,
    sigmoid_of_loss,
)
from bayes_scaling.laws.base import LOSS_LEVEL, LOSS_SCATTER, Array, TwoStageLaw, Values


class LossLogistic(TwoStageLaw):
    """L = loss_E + R·C^−a, Q = floor + (1 − floor)·ceiling·sigmoid(steepness·(midpoint − L)).

    :class:`~bayes_scaling.laws.two_stage_logistic.TwoStageLogistic` with an irreducible loss.
    The sampled exponent is that of the whole loss at the centroid: a = loss_exponent divided by
    the reducible share of the loss there.
    """

    name = "loss_logistic"
    equation = "L = loss_E + R C^-a;  Q' = ceiling sigmoid(steepness (midpoint - L))"
    source = "this project; two_stage_logistic behind the loss of Hoffmann et al. 2022, eq. 10"
    loss_parameters = (LOSS_LEVEL, IRREDUCIBLE_SHARE, LOSS_EXPONENT, LOSS_SCATTER)
    parameters = (NEG_LOG_CEILING, STEEPNESS, *loss_parameters)
    constants = (LOSS_E, CEILING, MIDPOINT)
    ceiling = CEILING.name

    def log_loss(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return the log of the median loss; see :class:`TwoStageLaw`."""
        exponent = p["loss_exponent"] / (1 - p["irreducible_share"])
        return log_loss_above(p, -exponent * x["flops"], xp)

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q'; see :class:`ScalingLaw`."""
        return sigmoid_of_loss(p, x, xp)

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return the irreducible loss, the ceiling of Q' and the midpoint of the sigmoid."""
        return {
            "loss_E": p["loss_level"] * p["irreducible_share"],
            "ceiling": xp.exp(-p["neg_log_ceiling"]),
            "midpoint": sigmoid_midpoint(p, xp),
        }


LAW = LossLogistic()
