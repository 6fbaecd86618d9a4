"""Machine code of a log density and its gradient, kept on disk for the next process.

Rewriting and compiling a law takes 2 to 3 s (docs/performance.md); reading its machine code
takes a twentieth of that. PyTensor's folder of compiled code keeps it, under a key of the whole
graph of the density, so that a changed law has another key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
import numpy as np
import pytensor
from numba import types
from pytensor.graph.basic import Constant, Variable

from bayes_scaling.inference import _private_names, log_gamma
from bayes_scaling.inference._private_names import (
    CACHED_SRC_FUNCTIONS,
    CFunc,
    OpFromGraph,
    ScalarInnerGraphOp,
    address_as_void_pointer,
    io_toposort,
)

_DOUBLES = types.CPointer(types.double)
_DENSITY = types.int64(types.uint64, _DOUBLES, _DOUBLES, _DOUBLES, types.voidptr)
_EXPANSION = types.int64(types.uint64, types.uint64, _DOUBLES, _DOUBLES, types.voidptr)
# How the compiled density tells nutpie that a point is outside what can be computed.
_FAILED, _NOT_FINITE = 1, 3
# What turns a graph into machine code. Numba takes account of itself and of the processor.
_TRANSLATORS = ("pytensor", "pymc", "nutpie")
_SOURCES = (__file__, log_gamma.__file__, _private_names.__file__)

# Stands for the compiled graph in the function below, which gets a copy of this module's names.
_graph: Any = None


def compile_density(
    inputs: Sequence[Variable], density: Variable, gradient: Callable[[], Variable]
) -> CFunc:
    """Return log density and gradient as a function with nutpie's C signature.

    Parameters
    ----------
    inputs : sequence of Variable
        A point, the values of the data and the places where they lie.
    density : Variable
        Graph of the log density, a scalar.
    gradient : callable
        Returns the graph of its gradient; called if there is no machine code yet.
    """

    def compiled() -> Any:
        return _compile([*inputs], [density, gradient()])

    function = FunctionType(_density.__code__, {**globals(), "_graph": None}, _density.__name__)
    code = _CodeOnDemand(function, _DENSITY, compiled)
    key = _key(inputs, density)
    if key is not None and pytensor.config.numba__cache:
        CACHED_SRC_FUNCTIONS[function] = key
        code.enable_caching()
    code.compile()
    return code


@cache
def unchanged() -> Any:
    """Return what nutpie calls to expand a point into what it stores: the point itself."""

    def expand(size, expanded, point, out, data):  # type: ignore[no-untyped-def]
        for i in range(size):
            out[i] = point[i]
        return 0

    return numba.cfunc(_EXPANSION)(expand)


class _CodeOnDemand(CFunc):
    """A callback that compiles the graph it calls only where its own code is not on disk."""

    def __init__(self, function: FunctionType, signature: Any, compiled: Callable[[], Any]) -> None:
        super().__init__(function, (signature.args, signature.return_type), {}, {})
        self._function, self._compiled = function, compiled

    def _compile_uncached(self) -> Any:
        self._function.__globals__["_graph"] = self._compiled()
        return super()._compile_uncached()  # type: ignore[misc]


def _density(size, point, gradient, logp, data):  # type: ignore[no-untyped-def]
    """Compute density and gradient at shift + scale @ point; without a scale, shift + point.

    Both loops read the scale row by row: by column, they took most of the time of 1,000 parameters.
    """
    places = numba.carray(data, (8,), np.int64)
    values = numba.carray(address_as_void_pointer(places[0]), (places[1],), np.float64)
    layout = numba.carray(address_as_void_pointer(places[2]), (places[3],), np.int64)
    shift = numba.carray(address_as_void_pointer(places[4]), (size,), np.float64)
    scale = numba.carray(address_as_void_pointer(places[6]), (size, size), np.float64)
    scaled = places[7] > 0
    # Loops: assigning a whole slice makes numba compile the text of a shape error.
    inside = np.empty(size)
    for i in range(size):
        inside[i] = shift[i]
        if scaled:
            for j in range(size):
                inside[i] += scale[i, j] * point[j]
        else:
            inside[i] += point[i]
    try:
        value, slopes = _graph(inside, values, layout)
    except Exception:
        return _FAILED
    logp[0] = value[()]
    finite = np.isfinite(logp[0])
    for j in range(size):
        gradient[j] = 0.0 if scaled else slopes[j]
    if scaled:
        for i in range(size):
            for j in range(size):
                gradient[j] += scale[i, j] * slopes[i]
    for j in range(size):
        finite &= np.isfinite(gradient[j])
    return 0 if finite else _NOT_FINITE


def _compile(inputs: list[Variable], outputs: list[Variable]) -> Any:
    """Return a graph as a function that numba can call.

    Without fast-math, because its results differ in the last bits when parts of the code come
    from the cache on disk, and the draws of a seed would then differ too.
    """
    mode = _private_names.numba_mode()
    with pytensor.config.change_flags(numba__fastmath=False):
        function = pytensor.function(inputs, outputs, mode=mode, on_unused_input="ignore")
    return _private_names.jitted(function)


def _key(inputs: Sequence[Variable], density: Variable) -> str | None:
    """Return a name of the density's graph and of all that compiles it; None if it has none."""
    text = hashlib.sha256(b"".join(Path(file).read_bytes() for file in _SOURCES))
    for package in _TRANSLATORS:
        text.update(f"{package} {version(package)}\n".encode())
    try:
        for line in _describe(inputs, [density]):
            text.update(f"{line}\n".encode())
    except _NamelessError:
        return None
    return text.hexdigest()


class _NamelessError(Exception):
    """An operation does not say all that it is."""


def _describe(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Iterator[str]:
    """Yield one line per operation of a graph: what it does, and to which results of others."""
    names: dict[Variable, str] = {}

    def name(variable: Variable) -> str:
        if isinstance(variable, Constant):
            value = np.asarray(variable.data)
            if value.dtype.hasobject:
                return repr(variable.data)
            return f"{value.dtype} {value.shape} {value.tobytes().hex()}"
        return names[variable]

    for i, variable in enumerate(inputs):
        names[variable] = f"input {i}"
        yield f"{names[variable]}: {variable.type!r}"
    for i, node in enumerate(io_toposort(inputs, outputs)):
        names |= {variable: f"{i}.{j}" for j, variable in enumerate(node.outputs)}
        kind = type(node.op)
        yield f"{i}: {kind.__module__} {kind.__qualname__} {node.op!r} of"
        yield from (f"    {name(variable)}" for variable in node.inputs)
        yield from (f"    -> {variable.type!r}" for variable in node.outputs)
        if isinstance(node.op, OpFromGraph):
            yield from _describe(node.op.inner_inputs, node.op.inner_outputs)
        elif getattr(kind, "__props__", None) is None or _is_abridged(node.op):
            raise _NamelessError
    yield f"returned: {[name(variable) for variable in outputs]}"


def _is_abridged(op: Any) -> bool:
    """Return whether the name of an operation leaves out a part of what it does."""
    return isinstance(getattr(op, "scalar_op", None), ScalarInnerGraphOp)
