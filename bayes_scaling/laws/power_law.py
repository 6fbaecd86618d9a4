"""The direct power law of −log accuracy in training compute."""

from typing import Any

from bayes_scaling.laws._pieces import EXPONENT, DirectLaw
from bayes_scaling.laws.base import Array, Constant, Values


class PowerLaw(DirectLaw):
    """−log Q' = A·C^−α: one straight line in log(−log Q') against log C."""

    name = "power_law"
    equation = "-log Q' = A C^-alpha"
    source = "Krajewski et al. 2025 (arXiv:2512.08894), eq. 2"
    parameters = (EXPONENT,)
    constants = (
        Constant("A", "−log Q' at one FLOP", "nats FLOPs^alpha"),
        Constant("alpha", "exponent of the law"),
    )

    def log_reducible(self, p: Values, x: Values, xp: Any) -> Array:
        """Return the straight line; see :class:`DirectLaw`."""
        return -p["exponent"] * x["flops"]

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return A, in FLOPs^alpha, and alpha."""
        return {"A": p["neg_log_q"] * xp.exp(p["exponent"] * c["flops"]), "alpha": p["exponent"]}


LAW = PowerLaw()
