"""Scales on which the sampler moves: there and back, and their Jacobians, by finite differences."""

import numpy as np
import pytensor.tensor as pt
import pytest
import scipy.stats

from bayes_scaling.modelling.transforms import (
    AroundFit,
    InWidths,
    LogAroundFit,
    ProbitAroundFit,
    ProbitShare,
)

RNG = np.random.default_rng(3)
ROTATION = scipy.stats.ortho_group.rvs(3, size=2, random_state=RNG)
UNIT = RNG.uniform(0.5, 2, (2, 3))
CENTRE = RNG.normal(size=(2, 3))
SHARE = (ProbitShare(), (UNIT,))
CASES = {
    "around_fit": (AroundFit(pt.constant(ROTATION)), (CENTRE, UNIT)),
    "log_around_fit": (LogAroundFit(), (CENTRE, UNIT)),
    "probit_around_fit": (ProbitAroundFit(), ([0.02, 0.25, 0.7], [0.01, 0.05, 0.02])),
    "probit_around_fit_below_0": (ProbitAroundFit(), ([-0.02, 0.0, -0.001], [0.01, 0.02, 0.02])),
    "probit_share": SHARE,
    "in_widths": (InWidths(positive=False), (UNIT,)),
    "in_widths_positive": (InWidths(positive=True), (UNIT,)),
}


def evaluated(case, function, value):
    """Return what a function of a transform gives; a generator follows the inputs, as in PyMC."""
    transform, inputs = case
    given = [pt.constant(np.asarray(one)) for one in inputs]
    graph = getattr(transform, function)(pt.constant(value), *given, None)
    return np.asarray(graph.eval(mode="FAST_COMPILE"))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_forward_undoes_backward(case):
    moved = RNG.normal(0, 2, (2, 3))
    back = evaluated(case, "backward", moved)
    np.testing.assert_allclose(evaluated(case, "forward", back), moved, rtol=1e-8)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_jacobian_is_that_of_finite_differences(case):
    at, step = RNG.normal(size=6), 1e-6

    def moved(point):
        return evaluated(case, "backward", point.reshape(2, 3)).ravel()

    rises = [(moved(at + h) - moved(at - h)) / (2 * step) for h in step * np.eye(6)]
    expected = np.linalg.slogdet(rises)[1]
    found = evaluated(case, "log_jac_det", at.reshape(2, 3)).sum()
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_share_has_the_normal_quantile_as_its_coordinate():
    share = scipy.stats.norm.cdf([[-6.0, -2.0, 0.0], [1.0, 3.0, 6.0]])
    value = -UNIT * np.log1p(-share)
    expected = [[-6.0, -2.0, 0.0], [1.0, 3.0, 6.0]]
    np.testing.assert_allclose(evaluated(SHARE, "forward", value), expected, atol=1e-6)


def test_a_number_moves_by_about_one_width_round_its_centre():
    case = CASES["probit_around_fit"]
    centre, width = map(np.asarray, case[1])
    moved = [evaluated(case, "backward", np.full((2, 3), z)) for z in (-0.5, 0.5)]
    np.testing.assert_allclose(np.mean(moved, axis=0)[0][1:], centre[1:], rtol=0.03)
    np.testing.assert_allclose((moved[1] - moved[0])[0][1:], width[1:], rtol=0.03)
    assert (np.array(moved) > 0).all()


def test_a_share_stays_positive_and_finite_far_out():
    far = np.array([[-30.0, -9.0, -8.0], [8.0, 20.0, 30.0]])
    found = evaluated(SHARE, "backward", far)
    assert (found >= 0).all()
    assert np.isfinite(found).all()
