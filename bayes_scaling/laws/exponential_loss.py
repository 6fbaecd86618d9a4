"""Two stages: log loss linear in log compute, error exponential in loss."""

from typing import Any

from bayes_scaling.laws._stages import LOG_B, LogLinearLoss
from bayes_scaling.laws.base import Array, Constant, Parameter, Values


class ExponentialLoss(LogLinearLoss):
    """L = B·C^−b, error = ε − K·exp(−γ·L).

    ε is the error of a run that has learnt nothing, 1 − floor.
    """

    name = "exponential_loss"
    equation = "log L = log B - b log C;  1 - Q = epsilon - K exp(-gamma L)"
    source = "Gadre et al. 2024 (arXiv:2403.08540), eq. 5"
    parameters = (
        Parameter("gamma", "rate at which Q' grows as the loss falls", "1/nats", start=1.0),
        *LogLinearLoss.loss_parameters,
    )
    constants = (LOG_B, Constant("log_K", "log of K as a share of 1 − floor"))

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q', which the equation does not keep below 1."""
        return xp.exp(-p["neg_log_q"] - p["gamma"] * x["loss"])

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return log_B, and the log of K as a share of 1 − floor."""
        return {
            "log_B": self.loss_constant(p, c, xp),
            "log_K": -p["neg_log_q"] + p["gamma"] * p["loss_level"],
        }


LAW = ExponentialLoss()
