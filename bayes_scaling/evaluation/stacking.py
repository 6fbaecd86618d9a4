"""Weights of models in a stacked forecast, from their forecasts of past runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from bayes_scaling.errors import ConvergenceWarning
from bayes_scaling.inference.samplers import sample


def stacking_weights(
    densities: Mapping[str, NDArray[np.float64]], *, seed: int = 0
) -> dict[str, float]:
    """Return the mean of the posterior of the weights of a mixture, given past scores.

    Each past score is a draw from a mixture of the models' forecasts of it, and all weights are
    equally likely a priori. A forecast averaged over the posterior of the weights is the mixture
    with the mean weights. If a few scores cannot tell models apart, all models keep some weight;
    the usual stacking, the single best weights, then often gives one model everything.

    Parameters
    ----------
    densities : mapping of str to numpy.ndarray
        Log predictive densities of the same scores by each model, shape (score,).
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
    2022 (arXiv:2101.08954) on weights as parameters.
    """
    if len(densities) < 2:
        return {}
    past = np.array(list(densities.values()), float)
    samples = sample(_Mixture(past - past.max(axis=0)), seed=seed)
    if problems := samples.diagnostics.problems():
        warnings.warn(
            f"the weights of the stacked forecast have not converged: {'; '.join(problems)}",
            ConvergenceWarning,
            stacklevel=2,
        )
    means = samples.posterior["weight"].mean(("chain", "draw")).to_numpy()
    return {name: float(mean) for name, mean in zip(densities, means, strict=True)}


@dataclass(frozen=True)
class _Mixture:
    """The posterior of the weights, as something that can be sampled.

    Attributes
    ----------
    past : numpy.ndarray
        Log predictive densities, shape (model, score), up to a constant per score.
    """

    past: NDArray[np.float64]

    @cached_property
    def pymc(self) -> pm.Model:
        """The model of past scores; normalised exponential shares give uniform weights."""
        with pm.Model(coords={"model": range(len(self.past))}) as model:
            known = pm.Data("past", self.past, dims=("model", "score"))
            share = pm.Exponential("share", 1.0, dims="model")
            weight = pm.Deterministic("weight", share / share.sum(), dims="model")
            pm.Potential("mixture", pt.log((weight[:, None] * pt.exp(known)).sum(axis=0)).sum())
        return model

    def structure(self) -> tuple[str, int]:
        """Return what machine code depends on: the number of models."""
        return "mixture", len(self.past)

    def data(self) -> dict[str, NDArray[np.float64]]:
        """Return the past scores by the name of their container."""
        return {"past": self.past}

    def starts(self) -> dict[str, NDArray[np.float64]]:
        """Return equal shares."""
        return {"share": np.ones(len(self.past))}
