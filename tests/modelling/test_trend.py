"""The trend in a loss: its density, its coefficients, and what it refuses."""

import numpy as np
import pytest
import xarray as xr
from pymc_extras.prior import Prior
from scipy.stats import multivariate_normal
from trends import CURVES, N_ITEMS, task

from bayes_scaling.errors import ModelError
from bayes_scaling.laws._trend import LossScale, bend_basis
from bayes_scaling.modelling.trend_model import TrendModel, _local_mean
from bayes_scaling.runs import Runs


@pytest.fixture(scope="module")
def bound():
    runs = task(CURVES["predictable"], np.random.default_rng(1), n=9, apart=0.05)
    return TrendModel().on(runs, "loss_web")


def moments(bound, p):
    """Return design, sd of noise, and prior mean of the scores, written a second time."""
    seen = bound.observations
    u = np.exp(-seen["loss"].to_numpy())
    u = 2 * (u - u.min()) / np.ptp(u) - 1
    design = [np.full(u.size, 0.3), 0.3 * u / 2, *(p["bend"] * bend_basis(u)).T]
    for mixture in ("a", "b"):
        design.append(p["offset_sd"] * (seen["mixture"].to_numpy() == mixture))
    q = _local_mean(u, seen["score"].to_numpy())
    room = q * (1 - q) + 1e-3
    variance = room * (p["binomial_share"] / N_ITEMS + 4 * p["scatter"] ** 2) + 5e-4**2
    return np.array(design).T, variance, np.full(u.size, 0.5)


HYPER = {"scatter": 0.01, "binomial_share": 0.6, "bend": 0.07, "offset_sd": 0.03}


def test_the_density_is_that_of_a_dense_normal_of_all_scores(bound):
    values = [HYPER, HYPER | {"bend": 0.3, "scatter": 0.05}, HYPER | {"offset_sd": 0.001}]
    found, expected = [], []
    score = bound.observations["score"].to_numpy()
    density = bound.pymc.compile_fn(bound.pymc.potentials[0], inputs=bound.pymc.free_RVs)
    for p in values:
        found.append(float(density({rv.name: p[rv.name] for rv in bound.pymc.free_RVs})))
        design, variance, mean = moments(bound, p)
        covariance = design @ design.T + np.diag(variance)
        expected.append(multivariate_normal.logpdf(score, mean, covariance))
    # Up to a constant, which no posterior sees.
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-8)


def test_coefficients_are_drawn_from_their_conditional_posterior(bound):
    """Mean and sd of the curve are those of the Gaussian process, in closed form."""
    n = 4000
    posterior = xr.Dataset(
        {name: (("chain", "draw"), np.full((1, n), value)) for name, value in HYPER.items()}
    ).assign_coords(chain=[0], draw=np.arange(n))
    drawn = bound.coefficients(posterior, np.random.default_rng(2))
    u = np.array([-0.9, 0.1, 0.8])
    curve = bound.curve(drawn, xr.DataArray(u, dims="place")).transpose(..., "place").to_numpy()[0]
    design, variance, mean = moments(bound, HYPER)
    at = np.array([np.full(3, 0.3), 0.3 * u / 2, *(HYPER["bend"] * bend_basis(u)).T]).T
    inverse = np.linalg.inv(design @ design.T + np.diag(variance))
    cross = at @ design[:, : at.shape[1]].T
    residual = bound.observations["score"].to_numpy() - mean
    expected = 0.5 + cross @ inverse @ residual
    sd = np.sqrt(np.diag(at @ at.T - cross @ inverse @ cross.T))
    np.testing.assert_allclose(curve.mean(axis=0), expected, atol=5 * sd.max() / np.sqrt(n))
    np.testing.assert_allclose(curve.std(axis=0), sd, rtol=0.06)


def test_places_are_even_in_the_exponential_of_the_loss():
    scale = LossScale.of(np.array([4.0, 3.0, 2.0]))
    assert scale.places(np.array([4.0, 2.0])) == pytest.approx([-1, 1])
    np.testing.assert_allclose(scale.losses(scale.places(np.array([3.3, 2.2]))), [3.3, 2.2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.head(4), "a trend needs at least 5 runs; there are 4"),
        (lambda t: t.assign(score=0.25), "every score is 0.25"),
        (lambda t: t.assign(loss_web=3.0), "every loss_web is 3"),
        (lambda t: t.assign(loss_web=t["loss_web"].where(t["run"] != "a-1")), "missing"),
    ],
)
def test_what_says_nothing_is_refused(change, message):
    table = task(CURVES["predictable"], np.random.default_rng(1), n=9).table
    with pytest.raises(ModelError, match=message):
        TrendModel().on(Runs.from_frame(change(table)), "loss_web")


def test_an_unknown_loss_and_a_prior_that_is_not_normal_are_refused():
    runs = task(CURVES["predictable"], np.random.default_rng(1), n=9)
    with pytest.raises(ModelError, match="no loss column 'loss_wbe'; there are"):
        TrendModel().on(runs, "loss_wbe")
    with pytest.raises(ModelError, match="prior of 'rise': a trend takes a Normal"):
        TrendModel({"rise": Prior("HalfNormal", sigma=1)})
    with pytest.raises(ModelError, match="a trend has no parameter slope"):
        TrendModel({"slope": Prior("Normal", mu=0, sigma=1)})
