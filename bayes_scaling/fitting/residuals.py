"""Observed and replicated residuals of a fit, from which its curve cannot take anything more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_scaling.fitting.forecasts import generator

if TYPE_CHECKING:
    from bayes_scaling.fitting.fit import Fit

Array = NDArray[np.float64]

# More draws than this cost time and memory, and tell no more of a p-value of 0.01.
_MAX_DRAWS = 4000


def replicate_scores(fit: Fit) -> xr.DataArray:
    """Return scores that the fitted runs would have if they were made again, for every draw.

    Dimensions (chain, draw, row). A two-stage law draws a new loss for each run.
    """
    seen, rng = fit.observations, generator(b"posterior_predictive", fit.seed)
    mean = curve_of_budgets(fit)
    if fit.model.two_stage:
        residual = mean.copy(data=rng.standard_normal(mean.shape))
        mean = fit.bound.curve(
            fit.posterior,
            seen.drop_vars("loss"),
            generator(b"curve", fit.seed),
            loss_residual=residual,
        )
    return fit.bound.draw_scores(mean, fit.posterior, rng).transpose("chain", "draw", ...)


def curve_of_budgets(fit: Fit) -> xr.DataArray:
    """Return the curve at the fitted runs given their budgets alone, (chain, draw, row).

    A two-stage law goes through the median loss of each budget, not through the runs' own.
    """
    if not fit.model.two_stage:
        return fit.fitted_curve
    rows = fit.observations.drop_vars("loss")
    return fit.bound.curve(fit.posterior, rows, generator(b"curve", fit.seed))


@dataclass(frozen=True)
class Residuals:
    """Standardised residuals of a fit's runs, in order of their budgets.

    Attributes
    ----------
    observed, replicated : numpy.ndarray
        Residuals of the scores and of replicated ones round the same draws of the curve, shape
        (draws, runs), without what the curve can follow; see :func:`residuals_of`.
    run : numpy.ndarray
        Names of the runs.
    log_flops : numpy.ndarray
        Log budget of each run.
    sd : numpy.ndarray
        Predictive standard deviation of each run's score given the curve, in accuracy.
    keep : numpy.ndarray
        Symmetric matrix (runs, runs) that takes out what the curve can follow.
    """

    observed: Array
    replicated: Array
    run: NDArray[np.str_]
    log_flops: Array
    sd: Array
    keep: Array

    @property
    def freedom(self) -> float:
        """Runs less the number of directions in which the scores have moved the curve."""
        return float(np.trace(self.keep))


def residuals_of(fit: Fit) -> Residuals:
    r"""Return the residuals of a fit, observed and replicated, by run.

    Parameters
    ----------
    fit : Fit
        The fit.

    Returns
    -------
    Residuals
        One for each run: where a run has several rows, the mean of their residuals.

    Notes
    -----
    Both kinds are realised residuals (Gelman, Meng and Stern 1996): a draw of the curve m, the
    measured scores less m, and scores replicated with the same draw less m, each over the
    predictive sd s. Taken as they are, they make poor tests. The posterior of m already follows
    the scores, so observed residuals are smaller in the directions of the curve than replicated
    ones, and p-values crowd round one half. In a linear normal model the posterior covariance of
    m / s is the matrix H that takes scores to fitted values. Residuals are therefore multiplied
    by 1 − H, with the eigenvalues of H held to [0, 1]. What is left does not depend on the
    curve's parameters, and p-values are uniform in that case; simulations in
    `benchmarks/check_rates.py` show how near they come in others.
    """
    seen = fit.observations
    runs, member = np.unique(seen["run"].to_numpy(), return_inverse=True)
    table = fit.runs.table.drop_duplicates("run").set_index("run")
    log_flops = np.log(table["flops"].loc[runs].to_numpy(float))
    order = np.argsort(log_flops, kind="stable")
    share = np.eye(len(runs))[member][:, order]
    share /= share.sum(axis=0)

    mean = _flat(curve_of_budgets(fit)) @ share
    noise = _flat(replicate_scores(fit)) @ share - mean
    sd = np.sqrt((noise**2).mean(axis=0))
    keep = _beyond_curve(mean / sd)
    residual = seen["score"].to_numpy() @ share - mean
    return Residuals(
        residual / sd @ keep, noise / sd @ keep, runs[order], log_flops[order], sd, keep
    )


def _flat(values: xr.DataArray) -> Array:
    """Return draws by rows, thinned to the number that is needed."""
    draws = values.transpose("chain", "draw", "row").to_numpy()
    flat = draws.reshape(-1, draws.shape[-1])
    return np.asarray(flat[:: -(-len(flat) // _MAX_DRAWS)])


def _beyond_curve(curve: Array) -> Array:
    """Return 1 − H of a curve's draws (draws, runs), in units of the predictive sd."""
    share, direction = np.linalg.eigh(np.atleast_2d(np.cov(curve, rowvar=False)))
    return np.asarray(np.eye(len(share)) - direction * share.clip(0, 1) @ direction.T)
