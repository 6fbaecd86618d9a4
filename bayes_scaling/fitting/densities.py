"""Log densities of scores given their budgets, for comparison and ArviZ."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import scipy.stats
import xarray as xr
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import logsumexp

from bayes_scaling.errors import ModelError
from bayes_scaling.fitting.forecasts import generator
from bayes_scaling.modelling.likelihoods import spread

if TYPE_CHECKING:
    from bayes_scaling.fitting.fit import Fit

# Nodes of the quadrature over a run's loss, and Gauss-Newton steps that find their centre.
_NODES = 15
_STEPS = 4


def predictive_density(fit: Fit, observations: xr.Dataset) -> xr.DataArray:
    """Return the log density of scores given their budgets, for every draw.

    Parameters
    ----------
    fit : Fit
        The fit.
    observations : xarray.Dataset
        Scores to be predicted, laid out as :attr:`Fit.observations`.

    Returns
    -------
    xarray.DataArray
        Dimensions (chain, draw, row), or run or training in place of row where rows are dependent.
        For a two-stage model, the residual of the loss is integrated out by Gauss-Hermite
        quadrature. Its nodes are centred where score and residual agree: if the loss scatters
        more than the score, the score determines the residual far better than its prior does.

    Raises
    ------
    ModelError
        If a two-stage model's scores are dependent within a run.
    """
    model, budgets = fit.model, observations.drop_vars("loss", errors="ignore")
    bound = fit.bound
    if not model.two_stage:
        curve = bound.curve(fit.posterior, budgets, generator(b"curve", fit.seed))
        return _density(fit, observations, curve)
    if bound.likelihood.unit != "row":
        raise ModelError(f"{model.law_name}: choose likelihood 'normal' to compare or score it")

    def curve_at(residual: xr.DataArray) -> xr.DataArray:
        # The generator is new each time, so that all residuals see one curve beyond the runs.
        rng = generator(b"curve", fit.seed)
        return bound.curve(fit.posterior, budgets, rng, loss_residual=residual)

    centre, width = _centre_residual(fit, observations, curve_at)
    nodes, weights = hermegauss(_NODES)
    node = xr.DataArray(nodes, dims="node")
    residual = centre + width * node
    # Weights of the prior of the residual over the normal density that the nodes stand for.
    log_weights = np.log(width) + (node**2 - residual**2) / 2
    log_weights = log_weights + np.log(xr.DataArray(weights / weights.sum(), dims="node"))
    terms = (_density(fit, observations, curve_at(residual)) + log_weights).transpose(..., "node")
    return xr.apply_ufunc(
        logsumexp, terms, input_core_dims=[["node"]], kwargs={"axis": -1}
    ).transpose("chain", "draw", ...)


def _centre_residual(
    fit: Fit, observations: xr.Dataset, curve_at: Callable[[xr.DataArray], xr.DataArray]
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the approximate mode and width of each residual given its score (Gauss-Newton)."""
    n_items, half_step = observations["n_items"], 0.05
    residual = xr.zeros_like(n_items * fit.posterior["scatter"])
    for _ in range(_STEPS):
        mean = curve_at(residual)
        slope = (curve_at(residual + half_step) - curve_at(residual - half_step)) / (2 * half_step)
        variance = spread(mean, n_items, fit.posterior, np) ** 2
        best = slope * (observations["score"] - mean + slope * residual) / (variance + slope**2)
        residual = (residual + (best - residual).clip(-2, 2)).clip(-8, 8)
    return residual, (variance / (variance + slope**2)) ** 0.5


def _density(fit: Fit, observations: xr.Dataset, curve: xr.DataArray) -> xr.DataArray:
    density = fit.bound.likelihood.log_density(
        observations["score"], observations["n_items"], curve, fit.posterior
    )
    return density.transpose("chain", "draw", ...)


def loss_density(fit: Fit) -> xr.DataArray:
    """Return the log density of the observed log losses of a two-stage fit, by draw and row.

    Raises
    ------
    ModelError
        If the law is a direct one, which has no loss stage.
    """
    if not fit.model.two_stage:
        raise ModelError(f"{fit.model.law_name} is a direct law and has no loss stage")
    seen = fit.observations
    mean = fit.bound.log_loss(fit.posterior, seen, generator(b"curve", fit.seed))
    residual = np.log(seen["loss"]) - mean
    density = xr.apply_ufunc(scipy.stats.norm.logpdf, residual, 0.0, fit.posterior["loss_scatter"])
    return density.rename("log_loss").transpose("chain", "draw", ...)
