"""What a model over several series will be built from: priors with dims, a law, one door."""

from dataclasses import dataclass
from functools import cached_property

import arviz as az
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import xarray as xr
from ladders import budgets, centred
from pymc_extras.prior import Prior

from bayes_scaling.inference import hierarchical
from bayes_scaling.inference.samplers import sample
from bayes_scaling.laws import Parameter, get_law
from bayes_scaling.modelling.priors import check_prior, create_variable, hyperparameters

TRUE_EXPONENTS, TRUE_LEVELS = np.array([0.12, 0.16, 0.2, 0.24]), np.array([0.4, 0.6, 0.8, 1.0])
SERIES = ("arc", "piqa", "sciq", "boolq")
POOLED = Prior(
    "LogNormal",
    mu=Prior("Normal", mu=-1.9, sigma=0.7),
    sigma=Prior("HalfNormal", sigma=0.5),
    dims="benchmark",
)
LEVELS = Prior("LogNormal", mu=-0.5, sigma=0.7, dims="benchmark")
EXPONENT = Parameter("exponent", "of each benchmark", "", 0.15, dims={"benchmark": len(SERIES)})


@dataclass(frozen=True)
class Ladder:
    """Four benchmarks on one ladder, their exponents partially pooled."""

    x: np.ndarray
    loss: np.ndarray

    hierarchical = True

    @cached_property
    def pymc(self):
        law = get_law("power_law")
        coords = {"benchmark": SERIES, "run": range(len(self.x))}
        with pm.Model(coords=coords) as model:
            x = pm.Data("x", self.x, dims="run")
            seen = pm.Data("observed", self.loss, dims=("run", "benchmark"))
            exponent = create_variable("exponent", POOLED, dims=("benchmark",))
            level = create_variable("neg_log_q", LEVELS, dims=("benchmark",))
            p = {"exponent": exponent[None, :], "neg_log_q": level[None, :]}
            quality = law.normalised_accuracy(p, {"flops": x[:, None]}, {}, pt)
            mean = pt.log(-pt.log(quality))
            pm.Normal("z", mean, 0.05, observed=seen, dims=("run", "benchmark"))
        return model

    def structure(self):
        return ("ladder of a test", len(SERIES))

    def data(self):
        numbers = {"x": self.x, "observed": self.loss}
        return numbers | hyperparameters("exponent", POOLED) | hyperparameters("neg_log_q", LEVELS)

    def starts(self):
        return {}


@pytest.fixture(scope="module")
def ladder():
    rng, x = np.random.default_rng(5), centred(budgets(6))
    z = np.log(TRUE_LEVELS) - x[:, None] * TRUE_EXPONENTS + rng.normal(0, 0.05, (6, 4))
    return Ladder(x, z)


@pytest.mark.slow
def test_partially_pooled_exponents_are_sampled_by_the_same_door(ladder):
    samples = sample(ladder)
    check_prior(EXPONENT, POOLED, bounded=False)
    assert samples.sampler == "fast"
    assert samples.diagnostics.problems() == []
    draws = samples.posterior["exponent"]
    assert draws.dims == ("chain", "draw", "benchmark")
    assert draws["benchmark"].to_numpy().tolist() == list(SERIES)
    score = np.abs(draws.mean(("chain", "draw")) - TRUE_EXPONENTS) / draws.std(("chain", "draw"))
    assert float(score.max()) < 4
    # Pooling: the mean of the logs is known better than one of them, and lies among them.
    mean = float(samples.posterior["exponent_mu"].mean())
    assert abs(mean - np.log(TRUE_EXPONENTS).mean()) < 0.3


@pytest.mark.slow
def test_trajectories_of_one_length_agree_with_nuts_of_pymc(ladder, monkeypatch):
    """Means and sds of all parameters, within five Monte Carlo errors of both."""
    monkeypatch.setattr(hierarchical, "_MANY", 0)
    samples = sample(ladder)
    assert np.unique(samples.sample_stats["n_steps"]).size == 1
    other = sample(ladder, sampler="pymc", seed=1)
    names = ["exponent", "neg_log_q", "exponent_mu", "exponent_sigma"]
    ours, theirs = samples.posterior[names], other.posterior[names]
    for method, number in (("mean", xr.Dataset.mean), ("sd", xr.Dataset.std)):
        away = number(ours, ("chain", "draw")) - number(theirs, ("chain", "draw"))
        error = sum(az.mcse(one, method=method) ** 2 for one in (ours, theirs)) ** 0.5
        assert float((abs(away) / error).to_array().max()) < 5, method
