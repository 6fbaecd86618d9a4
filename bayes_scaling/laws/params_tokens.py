"""The direct law in parameters and tokens, for ladders whose ratio of the two varies."""

from typing import Any

from bayes_scaling.laws.base import Array, Parameter, ScalingLaw, Values


class ParamsTokens(ScalingLaw):
    """−log Q' = A·N^−α + B·D^−β.

    Sampled by the share of −log Q' at the centroid that is due to parameters, and the two
    exponents. Where tokens per parameter hardly vary, the data cannot tell the two terms apart
    and their split is the prior's.
    """

    name = "params_tokens"
    equation = "-log Q' = A N^-alpha + B D^-beta"
    source = "Krajewski et al. 2025 (arXiv:2512.08894), eq. 4"
    inputs = ("params", "tokens")
    parameters = (
        Parameter("params_share", "share of −log Q' at the centroid due to parameters", "", 0.5),
        Parameter("alpha", "exponent of parameters", "", start=0.3),
        Parameter("beta", "exponent of training tokens", "", start=0.3),
    )

    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q'; see :class:`ScalingLaw`."""
        from_params = p["params_share"] * xp.exp(-p["alpha"] * x["params"])
        from_tokens = (1 - p["params_share"]) * xp.exp(-p["beta"] * x["tokens"])
        return xp.exp(-p["level"] * (from_params + from_tokens))

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return A, in parameters^alpha, and B, in tokens^beta."""
        return {
            "A": p["level"] * p["params_share"] * xp.exp(p["alpha"] * c["params"]),
            "B": p["level"] * (1 - p["params_share"]) * xp.exp(p["beta"] * c["tokens"]),
        }


LAW = ParamsTokens()
