"""Chains that jump between modes: right whatever their mixture is, and told of as they are."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pymc as pm
import pytest
import scipy.stats
import xarray as xr
from hills import Hills

from bayes_scaling.inference import fast, mixture
from bayes_scaling.inference.attempts import Attempt, Wanted
from bayes_scaling.inference.diagnostics import diagnose
from bayes_scaling.inference.jumps import Mixture, run_jumps
from bayes_scaling.inference.laplace import Laplace
from bayes_scaling.inference.modes import search_modes
from bayes_scaling.inference.record import Record
from bayes_scaling.inference.samplers import sample


def attempt_of(bound, points, diverging=False):
    """Return an attempt that had these draws (chain, draw, size)."""
    posterior = bound.constrain(points)
    flags = np.full(points.shape[:2], diverging)
    stats = xr.Dataset({"diverging": (("chain", "draw"), flags)})
    return Attempt(points, posterior, stats, diagnose(posterior, stats), {"modes": [1, 2]})


def drawn_from(target, shares, seed=0):
    """Return draws (4, 1000, size) of the hills in other shares than theirs."""
    rng = np.random.default_rng(seed)
    which = rng.choice(2, (4, 1000), p=shares)[..., None]
    centres, scales = np.array(target.centres)[which[..., 0]], np.array(target.scales)[which]
    return centres + scales * rng.standard_normal((4, 1000, target.size))


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 12])
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1)])
def test_weights_are_right_from_draws_in_wrong_proportion(size, shares):
    target = Hills(size)
    bound = fast.prepare(target)
    earlier = attempt_of(bound, drawn_from(target, shares))
    found = run_jumps(bound, search_modes(bound, 0), earlier, Wanted(1000, 0, 4, None, 1, False))
    assert found.passed
    right = found.posterior["x"].mean("axis") > 0
    assert float(right.mean()) == pytest.approx(0.7, abs=0.03)
    mean, covariance = target.moments()
    flat = found.points.reshape(-1, size)
    np.testing.assert_allclose(flat.mean(axis=0), mean, atol=0.15)
    np.testing.assert_allclose(np.cov(flat, rowvar=False), covariance, atol=0.45)
    assert found.sample_stats["acceptance_rate"].mean() > 0.05


@dataclass(frozen=True)
class Waiting:
    """Two independent waiting times, which have long tails on the scale where chains move."""

    hierarchical = False

    @cached_property
    def pymc(self):
        with pm.Model() as model:
            rate = pm.Data("rate", np.float64(1.0))
            pm.Exponential("short", rate)
            pm.Gamma("long", 0.5, rate)
        return model

    def structure(self):
        return ("waiting times of a test",)

    def data(self):
        return {"rate": 1.0}

    def starts(self):
        return {}


@pytest.mark.slow
def test_a_mixture_that_fits_badly_makes_chains_slow_but_not_wrong():
    bound, rng = fast.prepare(Waiting()), np.random.default_rng(0)
    elsewhere = rng.normal([1.0, 0.0], [0.5, 0.5], (4, 1000, 2))
    modes = [Laplace(np.zeros(2), np.eye(2), 0.0, 0.0)]
    found = run_jumps(
        bound, modes, attempt_of(bound, elsewhere), Wanted(1000, 0, 4, None, 0, False)
    )
    for name, known in (("short", scipy.stats.expon()), ("long", scipy.stats.gamma(0.5))):
        draws = found.posterior[name].to_numpy()[:, ::10].ravel()
        assert scipy.stats.kstest(draws, known.cdf).pvalue > 1e-3, name


def test_a_mode_that_chains_have_left_keeps_the_normal_of_its_curvature():
    rng = np.random.default_rng(0)
    modes = [Laplace(np.full(3, at), 0.5 * np.eye(3), 0.0, 0.0) for at in (0.0, 20.0)]
    found = Mixture.fit(rng.normal(0.2, 1.5, (4000, 3)), modes)
    np.testing.assert_allclose(found.shares, [1 / 1.05, 0.05 / 1.05])
    np.testing.assert_allclose(found.normals[0].mean, 0.2, atol=0.1)
    np.testing.assert_allclose(found.normals[1].mean, 20.0)
    np.testing.assert_allclose(found.normals[1].root, 0.5 * np.eye(3))


def test_a_mode_whose_draws_do_not_move_keeps_it_too():
    modes = [Laplace(np.full(3, at), np.diag([0.5, 1.0, 2.0]), 0.0, 0.0) for at in (0.0, 20.0)]
    stuck = np.full((400, 3), 20.1)
    points = np.concatenate([np.random.default_rng(0).normal(0, 1, (400, 3)), stuck])
    found = Mixture.fit(points, modes)
    np.testing.assert_allclose(found.shares, 0.5)
    np.testing.assert_allclose(found.normals[1].root, np.diag([0.5, 1.0, 2.0]))
    assert np.isfinite(found.log_density(points)).all()


def test_the_root_of_a_curvature_is_that_of_cholesky():
    scale = np.random.default_rng(0).normal(size=(4, 4))
    (normal,) = Mixture.fit(np.zeros((1, 4)), [Laplace(np.zeros(4), scale, 0.0, 0.0)]).normals
    np.testing.assert_allclose(normal.root, np.linalg.cholesky(scale @ scale.T))


def test_draws_of_a_mixture_have_its_density():
    rng = np.random.default_rng(0)
    modes = [Laplace(np.full(2, at), np.eye(2), 0.0, 0.0) for at in (-3.0, 3.0)]
    points = np.concatenate([rng.normal(-3, 1, (900, 2)), rng.normal(3, 2, (2100, 2))])
    mixed = Mixture.fit(points, modes)
    np.testing.assert_allclose(mixed.shares, [0.3, 0.7], atol=0.03)
    draws = mixed.draw(4000, rng)
    expected = 0.3 * scipy.stats.multivariate_normal([-3, -3], np.eye(2)).pdf(draws)
    expected += 0.7 * scipy.stats.multivariate_normal([3, 3], 4 * np.eye(2)).pdf(draws)
    assert np.mean(np.abs(mixed.log_density(draws) - np.log(expected))) < 0.15
    assert (draws.mean(axis=1) > 0).mean() == pytest.approx(0.7 * 0.98 + 0.3 * 0.0, abs=0.04)


@pytest.mark.slow
def test_divergences_of_the_draws_that_the_mixture_comes_from_count():
    target = Hills(2)
    bound = fast.prepare(target)
    earlier = attempt_of(bound, drawn_from(target, (0.5, 0.5)), diverging=True)
    found = run_jumps(bound, search_modes(bound, 0), earlier, Wanted(1000, 0, 4, None, 0, False))
    assert found.diagnostics.divergences == 4000
    assert not found.passed


@pytest.mark.slow
def test_chains_jump_where_modes_cannot_be_weighed(monkeypatch, tmp_path):
    """And draws, record and diagnostics are those of any other attempt."""
    monkeypatch.setattr(mixture, "LARGEST_ERROR", 0.0)
    samples = sample(Hills(2), draws=1000, tune=300)
    assert samples.diagnostics.problems() == []
    assert samples.diagnostics == diagnose(samples.posterior, samples.sample_stats)
    entries = Record.read(samples.sample_stats).attempts
    assert [entry["modes"] for entry in entries] == [[1, 2], [1], [2], [1, 2], [1, 2]]
    last = entries[-1]
    assert (last["coordinates"], last["draws"], last["kept"]) == ("jumps", 30_000, True)
    right = (samples.posterior["x"].mean("axis") > 0).mean("draw")
    np.testing.assert_allclose(right, 0.7, atol=0.06)  # in every chain
    again = sample(Hills(2), draws=1000, tune=300)
    np.testing.assert_array_equal(samples.posterior["x"], again.posterior["x"])
