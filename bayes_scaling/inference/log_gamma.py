"""log Γ and its derivative ψ in one: they share a logarithm, and take most of a fit's time.

Models use PyTensor's own log Γ, which any sampler can read; compiled programs use this one
instead.
"""

from __future__ import annotations

import hashlib
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numba
import numpy as np
import scipy.special
from pytensor import scalar
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.elemwise import Elemwise

from bayes_scaling.inference._private_names import (
    DisconnectedType,
    GammaLn,
    ScalarOp,
    register_funcify_and_cache_key,
    tri_gamma,
)

# Stirling's series of log Γ at x above this is exact to 1e-15, with as many terms as below
# (NIST Digital Library of Mathematical Functions, 5.11.1 and 5.11.2).
_LARGE = 10.0
_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
_A6, _B6 = 691 / 360360, 691 / 32760  # last coefficients of both series


class LogGammaAndPsi(ScalarOp):
    """log Γ(x) and ψ(x) of a positive x; NaN for others."""

    nin, nout = 1, 2

    def output_types(self, types: Any) -> Any:
        """Return the types of both results: doubles, whatever the type of x."""
        return [scalar.float64, scalar.float64]

    def impl(self, x: Any) -> Any:
        """Evaluate one x without compiling."""
        return scipy.special.gammaln(x), scipy.special.psi(x)

    def pullback(self, inputs: Any, outputs: Any, grads: Any) -> Any:
        """Return the derivative; that of log Γ is the other result."""
        derivatives = outputs[1], tri_gamma(inputs[0])
        terms = [
            grad * derivative
            for grad, derivative in zip(grads, derivatives, strict=True)
            if not isinstance(grad.type, DisconnectedType)
        ]
        return [reduce(add, terms)]


@register_funcify_and_cache_key(LogGammaAndPsi)  # type: ignore[untyped-decorator]
def _compiled(op: Any, **_: Any) -> tuple[Any, str]:
    """Return what numba is to call, and the name under which its machine code may be kept."""
    return _log_gamma_and_psi, hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


@numba.njit
def _log_gamma_and_psi(x):  # type: ignore[no-untyped-def]
    if not x > 0:
        return np.nan, np.nan
    shift, slope = 1.0, 0.0
    while x < _LARGE:  # Γ(x + 1) = x Γ(x)
        shift *= x
        slope += 1 / x
        x += 1.0
    log, r = np.log(x), 1 / x
    s = r * r
    tail = r * (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s * (1 / 1188 - s * _A6)))))
    fall = s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * (1 / 132 - s * _B6)))))
    log_gamma = (x - 0.5) * log - x + _HALF_LOG_2PI + tail
    psi = log - r / 2 - fall
    return log_gamma - np.log(shift), psi - slope


_elementwise = Elemwise(LogGammaAndPsi())


def fast_log_gamma(x: Any) -> Any:
    """Return the graph of log Γ of positive numbers, with a gradient that costs almost nothing."""
    return _elementwise(x)[0]


def with_fast_log_gamma(graph: Any) -> Any:
    """Return a graph with PyTensor's log Γ replaced by the one here.

    Parameters
    ----------
    graph : tensor
        Before its gradient is taken. Arguments of log Γ should be positive.
    """
    replaced: dict[Any, Any] = {}
    for variable in ancestors([graph]):
        node = variable.owner
        if node is not None and isinstance(getattr(node.op, "scalar_op", None), GammaLn):
            replaced[variable] = variable.type.filter_variable(
                fast_log_gamma(*node.inputs).astype(variable.dtype)
            )
    return clone_replace([graph], replaced)[0] if replaced else graph
