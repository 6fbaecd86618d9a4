"""A slope that returns to its mean, against closed forms of the Ornstein-Uhlenbeck process."""

import numpy as np
import pytest

from bayes_scaling.laws._reverting import RevertingSlope


def local_slopes(slope, x, step=1e-5):
    """Return what each standard normal number adds to the local slope at x."""
    both = [
        np.concatenate([slope.inside(v), beyond_of(slope, v, x)], axis=1) for v in (x, x + step)
    ]
    return (both[1] - both[0]) / step


def beyond_of(slope, x, most):
    """Return the steps beyond the range at x, as many as the largest of `most` needs."""
    whole = slope.above(np.append(x, np.max(most) + 1))
    return whole[:-1]


@pytest.mark.parametrize("length", [1.5, 2.3, 6.0])
def test_slopes_at_two_budgets_differ_as_those_of_the_process_do(length):
    slope = RevertingSlope(reach=4.0, length=length)
    # Over whole steps, so that their finite number is not seen; the straight line cancels.
    within = slope.spacing * (np.arange(20) + 0.5) / 20
    for first, second in ((-3.0, -1.0), (-2.0, 3.0), (1.0, 9.0), (6.0, 14.0)):
        x = np.concatenate([first + within, second + within])
        rows = local_slopes(slope, x)
        found = ((rows[:20, None] - rows[None, 20:]) ** 2).sum(-1).mean()
        apart = np.abs(x[:20, None] - x[None, 20:])
        expected = (2 * (1 - np.exp(-apart / length))).mean()
        assert found == pytest.approx(expected, rel=0.06), (first, second)


def test_far_from_the_runs_the_sd_of_the_curve_grows_with_the_root_of_distance():
    slope = RevertingSlope(reach=4.0, length=1.0)
    near, far = (slope.above(np.array([4.0 + d]))[0] for d in (100.0, 400.0))
    assert np.linalg.norm(far) / np.linalg.norm(near) == pytest.approx(2, rel=0.02)


def test_nothing_is_added_at_the_centre_and_no_straight_line_inside():
    slope = RevertingSlope(reach=3.0, length=2.3)
    x = np.linspace(-3, 3, 201)
    inside = slope.inside(x)
    assert slope.inside(np.zeros(1)) == pytest.approx(0)
    rise = np.polyfit(x, inside, 1)[0]
    assert rise == pytest.approx(0, abs=1e-8)


def test_steps_beyond_the_range_do_not_touch_it():
    slope = RevertingSlope(reach=3.0, length=2.3)
    assert slope.above(np.array([-2.0, 3.0, 5.0]))[:2] == pytest.approx(0)


def test_steps_below_the_range_mirror_those_above():
    slope = RevertingSlope(reach=3.0, length=2.3)
    x = np.array([-5.0, -3.5, 0.0])
    np.testing.assert_array_equal(slope.below(x), slope.above(-x))
    assert slope.below(np.array([-3.0, 2.0, 5.0])) == pytest.approx(0)
