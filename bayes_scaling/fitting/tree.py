"""A fit as the `DataTree` that ArviZ's functions take."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor
import xarray as xr
from pytensor.graph.replace import clone_replace, vectorize_graph

from bayes_scaling.fitting.densities import predictive_density
from bayes_scaling.fitting.residuals import replicate_scores

if TYPE_CHECKING:
    from bayes_scaling.fitting.fit import Fit
    from bayes_scaling.modelling.bound import BoundModel

PRIOR_DRAWS = 1000


def build_tree(fit: Fit) -> xr.DataTree:
    """Return all groups of a fit; see :meth:`Fit.to_arviz`."""
    seen, bound = fit.observations, fit.bound
    simulated = bound.prior_predictive(PRIOR_DRAWS, fit.seed)
    curve = fit.fitted_curve
    groups = {
        "posterior": fit.posterior,
        "sample_stats": fit.sample_stats,
        "prior": simulated["prior"].to_dataset(),
        "prior_predictive": simulated["prior_predictive"].to_dataset()[["score"]],
        "posterior_predictive": xr.Dataset({"score": replicate_scores(fit)}),
        "log_likelihood": predictive_density(fit, seen).to_dataset(name="score"),
        "log_prior": log_prior(bound, fit.posterior),
        "observed_data": seen[["score"]],
        "constant_data": seen.drop_vars("score").assign(curve=curve.mean(("chain", "draw"))),
    }
    attrs = {
        "created_at": datetime.now(UTC).isoformat(),
        "creation_library": "bayes_scaling",
        "creation_library_version": version("bayes-scaling"),
        "sampler": fit.sampler,
        "model": fit.describe(),
    }
    return xr.DataTree.from_dict(
        {name: group.assign_attrs(attrs) for name, group in groups.items()}
    )


def log_prior(bound: BoundModel, posterior: xr.Dataset) -> xr.Dataset:
    """Return the log density of the prior of each sampled variable, by draw.

    Parameters
    ----------
    bound : BoundModel
        The model.
    posterior : xarray.Dataset
        Draws of its variables, dimensions (chain, draw).

    Returns
    -------
    xarray.Dataset
        One variable for each sampled one, with its dimensions, on the scale of the variable.
    """
    free = bound.pymc.free_RVs
    values = {rv: rv.type() for rv in free}
    terms = [clone_replace([pm.logp(rv, value)], values)[0] for rv, value in values.items()]
    dims = {rv.name: bound.pymc.named_vars_to_dims.get(rv.name, ()) for rv in free}
    stacked = posterior.stack(sample=("chain", "draw"))
    draws = [stacked[name].transpose("sample", *own).to_numpy() for name, own in dims.items()]
    many = [_batched(value) for value in values.values()]
    outputs = vectorize_graph(terms, dict(zip(values.values(), many, strict=True)))
    function = pytensor.function(many, outputs, mode="FAST_COMPILE", on_unused_input="ignore")
    sizes = posterior.sizes["chain"], posterior.sizes["draw"]
    found: dict[str, Any] = {
        name: (("chain", "draw", *own), np.reshape(value, (*sizes, *np.shape(value)[1:])))
        for (name, own), value in zip(dims.items(), function(*draws), strict=True)
    }
    coords = {k: v for k, v in posterior.coords.items() if v.dims == (k,)}
    return xr.Dataset(found, coords=coords)


def _batched(value: Any) -> Any:
    """Return a variable for many values of one, along a first axis."""
    return pytensor.tensor.TensorType("float64", shape=(None, *value.type.shape))()
