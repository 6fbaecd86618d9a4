"""The direct law in parameters and tokens, for ladders whose ratio of the two varies."""

from typing import Any

from bayes_scaling.laws._pieces import DirectLaw
from bayes_scaling.laws.base import Array, Constant, Parameter, Values

PARAMS_SHARE = Parameter(
    "params_share", "share of −log Q' at the centroid due to parameters", "", start=0.5
)
ALPHA = Parameter("alpha", "exponent of parameters", "", start=0.3)
BETA = Parameter("beta", "exponent of training tokens", "", start=0.3)

AMOUNTS = (
    Constant("A", "−log Q' left by one parameter", "nats params^alpha"),
    Constant("B", "−log Q' left by one token", "nats tokens^beta"),
)


def relative(p: Values, x: Values, xp: Any) -> Array:
    """Return the sum of both terms at x divided by that at the centroid."""
    from_params = p["params_share"] * xp.exp(-p["alpha"] * x["params"])
    return from_params + (1 - p["params_share"]) * xp.exp(-p["beta"] * x["tokens"])


def amounts(p: Values, whole: Array, c: Values, xp: Any) -> dict[str, Array]:
    """Return A, in parameters^alpha, and B, in tokens^beta, of terms that add up to `whole`."""
    return {
        "A": whole * p["params_share"] * xp.exp(p["alpha"] * c["params"]),
        "B": whole * (1 - p["params_share"]) * xp.exp(p["beta"] * c["tokens"]),
    }


class ParamsTokens(DirectLaw):
    """−log Q' = A·N^−α + B·D^−β.

    The sampled parameters are the share of −log Q' at the centroid that is due to parameters,
    and the two exponents. Where tokens per parameter hardly vary, the data cannot tell the two
    terms apart, and the prior decides their split.
    """

    name = "params_tokens"
    equation = "-log Q' = A N^-alpha + B D^-beta"
    source = "Krajewski et al. 2025 (arXiv:2512.08894), eq. 4"
    inputs = ("params", "tokens")
    parameters = (PARAMS_SHARE, ALPHA, BETA)
    constants = AMOUNTS

    def log_reducible(self, p: Values, x: Values, xp: Any) -> Array:
        """Return the log of the sum of both terms; see :class:`DirectLaw`."""
        return xp.log(relative(p, x, xp))

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return A, in parameters^alpha, and B, in tokens^beta."""
        return amounts(p, p["neg_log_q"], c, xp)


LAW = ParamsTokens()
