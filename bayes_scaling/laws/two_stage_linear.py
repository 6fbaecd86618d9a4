"""Two stages: log loss linear in log compute, accuracy linear in loss."""

from typing import Any

from bayes_scaling.laws._stages import LOG_B, LogLinearLoss
from bayes_scaling.laws.base import Array, Constant, Parameter, Values

# Where the line reaches Q' = 0, the curve bends over about this much of Q'; a corner would make
# NUTS diverge. The curve exceeds the larger of line and 0 by at most 0.7 of this.
_CORNER = 0.01


class TwoStageLinear(LogLinearLoss):
    """L = B·C^−b, Q = a − s·L, and no less than chance."""

    name = "two_stage_linear"
    equation = "log L = log B - b log C;  Q = a - s L"
    source = "baseline of Krajewski et al. 2025 (arXiv:2512.08894)"
    parameters = (
        Parameter("loss_slope", "fall of Q' per nat of loss", "1/nats", start=0.3),
        *LogLinearLoss.loss_parameters,
    )
    constants = (LOG_B, Constant("intercept", "Q' at zero loss"))

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q', which a straight line does not keep below 1."""
        line = xp.exp(-p["neg_log_q"]) - p["loss_slope"] * x["loss"]
        return _CORNER * xp.logaddexp(0.0, line / _CORNER)

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return log_B, and Q' at zero loss."""
        return {
            "log_B": self.loss_constant(p, c, xp),
            "intercept": xp.exp(-p["neg_log_q"]) + p["loss_slope"] * p["loss_level"],
        }


LAW = TwoStageLinear()
