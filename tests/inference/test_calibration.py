"""A small run of benchmarks/calibration.py: right models pass, a grossly wrong one does not."""

import calibration
import numpy as np
import pytest
import xarray as xr
from pymc_extras.prior import Prior

from bayes_scaling import load_model

SIMULATIONS, FEW = 32, 20
LEAST_P = 1e-4  # of the smallest p-value over the quantities of one model


@pytest.fixture(autouse=True)
def short_warm_up(monkeypatch):
    # Fewer draws would take longer: more fits would be sampled again.
    monkeypatch.setitem(calibration.SETTINGS, "tune", 300)


def p_by_quantity(name, simulations, wrong=lambda model: model):
    bound = calibration.ladder(load_model(name), "short")
    results = calibration.FitSBC(bound, wrong(bound.model), simulations, seed=2018).run()
    assert np.mean([one.problem == "" for one in results]) >= 0.9
    return calibration.p_values([one.pits for one in results])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["power_law", "two_stage_linear"])
def test_a_model_is_calibrated(name):
    p = p_by_quantity(name, SIMULATIONS)
    assert p.min() > LEAST_P, p.to_string()


@pytest.mark.slow
def test_a_grossly_wrong_model_is_caught():
    def with_a_fifth_of_the_scatter(model):
        mu, sigma = (model.priors["scatter"].parameters[k] for k in ("mu", "sigma"))
        return model.with_priors(scatter=Prior("LogNormal", mu=mu + np.log(0.2), sigma=sigma / 4))

    p = p_by_quantity("power_law", FEW, with_a_fifth_of_the_scatter)
    assert p["scatter"] < LEAST_P, p.to_string()


# ---- the parts -----------------------------------------------------------------------------------


def test_ties_are_ordered_at_random():
    """Curves clipped at 1 tie with the truth; the PIT stays uniform."""
    rng = np.random.default_rng(0)
    draws = xr.Dataset({"curve": ("sample", np.ones(9))})
    pits = [calibration._pit(draws, draws.isel(sample=0), "curve", rng) for _ in range(400)]
    assert calibration.p_values([{"curve": pit} for pit in pits])["curve"] > 0.01


def test_a_run_goes_on_where_it_stopped(tmp_path):
    """Results are read from the CSV as they were written, and only those of one block."""
    out, key = tmp_path / "calibration.csv", ("power_law", "short", "")
    calibration._append(out, calibration.COLUMNS)
    result = calibration.Result({"level": 0.25, "curve": float("nan")}, "not fitted: a, b", 0.5)
    for number in (1, 0, calibration.BLOCK):
        calibration._append(out, [*key, number, *calibration._as_cells(result)])
    found = calibration._finished(out, key, 0)
    assert len(found) == 2
    assert found[0].problem == result.problem
    np.testing.assert_equal(dict(found[0].pits), dict(result.pits))


def test_ladders_stay_below_the_cut_off():
    for name in calibration.available_models():
        table = calibration.ladder(load_model(name), "short").runs.table
        assert table["flops"].max() <= calibration.PUBLISHED_CUTOFF
        assert table["run"].nunique() >= calibration.LADDERS["short"], name
