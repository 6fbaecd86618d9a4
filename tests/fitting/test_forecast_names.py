"""Names given to a forecast: a slip of the keyboard is not a covariate."""

import pytest

from bayes_scaling import error_budget
from bayes_scaling.errors import ModelError

pytestmark = pytest.mark.slow


def test_a_name_that_the_law_does_not_read_is_refused(power_law_fit):
    for use in (power_law_fit.forecast, lambda **asked: error_budget(power_law_fit, **asked)):
        with pytest.raises(ModelError, match="does not read 'n_item'; did you mean 'n_items'"):
            use(flops=1e22, n_item=100)


def test_a_bare_number_is_refused_with_what_to_write(power_law_fit):
    with pytest.raises(ModelError, match=r"1e\+22 is not Budgets; name it, such as flops=1e\+22"):
        power_law_fit.forecast(1e22)


def test_budgets_hold_what_other_laws_read(power_law_fit):
    """The parts that every ladder has may be given to any law."""
    plain = power_law_fit.forecast(flops=1e22)
    more = power_law_fit.forecast(flops=1e22, tokens_per_param=20, k=4)
    assert abs(float(more["curve"].mean() - plain["curve"].mean())) < 1e-12
