"""Weights of models in a stacked forecast, from their forecasts of past runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy.special import softmax

from bayes_scaling.errors import ConvergenceWarning
from bayes_scaling.evaluation.uncertainty import MIN_CLUSTERS, Clusters
from bayes_scaling.inference.samplers import sample


def stacking_weights(
    densities: Mapping[str, NDArray[np.float64]],
    clusters: Clusters | None = None,
    *,
    seed: int = 0,
) -> dict[str, float]:
    """Return the mean of the posterior of the weights of a mixture, given past scores.

    Each past score is a draw from a mixture of the models' forecasts of it, and all weights are
    equally likely a priori. A forecast averaged over the posterior of the weights is the mixture
    with the mean weights. If a few scores cannot tell models apart, all models keep some weight;
    the usual stacking, the single best weights, then often gives one model everything.

    Scores that share runs and benchmarks are not independent. The likelihood is raised to the
    power of 1 / :func:`past_design_effect`, so that it weighs as much as the scores are worth.

    Parameters
    ----------
    densities : mapping of str to numpy.ndarray
        Log predictive densities of the same scores by each model, shape (score,).
    clusters : Clusters, optional
        Run and benchmark of each score; by default the scores are taken as independent.
    seed : int
        Seed of the sampler.

    Returns
    -------
    dict
        Weight of each model, adding up to 1; empty for fewer than two models.

    Warns
    -----
    ConvergenceWarning
        If the draws of the posterior should not be trusted.

    References
    ----------
    Yao et al. 2018 (arXiv:1704.02030) on stacking, here of forecasts of later runs; Yao et al.
    2022 (arXiv:2101.08954) on weights as parameters; Ribatet, Cooley and Davison 2012 on powers
    of likelihoods of dependent data.
    """
    if len(densities) < 2:
        return {}
    past = np.array(list(densities.values()), float)
    power = 1.0 if clusters is None else 1.0 / past_design_effect(densities, clusters)
    samples = sample(_Mixture(past - past.max(axis=0), power), seed=seed)
    if problems := samples.diagnostics.problems():
        warnings.warn(
            f"the weights of the stacked forecast have not converged: {'; '.join(problems)}",
            ConvergenceWarning,
            stacklevel=2,
        )
    means = samples.posterior["weight"].mean(("chain", "draw")).to_numpy()
    return {name: float(mean) for name, mean in zip(densities, means, strict=True)}


def past_design_effect(densities: Mapping[str, NDArray[np.float64]], clusters: Clusters) -> float:
    """Return how many past scores count as one when models are weighed by them.

    A score speaks for a model by the differences of its log densities between the models, here
    as the model's share exp(l_k) / Σ_j exp(l_j). The shares are the gradient of the mixture's log
    likelihood at equal weights. They lie between 0 and 1, so that one score that a model finds
    all but impossible does not decide alone. The design effect is the variance of the mean
    shares, clustered by run and benchmark, over what it would be if scores were independent, each
    summed over models. It is at least 1.

    With fewer than three benchmarks it cannot be estimated. Then each benchmark counts as one
    score, because the forecasts of all its runs come from one curve.

    Parameters
    ----------
    densities : mapping of str to numpy.ndarray
        Log predictive densities of the same scores by each model, shape (score,).
    clusters : Clusters
        Run and benchmark of each score.

    Examples
    --------
    >>> run, benchmark = np.divmod(np.arange(40), 5)
    >>> better = np.array([1.0, -1.0, 0.5, 2.0, 0.0])[benchmark]
    >>> densities = {"a": better, "b": np.zeros(40)}
    >>> round(past_design_effect(densities, Clusters(run, benchmark)))  # 5 benchmarks, 8 runs each
    10
    """
    past = np.array(list(densities.values()), float)
    _, benchmarks = clusters.counts
    if benchmarks < MIN_CLUSTERS:
        return past.shape[1] / benchmarks
    clustered, independent = clusters.variance(softmax(past, axis=0))
    return max(1.0, float(clustered.sum() / independent.sum())) if independent.any() else 1.0


@dataclass(frozen=True)
class _Mixture:
    """The posterior of the weights, as something that can be sampled.

    Attributes
    ----------
    past : numpy.ndarray
        Log predictive densities, shape (model, score), up to a constant per score.
    power : float
        Power of their likelihood.
    """

    past: NDArray[np.float64]
    power: float
    hierarchical: ClassVar[bool] = False

    @cached_property
    def pymc(self) -> pm.Model:
        """The model of past scores; normalised exponential shares give uniform weights."""
        with pm.Model(coords={"model": range(len(self.past))}) as model:
            known = pm.Data("past", self.past, dims=("model", "score"))
            power = pm.Data("power", self.power)
            share = pm.Exponential("share", 1.0, dims="model")
            weight = pm.Deterministic("weight", share / share.sum(), dims="model")
            score = pt.log((weight[:, None] * pt.exp(known)).sum(axis=0))
            pm.Potential("mixture", power * score.sum())
        return model

    def structure(self) -> tuple[str, int]:
        """Return what machine code depends on: the number of models."""
        return "mixture", len(self.past)

    def data(self) -> dict[str, Any]:
        """Return past scores and power by the names of their containers."""
        return {"past": self.past, "power": self.power}

    def starts(self) -> dict[str, NDArray[np.float64]]:
        """Return equal shares."""
        return {"share": np.ones(len(self.past))}
