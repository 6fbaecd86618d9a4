"""The direct law of pass@k in training compute and number of samples."""

from typing import Any

from bayes_scaling.laws.base import Array, Constant, Parameter, ScalingLaw, Values


class PassAtK(ScalingLaw):
    """log(−log Q(C, k)) = log A + α·log C + β·log k + δ·log C·log k.

    α and β are negative where more compute and more samples help. The two slopes are sampled
    at the centroid of log C and log k, where they are least correlated.
    """

    name = "pass_at_k"
    equation = "log(-log Q(C,k)) = log A + alpha log C + beta log k + delta log C log k"
    source = "Krajewski et al. 2025 (arXiv:2512.08894), eq. 5"
    inputs = ("flops", "k")
    parameters = (
        Parameter("compute_slope", "fall of log(−log Q) in log C at the mean log k", "", 0.15),
        Parameter("samples_slope", "fall of log(−log Q) in log k at the mean log C", "", 0.2),
        Parameter("delta", "interaction of log C and log k", "", start=0.0),
    )
    constants = (
        Constant("log_A", "log(−log Q) at one FLOP and one sample", "log nats"),
        Constant("alpha", "slope of log(−log Q) in log C at one sample"),
        Constant("beta", "slope of log(−log Q) in log k at one FLOP"),
    )

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q'; see :class:`ScalingLaw`."""
        rise = (
            -p["compute_slope"] * x["flops"]
            - p["samples_slope"] * x["k"]
            + p["delta"] * x["flops"] * x["k"]
        )
        return xp.exp(-p["neg_log_q"] * xp.exp(rise))

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return log_A, alpha and beta of the published equation (natural logarithms)."""
        log_A = (
            xp.log(p["neg_log_q"])
            + p["compute_slope"] * c["flops"]
            + p["samples_slope"] * c["k"]
            + p["delta"] * c["flops"] * c["k"]
        )
        return {
            "log_A": log_A,
            "alpha": -p["compute_slope"] - p["delta"] * c["k"],
            "beta": -p["samples_slope"] - p["delta"] * c["flops"],
        }


LAW = PassAtK()
