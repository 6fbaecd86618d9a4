"""Two stages: log loss linear in log compute, error exponential in loss."""

from typing import Any

from bayes_scaling.laws.base import Array, LogLinearLoss, Parameter, Values


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

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q', which the equation does not keep below 1."""
        return xp.exp(-p["level"] - p["gamma"] * x["loss"])

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return log_B, and the log of K as a share of 1 − floor."""
        return {
            "log_B": self.loss_constant(p, c, xp),
            "log_K": -p["level"] + p["gamma"] * c["loss"],
        }


LAW = ExponentialLoss()
