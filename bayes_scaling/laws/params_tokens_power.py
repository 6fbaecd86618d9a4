"""A power of the direct law in parameters and tokens: the form that a loss of two terms gives."""

from dataclasses import replace
from typing import Any

from bayes_scaling.laws._pieces import DirectLaw
from bayes_scaling.laws._routes import POWER
from bayes_scaling.laws.base import Array, Constant, Values
from bayes_scaling.laws.params_tokens import ALPHA, BETA, PARAMS_SHARE, amounts, relative

KAPPA = replace(POWER, meaning="power of the sum of both terms", width=None)
AMOUNTS = (
    Constant("A", "what one parameter leaves, to the power 1/kappa", "nats^(1/kappa) params^a"),
    Constant("B", "what one token leaves, to the power 1/kappa", "nats^(1/kappa) tokens^b"),
)


class ParamsTokensPower(DirectLaw):
    """−log Q' = (A·N^−a + B·D^−b)^κ, with a = alpha/κ and b = beta/κ.

    alpha and beta are the exponents of −log Q' where one of the terms is left, as in
    :class:`~bayes_scaling.laws.params_tokens.ParamsTokens`, which this is for κ = 1.
    """

    name = "params_tokens_power"
    equation = "-log Q' = (A N^-(alpha/kappa) + B D^-(beta/kappa))^kappa"
    source = "this project; Krajewski et al. 2025 (arXiv:2512.08894), eq. 4, to a power"
    inputs = ("params", "tokens")
    parameters = (PARAMS_SHARE, ALPHA, BETA, KAPPA)
    constants = AMOUNTS

    def log_reducible(self, p: Values, x: Values, xp: Any) -> Array:
        """Return the log of the sum of both terms, times κ; see :class:`DirectLaw`."""
        return p["kappa"] * xp.log(relative(_of_terms(p), x, xp))

    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return A and B."""
        return amounts(_of_terms(p), p["neg_log_q"] ** (1 / p["kappa"]), c, xp)


def _of_terms(p: Values) -> dict[str, Array]:
    """Return the parameters of the sum whose power the law is."""
    return dict(p) | {"alpha": p["alpha"] / p["kappa"], "beta": p["beta"] / p["kappa"]}


LAW = ParamsTokensPower()
