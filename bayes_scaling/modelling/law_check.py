"""Check whether a law keeps the contract of `ScalingLaw`, and say in words what is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import xarray as xr
from pytensor.compile.mode import Mode

from bayes_scaling.errors import ModelError
from bayes_scaling.laws import (
    LOSS_LEVEL,
    LOSS_SCATTER,
    Constant,
    Input,
    Parameter,
    ScalingLaw,
    TwoStageLaw,
    as_law,
)
from bayes_scaling.laws._probe import (
    CHAIN,
    DRAW,
    PLACE,
    REACH,
    trial_centre,
    trial_inputs,
    trial_values,
)
from bayes_scaling.modelling.likelihoods import SCATTER_PARAMETERS
from bayes_scaling.modelling.model import ScalingModel

_RESERVED = {"neg_log_q", "level", "floor", "score", "curve", *(p.name for p in SCATTER_PARAMETERS)}
_RESERVED_DIMS = {"chain", "draw", "row", "run", "budget", "node", "sample"}
_PLACES = np.linspace(-REACH, REACH, 7)
_AT_CENTROID = np.zeros(1)
_AS_WRITTEN = Mode(linker="py", optimizer=None)


def check_law(law: ScalingLaw | type[ScalingLaw]) -> None:
    """Test that a law keeps the contract of :class:`~bayes_scaling.laws.ScalingLaw`.

    Parameters
    ----------
    law : ScalingLaw, or its class
        The law.

    Raises
    ------
    ModelError
        If it does not. The message lists in words what is broken: names and declarations, bounds
        and their order, the curve's value at the centroid, what it does to dimensions, whether
        NumPy and PyTensor agree, the constants, and the default priors.

    Examples
    --------
    >>> from bayes_scaling import check_law, get_law
    >>> check_law(get_law("broken_power_law"))
    """
    law = as_law(law)
    problems = list(_declarations(law))
    if not problems:
        problems = list(_computations(law))
    if not problems:
        problems = list(_priors(law))
    if problems:
        name = getattr(law, "name", type(law).__name__)
        raise ModelError("\n  ".join([f"law {name!r} breaks the contract:", *problems]))


# ---- what is declared --------------------------------------------------------------------------


def _declarations(law: ScalingLaw) -> Iterator[str]:
    for attribute in ("name", "equation", "source"):
        value = getattr(law, attribute, None)
        if not isinstance(value, str) or not value.strip():
            yield f"{attribute} is missing; give the class a text"
    yield from _inputs(law)
    yield from _parameters(law)
    constants = getattr(law, "constants", ())
    if not all(isinstance(one, Constant) for one in constants):
        yield "constants should hold Constant objects"
        return
    names = {one.name for one in constants}
    if law.ceiling and law.ceiling not in names:
        yield f"ceiling names {law.ceiling!r}, which is not among the constants"
    if isinstance(law, TwoStageLaw):
        yield from _stage_one(law)


def _inputs(law: ScalingLaw) -> Iterator[str]:
    inputs = law.inputs
    if isinstance(inputs, str) or not all(isinstance(one, str | Input) for one in inputs):
        yield "inputs should be a tuple of texts or Input objects, such as ('flops',)"
    elif not inputs:
        yield "inputs is empty; a law must read something of a run"
    elif len(set(law.columns)) < len(law.columns):
        yield "inputs names a column twice"


def _parameters(law: ScalingLaw) -> Iterator[str]:
    parameters = getattr(law, "parameters", None)
    if not isinstance(parameters, tuple) or not all(isinstance(p, Parameter) for p in parameters):
        yield "parameters is missing, or not a tuple of Parameter objects"
        return
    names = [p.name for p in parameters]
    constants = {one.name for one in law.constants}
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"two parameters are called {name!r}"
    for name in sorted(_RESERVED.intersection([*names, *constants])):
        yield f"{name!r} is a name of the model's own; choose another"
    for name in sorted(constants.intersection(names)):
        yield f"{name!r} is a parameter and a constant; choose another name for one"
    for parameter in parameters:
        if not np.isfinite(parameter.start):
            yield f"parameter {parameter.name!r} starts at {parameter.start}"
        for dim in sorted(_RESERVED_DIMS.intersection(parameter.dims)):
            yield f"parameter {parameter.name!r} has dimension {dim!r}, which is the model's own"
        if parameter.shown_as and parameter.shown_as not in constants:
            yield (
                f"parameter {parameter.name!r} is shown as {parameter.shown_as!r}, "
                "which is not among the constants"
            )


def _stage_one(law: TwoStageLaw) -> Iterator[str]:
    stage_one = getattr(law, "loss_parameters", ())
    missing = [p.name for p in stage_one if p not in law.parameters]
    if missing:
        yield f"loss_parameters {', '.join(missing)} are not among the parameters"
    names = {p.name for p in law.parameters}
    if LOSS_LEVEL.name not in names:
        yield "LOSS_LEVEL is missing from the parameters; the second stage is centred on it"
    if LOSS_SCATTER.name not in names:
        yield "LOSS_SCATTER is missing from the parameters; the scatter of a run's loss needs it"


# ---- what is computed --------------------------------------------------------------------------


class _Known(Mapping[str, Any]):
    """Values by name; a name that is missing raises an error that lists the others."""

    def __init__(self, values: Mapping[str, Any], what: str) -> None:
        self._values, self._what = values, what

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise _BrokenError(f"reads {self._what}[{name!r}], but there is only: {self.listed()}")
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def listed(self) -> str:
        return ", ".join(self._values)


class _BrokenError(Exception):
    """What is wrong with something that a law reads or returns, in words."""


def _tried(what: str, compute: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Return what is computed, and what went wrong in words."""
    try:
        return compute(), []
    except _BrokenError as broken:
        return None, [f"{what} {broken}"]
    except Exception as error:  # a user's code may fail in any way
        return None, [f"{what} fails: {type(error).__name__}: {error}"]


def _computations(law: ScalingLaw) -> Iterator[str]:
    values = trial_values(law)
    bounds = list(_bounds(law, values))
    yield from bounds
    x, wrong = _tried("features", lambda: trial_inputs(law, _PLACES))
    yield from wrong
    if wrong or bounds:
        return
    c = trial_centre(law)
    p = _Known(values, "p")
    curve, wrong = _tried("normalised_accuracy", lambda: _curve(law, p, x, c))
    wrong = wrong or list(_shape(curve))
    yield from wrong
    yield from _constants(law, p, c)
    if not wrong:
        yield from _centroid(law, values, c)
        yield from _movable(law, values, x, c, curve)
        yield from _pytensor(law, values, x, c)


def _curve(law: ScalingLaw, p: Mapping[str, Any], x: Any, c: Any) -> Any:
    """Return the curve and, for a two-stage law, the log loss, computed with NumPy."""
    rng = np.random.default_rng(0)
    p = _Known(law.beyond(dict(p), x, c, rng), "p")
    x, c = _Known(x, "x"), _Known(c, "c")
    found = law.normalised_accuracy(p, x, c, np)
    if isinstance(law, TwoStageLaw):
        return found, law.log_loss(p, x, c, np)
    return found, None


def _bounds(law: ScalingLaw, values: Mapping[str, Any]) -> Iterator[str]:
    """Check that bounds read only what comes before, and leave room at the start."""
    seen = {"neg_log_q": values["neg_log_q"]}
    for parameter in law.parameters:
        if parameter.upper is not None:
            yield from _bound(parameter, _Known(dict(seen), "p"))
        seen[parameter.name] = values[parameter.name]


def _bound(parameter: Parameter, seen: Mapping[str, Any]) -> Iterator[str]:
    upper: Any = parameter.upper
    what = f"the upper bound of {parameter.name!r}"
    bound, wrong = _tried(what, lambda: upper(seen, np))
    yield from wrong
    if wrong:
        return
    if parameter.start <= 0:
        yield f"{parameter.name!r} starts at {parameter.start:g}; its lower bound is 0"
    if not bool(np.all(np.asarray(bound) > parameter.start)):
        yield f"{parameter.name!r} starts at {parameter.start:g}, above its upper bound"


def _shape(curve: tuple[Any, Any]) -> Iterator[str]:
    for what, found in zip(("normalised_accuracy", "log_loss"), curve, strict=True):
        if found is None:
            continue
        if not isinstance(found, xr.DataArray):
            yield f"{what} returns {type(found).__name__}; labels of the draws are lost"
            return
        if set(found.dims) != {CHAIN, DRAW, PLACE}:
            got = ", ".join(map(str, found.dims))
            yield f"{what} returns dimensions ({got}) for (chain, draw, place); sum your own only"
            return
        if not bool(np.isfinite(found).all()):
            yield f"{what} is not finite everywhere within the fitted range"
    # Some published forms cross 0 and 1, which the model then cuts.
    if not bool((np.abs(curve[0]) < 10).all()):
        yield "normalised_accuracy is far outside (0, 1)"


def _centroid(law: ScalingLaw, values: Mapping[str, Any], c: Any) -> Iterator[str]:
    found = _curve(law, values, trial_inputs(law, _AT_CENTROID), c)[0]
    expected = np.exp(-values["neg_log_q"])
    if not np.allclose(found.isel({PLACE: 0}), expected, rtol=1e-3, atol=1e-3):
        one = {CHAIN: 0, DRAW: 0}
        got, should = float(found.isel({PLACE: 0, **one})), float(expected.isel(one))
        yield (
            f"at the centroid the curve is {got:.4g}, but exp(-neg_log_q) is {should:.4g}; "
            "write the curve so that they agree"
        )


def _movable(
    law: ScalingLaw, values: Mapping[str, Any], x: Any, c: Any, curve: Any
) -> Iterator[str]:
    """Check that every parameter does something."""
    for parameter in law.parameters:
        if parameter.name == LOSS_SCATTER.name:
            continue
        moved = {**values, parameter.name: values[parameter.name] * 1.05 + 1e-3}
        others = _curve(law, moved, x, c)
        same = [
            one is None or np.allclose(one, other, rtol=1e-12, atol=1e-15)
            for one, other in zip(curve, others, strict=True)
        ]
        if all(same):
            yield f"parameter {parameter.name!r} changes nothing; leave it out, or read it"


def _constants(law: ScalingLaw, p: Mapping[str, Any], c: Any) -> Iterator[str]:
    found, wrong = _tried("textbook", lambda: law.textbook(p, _Known(c, "c"), np))
    yield from wrong
    if wrong:
        return
    if not isinstance(found, Mapping):
        yield f"textbook returns {type(found).__name__}, not a dict of constants by name"
        return
    declared = {one.name for one in law.constants}
    if set(found) != declared:
        yield (
            f"textbook returns {_listed(found)}, but constants declares {_listed(declared)}; "
            "make them agree"
        )


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _pytensor(law: ScalingLaw, values: Mapping[str, Any], x: Any, c: Any) -> Iterator[str]:
    """Check that curve and constants are the same with PyTensor, for one draw."""
    one = {name: value.isel({CHAIN: 0, DRAW: 1}) for name, value in values.items()}
    computed, wrong = _tried("with PyTensor, the law", lambda: _evaluate(law, one, x, c))
    yield from wrong
    if wrong:
        return
    whole = {name: value.isel({DRAW: [1]}) for name, value in values.items()}
    curve, loss = (
        None if found is None else found.isel({CHAIN: 0, DRAW: 0})
        for found in _curve(law, whole, x, c)
    )
    expected = {"normalised_accuracy": curve, **law.textbook(one, c, np)}
    expected |= {} if loss is None else {"log_loss": loss}
    for name, value in expected.items():
        if not np.allclose(np.ravel(computed[name]), np.ravel(value), rtol=1e-6, atol=1e-9):
            yield f"{name} differs between NumPy and PyTensor; use functions of xp only"


def _evaluate(law: ScalingLaw, p: Mapping[str, Any], x: Any, c: Any) -> dict[str, Any]:
    symbols = {name: pt.as_tensor(value.to_numpy()) for name, value in p.items()}
    lines = {name: pt.as_tensor(value.to_numpy()) for name, value in x.items()}
    given = (_Known(symbols, "p"), _Known(lines, "x"), _Known(c, "c"))
    outputs = {"normalised_accuracy": law.normalised_accuracy(*given, pt)}
    if isinstance(law, TwoStageLaw):
        outputs["log_loss"] = law.log_loss(*given, pt)
    outputs |= law.textbook(given[0], given[2], pt)
    tensors = [pt.as_tensor(value) for value in outputs.values()]
    function = pytensor.function([], tensors, mode=_AS_WRITTEN)
    return dict(zip(outputs, function(), strict=True))


# ---- priors ------------------------------------------------------------------------------------


def _priors(law: ScalingLaw) -> Iterator[str]:
    try:
        ScalingModel(law)
    except ModelError as error:
        yield f"its default priors: {error}"
