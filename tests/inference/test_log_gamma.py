"""log Γ with its derivative, against SciPy, from where scores are certain to where they vanish."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.special

from bayes_scaling.inference.log_gamma import LogGammaAndPsi, fast_log_gamma

X = np.concatenate([10.0 ** np.linspace(-12, 9, 400), [0.5, 1, 1.4616321449683622, 2, 9.999, 10]])


@pytest.fixture(scope="module", params=["NUMBA", "FAST_COMPILE"])
def functions(request):
    """Return log Γ, its first and its second derivative."""
    x = pt.dvector("x")
    value = fast_log_gamma(x)
    slope = pt.grad(value.sum(), x)
    curvature = pt.grad(slope.sum(), x)
    return pytensor.function([x], [value, slope, curvature], mode=request.param)


def test_value_and_derivatives_are_those_of_scipy(functions):
    value, slope, curvature = functions(X)
    # Relative to the largest term of the sum, which log Γ near its zeros 1 and 2 is not.
    scale = np.maximum(np.abs(scipy.special.gammaln(X)), 10)
    np.testing.assert_array_less(np.abs(value - scipy.special.gammaln(X)) / scale, 4e-15)
    scale = np.maximum(np.abs(scipy.special.psi(X)), 3)
    np.testing.assert_array_less(np.abs(slope - scipy.special.psi(X)) / scale, 4e-15)
    np.testing.assert_allclose(curvature, scipy.special.polygamma(1, X), rtol=1e-6)


def test_compiled_code_has_no_log_gamma_of_what_is_not_positive():
    x = pt.dvector("x")
    value = pytensor.function([x], fast_log_gamma(x), mode="NUMBA")
    # At once, too: the recurrence would take 1e9 steps from −1e9.
    assert np.isnan(value(np.array([0.0, -0.5, -1e9, np.nan]))).all()


def test_both_come_from_one_evaluation():
    x = pt.dvector("x")
    value = fast_log_gamma(x)
    made = pytensor.function([x], [value, pt.grad(value.sum(), x)], mode="NUMBA")
    nodes = made.maker.fgraph.apply_nodes
    inner = [op for node in nodes for op in [getattr(node.op, "scalar_op", None)]]
    assert sum(isinstance(op, LogGammaAndPsi) for op in inner) == 1
