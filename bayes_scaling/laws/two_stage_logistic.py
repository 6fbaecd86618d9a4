"""Two stages: log loss linear in log compute, accuracy logistic in loss."""

from typing import Any

from bayes_scaling.laws._pieces import CEILING
from bayes_scaling.laws._stages import (
    LOG_B,
    MIDPOINT,
    NEG_LOG_CEILING,
    STEEPNESS,
    LogLinearLoss,
    sigmoid_midpoint,
    sigmoid_of_loss,
)
from bayes_scaling.laws.base import Array, Values


class TwoStageLogistic(LogLinearLoss):
    """L = B·C^−b, Q = floor + (1 − floor)·ceiling·sigmoid(steepness·(midpoint − L))."""

    name = "two_stage_logistic"
    equation = "log L = log B - b log C;  Q' = ceiling sigmoid(steepness (midpoint - L))"
    source = "baseline of Krajewski et al. 2025 (arXiv:2512.08894); Grattafiori et al. 2024"
    parameters = (NEG_LOG_CEILING, STEEPNESS, *LogLinearLoss.loss_parameters)
    constants = (LOG_B, CEILING, MIDPOINT)
    ceiling = CEILING.name

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q'; see :class:`ScalingLaw`."""
        return sigmoid_of_loss(p, x, xp)

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return log_B, the ceiling of Q' and the midpoint of the sigmoid, in nats."""
        return {
            "log_B": self.loss_constant(p, c, xp),
            "ceiling": xp.exp(-p["neg_log_ceiling"]),
            "midpoint": sigmoid_midpoint(p, xp),
        }


LAW = TwoStageLogistic()
