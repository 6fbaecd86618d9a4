"""Build the `pm.Model` of a bound model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from bayes_scaling.laws import TwoStageLaw
from bayes_scaling.modelling.link import accuracy, neg_log_quality
from bayes_scaling.modelling.priors import create_variable

if TYPE_CHECKING:
    from bayes_scaling.modelling.bound import BoundModel


def build_model(bound: BoundModel) -> pm.Model:
    """Return the PyMC model of a bound model: parameters, curve, observed scores, constants."""
    observed = bound.observed()
    law = bound.law
    with pm.Model(coords=_coords(bound, observed)) as model:
        data = {name: _as_data(name, value) for name, value in observed.items()}
        x = {k.removeprefix("x_"): v for k, v in data.items() if k.startswith("x_")}
        c = {k.removeprefix("centre_"): v for k, v in data.items() if k.startswith("centre_")}
        p = _create_parameters(bound, data, x)
        values = p | {"neg_log_q": neg_log_quality(p["level"], p["floor"], pt)}
        if isinstance(law, TwoStageLaw):
            mean, seen = law.log_loss(values, x, c, pt), pt.log(data["observed_loss"])
            pm.Normal("log_loss", mean, p["loss_scatter"], observed=seen, dims="row")
            x["loss"] = data["observed_loss"] - p["loss_level"]
        quality = law.normalised_accuracy(values, x, c, pt)
        bound.likelihood.observe(accuracy(quality, p["floor"], pt), p, data)
        for name, value in law.textbook(values, c, pt).items():
            pm.Deterministic(name, value)
    return model


def _coords(bound: BoundModel, observed: Mapping[str, Any]) -> dict[str, Any]:
    coords = {dim: np.arange(length) for p in bound.parameters for dim, length in p.dims.items()}
    for value in observed.values():
        for dim in getattr(value, "dims", ()):
            known = value.coords[dim].to_numpy() if dim in value.coords else None
            coords.setdefault(dim, np.arange(value.sizes[dim]) if known is None else known)
    return coords


def _as_data(name: str, value: xr.DataArray | float) -> Any:
    if isinstance(value, xr.DataArray):
        return pm.Data(name, value.to_numpy(), dims=tuple(map(str, value.dims)))
    return pm.Data(name, value)


def _create_parameters(
    bound: BoundModel, data: Mapping[str, Any], x: Mapping[str, Any]
) -> dict[str, Any]:
    priors, starts, free = bound.priors, bound.starts(), bound.model.floor == "free"
    p = {
        "floor": create_variable("floor", priors["floor"], bounds=(0.0, 1.0), start=starts["floor"])
        if free
        else data["chance"]
    }
    p["level"] = create_variable(
        "level", priors["level"], bounds=(p["floor"], 1.0), start=starts["level"]
    )
    seen = p | {"neg_log_q": neg_log_quality(p["level"], p["floor"], pt)}
    for parameter in bound.parameters:
        name = parameter.name
        if name in p:
            continue
        p[name] = seen[name] = create_variable(
            name,
            priors[name],
            bounds=(0.0, parameter.upper(seen, pt)) if parameter.upper else None,
            width=parameter.width(seen, x, pt) if parameter.width else None,
            dims=tuple(parameter.dims),
            start=starts[name],
        )
    return p
