"""Stages that several laws through a loss share."""

from __future__ import annotations

from typing import Any

from bayes_scaling.laws._pieces import below_neg_log_q
from bayes_scaling.laws.base import (
    LOSS_LEVEL,
    LOSS_SCATTER,
    Array,
    Constant,
    Parameter,
    TwoStageLaw,
    Values,
)

LOSS_EXPONENT = Parameter(
    "loss_exponent", "exponent of the loss in compute, at the centroid", "", start=0.06
)


class LogLinearLoss(TwoStageLaw):
    """First stage of the published baselines: log L is linear in log C.

    The sampled parameters are the loss and its exponent at the centroid.
    """

    loss_parameters = (LOSS_LEVEL, LOSS_EXPONENT, LOSS_SCATTER)

    def log_loss(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return the log of the median loss; see :class:`TwoStageLaw`."""
        return xp.log(p["loss_level"]) - p["loss_exponent"] * x["flops"]

    def loss_constant(self, p: Values, c: Values, xp: Any) -> Array:
        """Return the log of the constant B of L = B·C^−loss_exponent."""
        return xp.log(p["loss_level"]) + p["loss_exponent"] * c["flops"]


LOG_B = Constant("log_B", "log of the constant B of L = B·C^−b", "log nats")
MIDPOINT = Constant("midpoint", "loss at which the sigmoid is half its ceiling", "nats")
NEG_LOG_CEILING = Parameter(
    "neg_log_ceiling",
    "−log of the ceiling of Q' that the sigmoid tends to at small loss",
    "nats",
    start=0.02,
    upper=below_neg_log_q,
    shown_as="ceiling",
)


def _sigmoid_width(p: Values, x: Values, xp: Any) -> Array:
    """Return a sigmoid's steepness per slope at the loss level; runs determine that slope."""
    return -1 / xp.expm1(p["neg_log_ceiling"] - p["neg_log_q"])


STEEPNESS = Parameter(
    "steepness", "steepness of the sigmoid in the loss", "1/nats", start=2.0, width=_sigmoid_width
)


def sigmoid_of_loss(p: Values, x: Values, xp: Any) -> Array:
    """Return ceiling·sigmoid(steepness·(midpoint − L)), which is e^−neg_log_q at the loss level."""
    odds = xp.expm1(p["neg_log_q"] - p["neg_log_ceiling"])
    return xp.exp(-p["neg_log_ceiling"]) / (1 + odds * xp.exp(p["steepness"] * x["loss"]))


def sigmoid_midpoint(p: Values, xp: Any) -> Array:
    """Return the loss at which the sigmoid is half its ceiling, in nats."""
    odds = xp.expm1(p["neg_log_q"] - p["neg_log_ceiling"])
    return p["loss_level"] - xp.log(odds) / p["steepness"]
