"""Two stages: task loss from parameters and tokens, accuracy a sigmoid of it."""

from typing import Any

from bayes_scaling.laws._pieces import CEILING
from bayes_scaling.laws._stages import (
    MIDPOINT,
    NEG_LOG_CEILING,
    STEEPNESS,
    sigmoid_midpoint,
    sigmoid_of_loss,
)
from bayes_scaling.laws.base import (
    LOSS_LEVEL,
    LOSS_SCATTER,
    Array,
    Constant,
    Parameter,
    TwoStageLaw,
    Values,
)


def _below_loss(p: Values, xp: Any) -> Array:
    return p["loss_level"]


class TwoStageTaskLoss(TwoStageLaw):
    """L = A·N^−α + B·D^−β + loss_E, Q = floor + (1 − floor)·ceiling·sigmoid(k·(midpoint − L)).

    L is the benchmark's own loss (bits per byte or nats of the right answer). The first stage is
    sampled by the loss at the centroid, its irreducible part, the share of the rest due to
    parameters, and the two exponents.
    """

    name = "two_stage_task_loss"
    equation = "L = A N^-alpha + B D^-beta + loss_E;  Q' = ceiling sigmoid(k (midpoint - L))"
    source = "Bhagia et al. 2024 (arXiv:2412.04403), eqs. 1 and 2"
    inputs = ("params", "tokens")
    loss_parameters = (
        LOSS_LEVEL,
        Parameter("loss_E", "irreducible loss", "nats", start=0.2, upper=_below_loss),
        Parameter("params_share", "share of the reducible loss due to parameters", "", start=0.5),
        Parameter("alpha", "exponent of parameters", "", start=0.3),
        Parameter("beta", "exponent of training tokens", "", start=0.3),
        LOSS_SCATTER,
    )
    parameters = (NEG_LOG_CEILING, STEEPNESS, *loss_parameters)
    constants = (
        Constant("log_A", "log of the loss left by one parameter", "log nats"),
        Constant("log_B", "log of the loss left by one token", "log nats"),
        CEILING,
        MIDPOINT,
    )
    ceiling = CEILING.name

    def log_loss(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return the log of the median loss; see :class:`TwoStageLaw`."""
        from_params = p["params_share"] * xp.exp(-p["alpha"] * x["params"])
        from_tokens = (1 - p["params_share"]) * xp.exp(-p["beta"] * x["tokens"])
        return xp.log(p["loss_E"] + (p["loss_level"] - p["loss_E"]) * (from_params + from_tokens))

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q'; see :class:`ScalingLaw`."""
        return sigmoid_of_loss(p, x, xp)

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return log_A, log_B, the ceiling of Q' and the midpoint of the sigmoid."""
        log_reducible = xp.log(p["loss_level"] - p["loss_E"])
        return {
            "log_A": log_reducible + xp.log(p["params_share"]) + p["alpha"] * c["params"],
            "log_B": log_reducible + xp.log1p(-p["params_share"]) + p["beta"] * c["tokens"],
            "ceiling": xp.exp(-p["neg_log_ceiling"]),
            "midpoint": sigmoid_midpoint(p, xp),
        }


LAW = TwoStageTaskLoss()
