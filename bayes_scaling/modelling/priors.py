"""Priors: checked when a model is made, and built so that their numbers are data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pymc.distributions.continuous import (
    BoundedContinuous,
    PositiveContinuous,
    UnitContinuous,
)
from pymc.logprob.transforms import Transform
from pymc_extras.prior import CUSTOM_TRANSFORMS, Prior

from bayes_scaling.errors import ModelError
from bayes_scaling.laws import Parameter
from bayes_scaling.modelling.transforms import (
    AroundFit,
    Fitted,
    InWidths,
    LogAroundFit,
    ProbitAroundFit,
    ProbitInterval,
    ProbitShare,
)

Dims = tuple[str, ...]
# Families whose location `mu` may be left to the chance level.
_CENTRED = ("Normal", "StudentT", "Logistic", "TruncatedNormal")
_sound: set[Any] = set()

# ---- checks ------------------------------------------------------------------------------------


def check_names(priors: Iterable[str], known: Iterable[str], model: str) -> None:
    """Raise a ModelError if a model, which is named, lacks the parameter of a prior."""
    if unknown := sorted(set(priors) - set(known)):
        raise ModelError(
            f"{model} has no parameter {', '.join(unknown)}; it has {', '.join(known)}"
        )


def check_prior(parameter: Parameter, prior: Any, *, bounded: bool) -> None:
    """Check that the model can honour every field of a prior.

    Parameters
    ----------
    parameter : Parameter
        The parameter that the prior is for.
    prior : Prior
        The prior.
    bounded : bool
        Whether the prior is truncated to an interval.

    Raises
    ------
    ModelError
        If not. The message names the parameter, the field, and what to do.
    """
    # A model is made anew with every option, and its priors are mostly those checked before.
    numbers = isinstance(prior, Prior) and all(np.isscalar(v) for v in prior.parameters.values())
    key = (parameter.name, tuple(parameter.dims.items()), bounded, repr(prior)) if numbers else None
    if key not in _sound:
        _check(f"prior of {parameter.name!r}", parameter.dims, prior, bounded=bounded)
        _sound.update([key] if key else [])


def _check(where: str, dims: Mapping[str, int], prior: Any, *, bounded: bool) -> None:
    if not isinstance(prior, Prior):
        raise ModelError(f"{where}: {prior!r} is not a pymc_extras Prior")
    if prior.dims is not None and prior.dims != tuple(dims):
        own = ", ".join(dims) or "none"
        raise ModelError(f"{where}: dims {prior.dims} are not those of the parameter ({own})")
    if bounded and (prior.transform is not None or not prior.centered):
        raise ModelError(
            f"{where}: the parameter is cut to an interval, which works neither with transform "
            "nor with centered=False; give a distribution of the parameter itself"
        )
    _check_family(where, prior)
    for key, value in prior.parameters.items():
        _check_hyperparameter(f"{where}: {key}", value, tuple(dims.values()))
    _check_complete(where, prior)


def _check_family(where: str, prior: Prior) -> None:
    if getattr(prior, "core_dims", ()):
        raise ModelError(f"{where}: core_dims are not supported; leave them out")
    kind: Any = prior.pymc_distribution
    if not issubclass(kind, pm.Continuous) or kind.rv_op.ndim_supp:
        raise ModelError(
            f"{where}: {prior.distribution} is not a continuous distribution of one number"
        )


def _check_hyperparameter(what: str, value: Any, shape: tuple[int, ...]) -> None:
    if isinstance(value, Prior):
        _check(what, {}, value, bounded=False)  # one number for all elements of a vector
        return
    if isinstance(value, np.ndarray | xr.DataArray) and shape:
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "if" or not np.isfinite(numbers).all():
            raise ModelError(f"{what} holds something that is not a finite number")
        if numbers.shape not in ((), shape):
            raise ModelError(f"{what} has shape {numbers.shape}, the parameter has {shape}")
        return
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        kind = type(value).__name__
        raise ModelError(f"{what} is {kind}, not a number; give plain numbers or a Prior")
    if not np.isfinite(value):
        raise ModelError(f"{what} is {value}; give a finite number")


def _check_complete(where: str, prior: Prior) -> None:
    """Check that the distribution has all the hyperparameters that it needs."""
    trial = {k: 0.5 if isinstance(v, Prior) else v for k, v in prior.parameters.items()}
    trial = {k: np.asarray(v) if isinstance(v, xr.DataArray) else v for k, v in trial.items()}
    try:
        prior.pymc_distribution.dist(**trial)
    except (TypeError, ValueError, NotImplementedError) as error:
        given = ", ".join(prior.parameters) or "nothing"
        raise ModelError(
            f"{where}: {prior.distribution} cannot be made from {given}: {error}"
        ) from error


# ---- what a compiled model depends on, and what it does not ------------------------------------


def structure_of(prior: Prior) -> tuple[Any, ...]:
    """Return everything about a prior except its numbers."""
    inner = tuple(
        (key, structure_of(value) if isinstance(value, Prior) else np.ndim(value))
        for key, value in prior.parameters.items()
    )
    # A transform registered again under its name is another function.
    registered = CUSTOM_TRANSFORMS.get(prior.transform or "")
    return prior.distribution, inner, prior.centered, prior.transform, registered


def hyperparameters(name: str, prior: Prior) -> dict[str, Any]:
    """Return the numbers of a prior, and of priors inside it, by the name of their data."""
    numbers: dict[str, Any] = {}
    for key, value in prior.parameters.items():
        if isinstance(value, Prior):
            numbers |= hyperparameters(f"{name}_{key}", value)
        else:
            numbers[f"{name}_{key}"] = np.asarray(value, float) if np.ndim(value) else float(value)
    return numbers


def start_within(prior: Prior, start: Any) -> Any:
    """Return where chains may start under a prior: `start`, or None if it has no density there.

    Also None if the parameter itself is not sampled, or if a hyperparameter has a prior.
    """
    plain = prior.transform is None and prior.centered
    if not plain or any(isinstance(v, Prior) for v in prior.parameters.values()):
        return None
    kind, least, most = prior.pymc_distribution, np.min(start), np.max(start)
    if issubclass(kind, PositiveContinuous):
        return start if least > 0 else None
    if issubclass(kind, UnitContinuous):
        return start if least > 0 and most < 1 else None
    if issubclass(kind, BoundedContinuous):
        low = prior.parameters.get("lower", -np.inf)
        high = prior.parameters.get("upper", np.inf)
        return start if np.max(low) < least and most < np.min(high) else None
    return start


def centred_on(prior: Prior, mu: Any) -> Prior:
    """Return a prior with the location mu, unless it has one, or its family has none."""
    if prior.distribution not in _CENTRED or "mu" in prior.parameters:
        return prior
    return Prior(prior.distribution, **{"mu": mu, **prior.parameters})


# ---- variables ---------------------------------------------------------------------------------


def create_variable(
    name: str,
    prior: Prior,
    *,
    bounds: tuple[Any, Any] | None = None,
    width: Any = None,
    rate: Any = None,
    fit: Fitted | None = None,
    dims: Dims = (),
    start: Any = None,
) -> Any:
    """Create the variable `name` in the model on the stack.

    Hyperparameters enter as `pm.Data`, so that one compiled model serves every prior of the same
    family. A prior in the place of a number becomes a variable `<name>_<hyperparameter>`.

    Parameters
    ----------
    name : str
        Name of the variable. With a transform, or if the prior is not centred, the sampled
        variable is called `<name>_raw` or `<name>_offset`, and `name` is computed from it.
    prior : Prior
        A prior that :func:`check_prior` accepts.
    bounds : tuple, optional
        Interval that the prior is truncated to.
    width : tensor, optional
        Unit in which the sampler moves. It does not change the density, so it is ignored if the
        variable itself is not sampled.
    rate : tensor, optional
        About the rate at which the likelihood falls as a positive variable grows from 0. The
        sampler moves on normal quantiles of an exponential distribution whose rate is this one and
        that of the prior. As for width, the density stays the same.
    fit : Fitted, optional
        Where, how widely and along which axes the runs let the variable move. As for width. With
        bounds, which must be 0 and 1, it is for numbers and not for vectors.
    dims : tuple of str
        Dimensions of the variable.
    start : float or array, optional
        Where chains start; with bounds and a fit by default at the centre of the fit.
    """
    inner = {key: _hyperparameter(f"{name}_{key}", v, dims) for key, v in prior.parameters.items()}
    if bounds is not None:
        if fit is not None:
            units, moves = (fit.centre, fit.width), ProbitAroundFit()
            return _create_moved(name, prior, inner, units, moves, dims, start, bounds)
        base = prior.pymc_distribution.dist(**inner)
        return pm.Truncated(
            name,
            base,
            lower=bounds[0],
            upper=bounds[1],
            default_transform=ProbitInterval(),
            dims=dims or None,
            initval=start,
        )
    if not prior.centered:
        return _create_offset(name, prior, inner, dims)
    if prior.transform is not None:
        raw = prior.pymc_distribution(f"{name}_raw", **inner, dims=dims or None)
        return pm.Deterministic(name, _function(prior.transform)(raw), dims=dims or None)
    positive = issubclass(prior.pymc_distribution, PositiveContinuous)
    if width is not None:
        return _create_moved(name, prior, inner, (width,), InWidths(positive), dims, start)
    if rate is not None and positive:
        whole = 1 / (rate + inner.get("lam", 0))
        return _create_moved(name, prior, inner, (whole,), ProbitShare(), dims, start)
    if fit is not None and (positive or fit.rotation is not None):
        moves = LogAroundFit() if positive else AroundFit(fit.rotation)
        return _create_moved(name, prior, inner, (fit.centre, fit.width), moves, dims, start)
    return prior.pymc_distribution(name, **inner, dims=dims or None, initval=start)


def _hyperparameter(name: str, value: Any, dims: Dims) -> Any:
    if isinstance(value, Prior):
        return create_variable(name, value)
    if np.ndim(value):
        return pm.Data(name, np.asarray(value, float), dims=dims)
    return pm.Data(name, float(value))


def _create_offset(name: str, prior: Prior, inner: Mapping[str, Any], dims: Dims) -> Any:
    """Create a variable as location + scale × offset, with the prior on a standard offset."""
    standard = Prior.non_centered_distributions[prior.distribution]
    others = {key: value for key, value in inner.items() if key not in standard}
    offset = prior.pymc_distribution(f"{name}_offset", **standard, **others, dims=dims or None)
    value = inner.get("mu", 0.0) + inner["sigma"] * offset
    if prior.transform is not None:
        raw = pm.Deterministic(f"{name}_raw", value, dims=dims or None)
        value = _function(prior.transform)(raw)
    return pm.Deterministic(name, value, dims=dims or None)


def _function(transform: str) -> Callable[[Any], Any]:
    """Return the function that pymc-extras knows by the name of a transform."""
    homes = (pt, pm.math)
    found = (getattr(home, transform) for home in homes if hasattr(home, transform))
    function: Callable[[Any], Any] = CUSTOM_TRANSFORMS.get(transform) or next(found)
    return function


def _create_moved(
    name: str,
    prior: Prior,
    inner: Mapping[str, Any],
    units: tuple[Any, ...],
    transform: Transform,
    dims: Dims,
    start: Any,
    bounds: tuple[Any, Any] | None = None,
) -> Any:
    """Create a variable that follows its prior and passes `units` to its transform.

    PyMC gives a transform only the inputs of the distribution, so `units` must be among them.
    """
    own = len(inner)

    def base(*values: Any, **size: Any) -> Any:
        whole = prior.pymc_distribution.dist(**dict(zip(inner, values, strict=True)), **size)
        return pm.Truncated.dist(whole, lower=bounds[0], upper=bounds[1]) if bounds else whole

    def centre(_variable: Any, _size: Any, *inputs: Any) -> Any:
        return transform.backward(np.zeros(()), *inputs, None)

    return pm.CustomDist(
        name,
        *inner.values(),
        *units,
        dist=lambda *inputs: base(*inputs[:own], size=inputs[-1]),
        logp=lambda value, *values: pm.logp(base(*values[:own]), value),
        support_point=centre if bounds else None,
        default_transform=transform,
        dims=dims or None,
        initval=start,
    )
