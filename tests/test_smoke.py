"""The main job from end to end, on embedded runs: what .ci/latest tries on new releases."""

import arviz as az
import matplotlib as mpl
import pytest

from bayes_scaling import Fit, compare, error_budget, fit_runs, load_dataset
from bayes_scaling.plots import plot_forecast

pytestmark = [pytest.mark.smoke, pytest.mark.slow]
mpl.use("agg")

LAWS = ("power_law", "drifting_power_law", "two_stage_logistic")


@pytest.fixture(scope="module")
def runs():
    return load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)


@pytest.fixture(scope="module")
def fits(runs):
    return {law: fit_runs(runs.below(6e21), law) for law in LAWS}


@pytest.mark.parametrize("law", LAWS)
def test_a_law_is_fitted_forecast_and_drawn(fits, runs, law, tmp_path):
    fit = fits[law]
    assert fit.sampler == "fast"
    assert fit.diagnostics.problems() == []
    forecast = fit.forecast_runs(runs.above(6e21))
    error = abs(forecast["score"].median(("chain", "draw")) - forecast["observed"]).mean()
    assert float(error) < 0.05
    assert float(error_budget(fit, flops=1e23)["share"].sum()) == pytest.approx(1)
    plot_forecast(fit, runs.above(6e21)).savefig(tmp_path / "forecast.png")
    assert Fit.load(fit.save(tmp_path / "fit.nc")).model == fit.model


def test_fits_are_compared_and_taken_by_arviz(fits):
    assert sum(compare(fits, refit=False).weights.values()) == pytest.approx(1)
    tree = fits["power_law"].to_arviz()
    assert az.loo(tree).n_data_points == 46
    assert "level" in az.summary(tree).index
