"""The smoothly broken power law with one break (BNSL) on −log accuracy."""

from typing import Any

from bayes_scaling.laws._pieces import CEILING, EXPONENT, IRREDUCIBLE
from bayes_scaling.laws.base import Array, Constant, Parameter, ScalingLaw, Values


class BrokenPowerLaw(ScalingLaw):
    """−log Q' = a + b·C^−c0·(1 + (C/d1)^(1/f1))^(−c1·f1).

    The sampled parameters are the local exponent at the centroid, its change over the fitted
    range, the place of the break within that range and its width f1 in log C, and E. The
    published constant a, the limit at infinite compute, is E. A break and E both bend the curve,
    and runs show only their sum. So that sum is sampled, and c1 is the part that E does not
    explain.
    """

    name = "broken_power_law"
    equation = "-log Q' = a + b C^-c0 (1 + (C/d1)^(1/f1))^(-c1 f1)"
    source = "Krajewski et al. 2025 (arXiv:2512.08894), eq. 1; Caballero et al. 2023"
    parameters = (
        EXPONENT,
        Parameter(
            "exponent_change",
            "change of the local exponent over the fitted range, by break and E together",
            "",
            start=0.0,
        ),
        Parameter(
            "break_position",
            "place of the break: 0 the centroid of the fitted runs, 1 the farthest of them",
            "reaches of log C",
            start=0.0,
        ),
        Parameter("break_width", "width f1 of the break", "log FLOPs", start=0.7),
        IRREDUCIBLE,
    )
    constants = (
        Constant("log_b", "log of b, the reducible part of −log Q' at one FLOP", "log nats"),
        Constant("c0", "exponent before the break"),
        Constant("c1", "change of the exponent over the break"),
        Constant("log_d1", "log C of the break", "log FLOPs"),
        CEILING,
    )
    ceiling = CEILING.name

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q'; see :class:`ScalingLaw`."""
        bend = _bend(x["flops"], p, c, xp) - _bend(0.0, p, c, xp)
        bend = bend - _bend_slope(p, c, xp) * x["flops"]
        fall = -_local_alpha(p) * x["flops"] - _c1(p, c, xp) * bend
        return xp.exp(-((p["neg_log_q"] - p["E"]) * xp.exp(fall) + p["E"]))

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return log_b, c0, c1, log_d1 and the ceiling of Q'.

        `log_b` and `log_d1` are natural logarithms: b itself overflows where c0 is large.
        """
        log_d1 = c["flops"] + p["break_position"] * c["reach"]
        c1 = _c1(p, c, xp)
        mean_exponent = _local_alpha(p) - c1 * _bend_slope(p, c, xp)
        return {
            "log_b": xp.log(p["neg_log_q"] - p["E"])
            + mean_exponent * c["flops"]
            + c1 * (_bend(0.0, p, c, xp) - log_d1 / 2),
            "c0": mean_exponent - c1 / 2,
            "c1": c1,
            "log_d1": log_d1,
            "ceiling": xp.exp(-p["E"]),
        }


def _bend(x: Array, p: Values, c: Values, xp: Any) -> Array:
    """Return the even bend f·log(2 cosh((x − d)/2f)): slope −1/2 before the break, 1/2 after."""
    u = (x - p["break_position"] * c["reach"]) / p["break_width"]
    return p["break_width"] * xp.logaddexp(u / 2, -u / 2)


def _bend_slope(p: Values, c: Values, xp: Any) -> Array:
    """Return the slope of the bend at the centroid, which the local exponent already holds."""
    return -xp.tanh(p["break_position"] * c["reach"] / (2 * p["break_width"])) / 2


def _local_alpha(p: Values) -> Array:
    """Return the exponent of the reducible part at the centroid."""
    return p["exponent"] * p["neg_log_q"] / (p["neg_log_q"] - p["E"])


def _c1(p: Values, c: Values, xp: Any) -> Array:
    """Return the change of the exponent over the break: the whole change minus that by E."""
    alpha, reducible = _local_alpha(p), p["neg_log_q"] - p["E"]

    def share(x: Array) -> Array:
        return 1 / (1 + p["E"] / (reducible * xp.exp(-alpha * x)))

    by_ceiling = alpha * (share(c["reach"]) - share(-c["reach"]))
    return p["exponent_change"] - by_ceiling


LAW = BrokenPowerLaw()
