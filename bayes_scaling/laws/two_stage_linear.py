"""Two stages: log loss linear in log compute, accuracy linear in loss."""

from typing import Any

from bayes_scaling.laws.base import Array, LogLinearLoss, Parameter, Values


class TwoStageLinear(LogLinearLoss):
    """L = B·C^−b, Q = a − s·L."""

    name = "two_stage_linear"
    equation = "log L = log B - b log C;  Q = a - s L"
    source = "baseline of Krajewski et al. 2025 (arXiv:2512.08894)"
    parameters = (
        Parameter("loss_slope", "fall of Q' per nat of loss", "1/nats", start=0.3),
        *LogLinearLoss.loss_parameters,
    )

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q', which a straight line does not keep within (0, 1)."""
        return xp.exp(-p["level"]) - p["loss_slope"] * x["loss"]

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return log_B, and Q' at zero loss."""
        return {
            "log_B": self.loss_constant(p, c, xp),
            "intercept": xp.exp(-p["level"]) + p["loss_slope"] * c["loss"],
        }


LAW = TwoStageLinear()
