"""Two stages: log loss linear in log compute, accuracy logistic in loss."""

from typing import Any

from bayes_scaling.laws.base import (
    CEILING_SHARE,
    STEEPNESS,
    Array,
    LogLinearLoss,
    Values,
    sigmoid_midpoint,
    sigmoid_of_loss,
)


class TwoStageLogistic(LogLinearLoss):
    """L = B·C^−b, Q = floor + (1 − floor)·ceiling·sigmoid(steepness·(midpoint − L))."""

    name = "two_stage_logistic"
    equation = "log L = log B - b log C;  Q' = ceiling sigmoid(steepness (midpoint - L))"
    source = "baseline of Krajewski et al. 2025 (arXiv:2512.08894); Grattafiori et al. 2024"
    parameters = (CEILING_SHARE, STEEPNESS, *LogLinearLoss.loss_parameters)

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q'; see :class:`ScalingLaw`."""
        return sigmoid_of_loss(p, x, xp)

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return log_B, the ceiling of Q' and the midpoint of the sigmoid, in nats."""
        return {
            "log_B": self.loss_constant(p, c, xp),
            "ceiling": xp.exp(-p["E"]),
            "midpoint": sigmoid_midpoint(p, c, xp),
        }


LAW = TwoStageLogistic()
