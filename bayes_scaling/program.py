"""Machine code of a PyMC model whose data are arguments: compiled once, bound to any series.

nutpie compiles a model too, but spends most of its time on a wrapper that unpacks each data
container by itself (docs/performance.md). Here all data of a model travel as one vector of
numbers, and only the log density is compiled; what happens once a fit and not once a step (to
start the chains, to turn their draws into parameters) is evaluated without compiling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numba
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from numba import types
from numpy.typing import NDArray
from nutpie.compile_pymc import CompiledPyMCModel, address_as_void_pointer
from pymc.pytensorf import rewrite_pregrad
from pytensor.graph.replace import clone_replace, vectorize_graph

_POINT = "unconstrained"
_DOUBLES = types.CPointer(types.double)
_DENSITY = types.int64(types.uint64, _DOUBLES, _DOUBLES, _DOUBLES, types.voidptr)
_EXPANSION = types.int64(types.uint64, types.uint64, _DOUBLES, _DOUBLES, types.voidptr)
# How the compiled density tells nutpie that a point is outside what can be computed.
_FAILED, _NOT_FINITE = 1, 3


@dataclass(frozen=True)
class Program:
    """The log density of a model as machine code, with the model's data as arguments.

    Make one with :func:`compile_program`.

    Attributes
    ----------
    size : int
        Number of elements of an unconstrained point.
    density : numba.core.ccallback.CFunc
        Log density and gradient at an unconstrained point.
    """

    size: int
    density: Any
    _data: _Layout
    _unconstrain: Callable[..., Any]
    _constrain: Callable[..., Any]
    _starts: tuple[str, ...]
    _dims: Mapping[str, tuple[str, ...]]

    def bind(self, data: Mapping[str, Any], starts: Mapping[str, Any]) -> Any:
        """Return the program with data, as a model that :func:`nutpie.sample` takes.

        Parameters
        ----------
        data : mapping of str to array
            A value for each `pm.Data` of the model.
        starts : mapping of str to array
            Where the chains start, before jitter, for each sampled parameter.
        """
        values, layout = self._data.pack(data)
        start = self._unconstrain(
            *(np.asarray(starts[k], float) for k in self._starts), values, layout
        )
        # Addresses for the machine code; `shared_data` keeps alive what they point to.
        places = np.array([values.ctypes.data, values.size, layout.ctypes.data, layout.size])
        return CompiledPyMCModel(
            dims={},
            compiled_logp_func=self.density,
            compiled_expand_func=_unchanged(),
            initial_point_func=lambda seed: _jitter(start, seed),
            shared_data={"values": values, "layout": layout},
            shared_var_keys={},
            user_data=places,
            n_expanded=self.size,
            shape_info=([_POINT], [slice(0, self.size)], [(self.size,)]),
            logp_func=None,
            expand_func=None,
            _n_dim=self.size,
            _shapes={_POINT: (self.size,)},
            _coords={},
        )

    def constrain(self, draws: xr.Dataset, data: Mapping[str, Any]) -> xr.Dataset:
        """Return sampled parameters and deterministics of the draws of a bound program."""
        points = draws[_POINT].to_numpy()
        values = self._constrain(points.reshape(-1, self.size), *self._data.pack(data))
        return xr.Dataset(
            {
                name: (
                    ("chain", "draw", *dims),
                    value.reshape(*points.shape[:2], *value.shape[1:]),
                )
                for (name, dims), value in zip(self._dims.items(), values, strict=True)
            },
            coords={name: draws[name] for name in ("chain", "draw")},
        )


@dataclass(frozen=True)
class _Layout:
    """Where each data container lies in one vector: scalars first, then arrays, flattened.

    Beside the vector goes a second one with the offset and the shape of each array.
    """

    scalars: tuple[str, ...]
    arrays: tuple[str, ...]

    def pack(self, data: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        values = [np.ravel(np.asarray(data[k], float)) for k in (*self.scalars, *self.arrays)]
        ends = np.cumsum([v.size for v in values])
        layout: list[int] = []
        for name, end, value in zip((*self.scalars, *self.arrays), ends, values, strict=True):
            if name in self.arrays:
                layout += [end - value.size, *np.shape(data[name])]
        return np.concatenate(values), np.array(layout, np.int64)

    def unpack(self, containers: Mapping[str, Any], values: Any, layout: Any) -> dict[Any, Any]:
        """Return the graph of each container in terms of the two vectors."""
        graphs = {name: values[i] for i, name in enumerate(self.scalars)}
        place = 0
        for name in self.arrays:
            ndim = containers[name].ndim
            shape = [layout[place + 1 + axis] for axis in range(ndim)]
            flat = values[layout[place] : layout[place] + pt.prod(shape)]
            graphs[name] = flat.reshape(shape) if ndim > 1 else flat
            place += 1 + ndim
        return {
            variable: variable.type.filter_variable(graphs[name].astype(variable.dtype))
            for name, variable in containers.items()
        }


def compile_program(model: pm.Model) -> Program:
    """Compile the log density of a model and its gradient.

    Parameters
    ----------
    model : pymc.Model
        All of its parameters continuous; its data in `pm.Data`.
    """
    free, hidden = model.free_RVs, [model.rvs_to_values[rv] for rv in model.free_RVs]
    containers = {str(v.name): v for v in model.data_vars}
    layout = _Layout(
        tuple(k for k, v in containers.items() if v.ndim == 0),
        tuple(k for k, v in containers.items() if v.ndim > 0),
    )
    shapes = [model.eval_rv_shapes()[rv.name] for rv in free]
    size = sum(int(np.prod(shape)) for shape in shapes)
    values, places = pt.dvector("values"), pt.lvector("layout")
    point = pt.TensorType("float64", shape=(size,))(_POINT)
    known = layout.unpack(containers, values, places)
    inside = dict(zip(hidden, _split(point, shapes), strict=True)) | known

    density = rewrite_pregrad(model.logp())
    gradient = pt.concatenate([g.ravel() for g in pt.grad(density, hidden)])
    named = [*free, *model.deterministics]
    outside = model.replace_rvs_by_values(named)
    many = pt.dmatrix("points")
    starts = [rv.type() for rv in free]
    return Program(
        size,
        _machine_code([point, values, places], clone_replace([density, gradient], inside)),
        layout,
        _evaluated(
            [*starts, values, places],
            pt.concatenate(list(_transformed(model, dict(zip(free, starts, strict=True)), known))),
        ),
        _evaluated(
            [many, values, places],
            vectorize_graph(clone_replace(outside, inside), {point: many}),
        ),
        tuple(rv.name for rv in free),
        {v.name: model.named_vars_to_dims.get(v.name, ()) for v in named},
    )


def _split(point: Any, shapes: Sequence[tuple[int, ...]]) -> Iterator[Any]:
    """Return the variables that one flat point holds."""
    end = 0
    for shape in shapes:
        start, end = end, end + int(np.prod(shape))
        yield point[start:end].reshape(shape) if shape else point[start]


def _transformed(
    model: pm.Model, starts: Mapping[Any, Any], known: Mapping[Any, Any]
) -> Iterator[Any]:
    """Return each parameter's start on the unconstrained scale, flattened."""
    for rv, start in starts.items():
        transform = model.rvs_to_transforms[rv]
        inputs = clone_replace(list(rv.owner.inputs), {**starts, **known})
        yield (start if transform is None else transform.forward(start, *inputs)).ravel()


def _machine_code(inputs: list[Any], outputs: list[Any]) -> Any:
    """Return log density and gradient as a function with nutpie's C signature.

    Without fast-math, because its liberties turn out otherwise when parts of the code come from
    the cache on disk: the last bits would differ, and with them the draws of a seed.
    """
    with pytensor.config.change_flags(numba__fastmath=False):
        function = pytensor.function(inputs, outputs, mode="NUMBA", on_unused_input="ignore")
    inner = function.vm.jit_fn

    def density(size, point, gradient, logp, data):  # type: ignore[no-untyped-def]
        places = numba.carray(data, (4,), np.int64)
        values = numba.carray(address_as_void_pointer(places[0]), (places[1],), np.float64)
        layout = numba.carray(address_as_void_pointer(places[2]), (places[3],), np.int64)
        try:
            value, slopes = inner(numba.carray(point, (size,)), values, layout)
        except Exception:
            return _FAILED
        logp[0] = value[()]
        finite = np.isfinite(logp[0])
        # A loop: assigning the whole slice makes numba compile the text of a shape error.
        for i in range(size):
            gradient[i] = slopes[i]
            finite &= np.isfinite(slopes[i])
        return 0 if finite else _NOT_FINITE

    return numba.cfunc(_DENSITY)(density)


@cache
def _unchanged() -> Any:
    """Return what nutpie calls to expand a point into what it stores: the point itself."""

    def expand(size, expanded, point, out, data):  # type: ignore[no-untyped-def]
        for i in range(size):
            out[i] = point[i]
        return 0

    return numba.cfunc(_EXPANSION)(expand)


def _evaluated(inputs: list[Any], outputs: Any) -> Callable[..., Any]:
    """Return a function that is evaluated by NumPy, node by node: quick to make, slow to run."""
    return pytensor.function(inputs, outputs, mode="FAST_COMPILE", on_unused_input="ignore")


def _jitter(start: NDArray[np.float64], seed: Any) -> NDArray[np.float64]:
    """Move a start by up to 1 in each direction of the unconstrained space, as PyMC does."""
    return start + np.random.default_rng(seed).uniform(-1, 1, start.size)
