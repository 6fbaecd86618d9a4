"""What priors do to a fit: conflicts with the scores, and sensitivity of the forecast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pymc.distributions.shape_utils import change_dist_size
from pymc_extras.prior import Prior
from pytensor.graph.replace import clone_replace

from bayes_scaling.fitting.forecasts import generator
from bayes_scaling.fitting.tree import log_prior
from bayes_scaling.runs import Budgets

if TYPE_CHECKING:
    from bayes_scaling.fitting.fit import Fit
    from bayes_scaling.modelling.bound import BoundModel

# A posterior mean farther than this from its prior mean, in prior sd, is a conflict.
CONFLICT = 2.0
# The forecast whose sensitivity is computed is this many times the largest fitted budget.
AHEAD = 10.0
# The sd of a log-normal prior, which has heavy tails, is then known to a few per cent.
_PRIOR_DRAWS = 20_000


# ---- conflicts -----------------------------------------------------------------------------------


def prior_conflicts(fit: Fit) -> pd.DataFrame:
    """Return how far each posterior mean lies from its prior mean.

    Parameters
    ----------
    fit : Fit
        The fit.

    Returns
    -------
    pandas.DataFrame
        One row for each sampled parameter, and for each element of a vector: `prior_mean`,
        `prior_sd`, `posterior_mean` and `posterior_sd` in the parameter's unit, `distance` of the
        means in prior sd, `contraction`, the share of the prior's variance that the scores have
        taken away, and `conflict`, whether the distance is more than 2. A prior that is cut at
        another parameter, as the floor's is at the level, is taken given the posterior mean of
        that parameter. Offsets that are standard normal by definition are listed only in conflict.
    """
    means, sds = (getattr(fit.posterior, f)(("chain", "draw")) for f in ("mean", "std"))
    offsets = _offsets(fit.bound)
    parts = []
    for name, drawn in _given_the_others(fit, means).items():
        posterior = means[name].to_numpy()
        part = pd.DataFrame(
            {
                "parameter": [f"{name}[{i}]" for i in range(posterior.size)]
                if posterior.ndim
                else [name],
                "prior_mean": np.ravel(drawn.mean(axis=0)),
                "prior_sd": np.ravel(drawn.std(axis=0)),
                "posterior_mean": np.ravel(posterior),
                "posterior_sd": np.ravel(sds[name].to_numpy()),
            }
        )
        part["distance"] = (part["posterior_mean"] - part["prior_mean"]) / part["prior_sd"]
        part["contraction"] = 1 - (part["posterior_sd"] / part["prior_sd"]) ** 2
        part["conflict"] = part["distance"].abs() > CONFLICT
        parts.append(part[part["conflict"]] if name in offsets else part)
    return pd.concat(parts).set_index("parameter")


def _given_the_others(fit: Fit, means: xr.Dataset) -> dict[str, Any]:
    """Return prior draws of each sampled variable, given posterior means of all others."""
    free = fit.bound.pymc.free_RVs
    fixed = {rv: pt.constant(means[rv.name].to_numpy(), dtype=rv.dtype) for rv in free}
    many = [
        clone_replace(
            [change_dist_size(rv, (_PRIOR_DRAWS,), expand=True)],
            {other: value for other, value in fixed.items() if other is not rv},
        )[0]
        for rv in free
    ]
    # One draw of many variables: a loop over single draws takes a hundred times as long.
    drawn = pm.draw(many, random_seed=fit.seed, mode="FAST_COMPILE")
    return dict(zip((rv.name for rv in free), drawn, strict=True))


def _offsets(bound: BoundModel) -> set[str]:
    """Return names of sampled vectors that are standard normal, or normal with a learned sd."""
    found = {f"{name}_offset" for name, prior in bound.priors.items() if not prior.centered}
    for parameter in bound.parameters:
        prior = bound.priors[parameter.name]
        numbers = prior.parameters
        normal = prior.distribution == "Normal" and np.all(numbers.get("mu", 0) == 0)
        scale = numbers.get("sigma", 1)
        if parameter.dims and normal and (isinstance(scale, Prior) or np.all(scale == 1)):
            found.add(parameter.name)
    return found


# ---- sensitivity ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sensitivity:
    """Power-scaling sensitivity of a forecast (Kallioinen et al. 2023, arXiv:2107.14054).

    Attributes
    ----------
    flops : float
        Budget of the forecast, ten times the largest fitted one.
    prior, likelihood : float
        Change of the forecast's distribution where the log density of priors, or of scores, is
        scaled: distance (cumulative Jensen-Shannon) per doubling. 0 is none.
    shift : float
        Change of the mean forecast, in accuracy, per doubling of the priors' log density.
    """

    flops: float
    prior: float
    likelihood: float
    shift: float


def forecast_sensitivity(fit: Fit) -> Sensitivity:
    """Return how strongly the curve at ten times the largest fitted budget depends on priors.

    Parameters
    ----------
    fit : Fit
        The fit.

    Returns
    -------
    Sensitivity

    Notes
    -----
    Computed by :func:`arviz.psense`. The likelihood is the one that was sampled: in a two-stage
    model that of scores given losses, and of losses. Offsets that are standard normal by
    definition are part of the law and not scaled; the priors of their scale are.
    """
    budgets = next_budget(fit)
    rng = generator(b"curve", fit.seed)
    curve = fit.bound.curve(fit.posterior, budgets.inputs, rng).isel(budget=0, drop=True)
    priors = log_prior(fit.bound, fit.posterior)
    priors = priors.drop_vars(_offsets(fit.bound) & set(map(str, priors.data_vars)))
    likelihood = {"score": fit.log_likelihood()}
    if fit.model.two_stage:
        likelihood["log_loss"] = fit.loss_log_likelihood()
    tree = xr.DataTree.from_dict(
        {
            "posterior": curve.to_dataset(name="forecast"),
            "log_prior": priors,
            "log_likelihood": xr.Dataset(likelihood),
        }
    )
    by_group = {
        group: float(az.psense(tree, group=group)["forecast"]) for group in ("prior", "likelihood")
    }
    total = sum((_by_draw(term) for term in priors.values()), xr.zeros_like(curve))
    # The derivative of a mean by the power of the priors is a covariance.
    shift = float(np.log(2) * xr.cov(curve, total, dim=("chain", "draw")))
    return Sensitivity(float(budgets.inputs["flops"][0]), **by_group, shift=shift)


def _by_draw(values: xr.DataArray) -> xr.DataArray:
    return values.sum(set(values.dims) - {"chain", "draw"})


def next_budget(fit: Fit) -> Budgets:
    """Return ten times the largest fitted budget, as the law reads it.

    Parameters and tokens grow by the same factor, so their ratio is that of the largest run;
    covariates are those of the largest run, and k is the median of the fitted ones.
    """
    table = fit.runs.table
    largest = table.nlargest(1, "flops")
    inputs: dict[str, Any] = {name: float(largest[name].iloc[0]) for name in fit.model.law.columns}
    inputs |= {name: inputs[name] * AHEAD**0.5 for name in ("params", "tokens") if name in inputs}
    if "k" in inputs:
        inputs["k"] = float(table["k"].median())
    return Budgets.of(**inputs | {"flops": AHEAD * float(largest["flops"].iloc[0])})
