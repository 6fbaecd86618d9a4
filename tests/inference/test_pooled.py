"""What a model over several series will be built from: priors with dims, a law, one door."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from ladders import budgets, centred
from pymc_extras.prior import Prior

from bayes_scaling.inference.samplers import sample
from bayes_scaling.laws import Parameter, get_law
from bayes_scaling.modelling.priors import check_prior, create_variable, hyperparameters

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


@pytest.mark.slow
def test_partially_pooled_exponents_are_sampled_by_the_same_door():
    rng, x = np.random.default_rng(5), centred(budgets(6))
    exponents, levels = np.array([0.12, 0.16, 0.2, 0.24]), np.array([0.4, 0.6, 0.8, 1.0])
    z = np.log(levels) - x[:, None] * exponents + rng.normal(0, 0.05, (6, 4))
    check_prior(EXPONENT, POOLED, bounded=False)
    samples = sample(Ladder(x, z))
    assert samples.sampler == "fast"
    assert samples.diagnostics.problems() == []
    draws = samples.posterior["exponent"]
    assert draws.dims == ("chain", "draw", "benchmark")
    assert draws["benchmark"].to_numpy().tolist() == list(SERIES)
    score = np.abs(draws.mean(("chain", "draw")) - exponents) / draws.std(("chain", "draw"))
    assert float(score.max()) < 4
    # Pooling: the mean of the logs is known better than one of them, and lies among them.
    assert abs(float(samples.posterior["exponent_mu"].mean()) - np.log(exponents).mean()) < 0.3
