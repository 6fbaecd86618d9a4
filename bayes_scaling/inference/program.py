"""Machine code of a PyMC model whose data are arguments: compiled once, bound to any series.

nutpie compiles a model too, but spends most of its time on a wrapper that unpacks each data
container by itself (docs/performance.md). Here all data of a model travel as one vector of
numbers, and only the log density is compiled. Work that is done once per fit and not once per
step (starting the chains, turning their draws into parameters) is evaluated without compiling.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from numpy.typing import NDArray
from pytensor.compile.mode import Mode
from pytensor.graph.replace import clone_replace, vectorize_graph
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.type import RandomType

from bayes_scaling.inference._private_names import as_nutpie_model, rewrite_pregrad
from bayes_scaling.inference.log_gamma import with_fast_log_gamma
from bayes_scaling.inference.machine_code import compile_density, unchanged

POINT = "unconstrained"
# Evaluates a graph without rewriting it: used once per program, to check the machine code.
_AS_WRITTEN = Mode(linker="py", optimizer=None)


@dataclass(frozen=True)
class Program:
    """The log density of a model as machine code, with the model's data as arguments.

    Make one with :func:`compile_program`.

    Attributes
    ----------
    size : int
        Number of elements of an unconstrained point.
    density : numba.core.ccallback.CFunc
        Log density and gradient at a point, in nutpie's C signature. The point is given in
        coordinates that are unconstrained up to a shift and a linear map, which are data too.
    sampled : tuple of str
        Names of the variables that are sampled, in the order of the point.
    """

    size: int
    density: Any
    _data: _Layout
    _unconstrain: Callable[..., Any]
    _draw_prior: Callable[[np.random.Generator, Any, Any], Any]
    _constrain: Callable[..., Any]
    _reference: Callable[..., Any]
    _dims: Mapping[str, tuple[str, ...]]
    _coords: Mapping[str, Any]
    sampled: tuple[str, ...]

    def bind(
        self, data: Mapping[str, Any], starts: Mapping[str, Any] | NDArray[np.float64]
    ) -> Bound:
        """Return the program bound to data.

        Parameters
        ----------
        data : mapping of str to array
            A value for each `pm.Data` of the model.
        starts : mapping of str to array, or array
            Where to start from: a value for each of `sampled`, or an unconstrained point.
        """
        packed = self._data.pack(data)
        if isinstance(starts, np.ndarray):
            return Bound(self, *packed, starts)
        named = (np.asarray(starts[name], float) for name in self.sampled)
        return Bound(self, *packed, self._unconstrain(*named, *packed))


@dataclass(frozen=True)
class Bound:
    """A program with the data of one series.

    Attributes
    ----------
    program : Program
    values, layout : numpy.ndarray
        The data, and where each container lies in it.
    start : numpy.ndarray
        An unconstrained point to start from.
    """

    program: Program
    values: NDArray[np.float64]
    layout: NDArray[np.int64]
    start: NDArray[np.float64]

    @cached_property
    def _unmapped(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shift and scale that leave points as they are."""
        return np.zeros(self.program.size), np.empty((0, 0))

    @cached_property
    def _unmapped_places(self) -> NDArray[np.int64]:
        return self._places(*self._unmapped)

    def log_density(self, point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return log density and gradient at an unconstrained point; −inf where there is none."""
        value, slopes, at = np.empty(1), np.empty(point.size), np.array(point, float)
        # Half as long as `data_as`, and a chain that jumps comes here some 200,000 times.
        vector = ctypes.c_double * point.size
        failure = self.program.density.ctypes(
            point.size,
            vector.from_buffer(at),
            vector.from_buffer(slopes),
            ctypes.c_double.from_buffer(value),
            self._unmapped_places.ctypes.data,
        )
        return (-np.inf, np.zeros(point.size)) if failure else (float(value[0]), slopes)

    def prior_points(self, draws: int, seed: int) -> NDArray[np.float64]:
        """Return draws from the prior as unconstrained points, which need not be finite.

        Parameters
        ----------
        draws : int
            Number of draws.
        seed : int
            Seed; the same seed gives the same draws.

        Returns
        -------
        numpy.ndarray
            Shape (draws, size); no rows if the model has a prior that cannot be drawn from.
        """
        rng = np.random.default_rng([seed, 0])
        try:
            made = [self.program._draw_prior(rng, self.values, self.layout) for _ in range(draws)]
        except NotImplementedError:  # of a flat prior
            made = []
        return np.reshape(made, (-1, self.program.size))

    def check(self) -> None:
        """Compare the machine code with what PyMC computes at one point, node by node.

        Raises
        ------
        RuntimeError
            If the density differs, or the gradient is not its slope.
        """
        rng = np.random.default_rng(0)
        point = self.start + rng.uniform(-0.1, 0.1, self.start.size)
        value, slopes = self.log_density(point)
        try:
            expected = float(self.program._reference(point, self.values, self.layout))
        except ValueError:  # PyMC's, of a parameter out of range
            expected = -np.inf
        if not np.isfinite(expected):
            return  # no density here: nothing to compare, and the sampler will say so
        if not np.isclose(value, expected, rtol=1e-7, atol=1e-6):
            raise RuntimeError(f"compiled log density {value:.9g} is not PyMC's {expected:.9g}")
        direction = rng.standard_normal(point.size)
        step = 1e-5 / np.linalg.norm(direction)
        ends = [self.log_density(point + sign * step * direction)[0] for sign in (1, -1)]
        slope, along = (ends[0] - ends[1]) / (2 * step), float(slopes @ direction)
        size = np.linalg.norm(slopes) * np.linalg.norm(direction)
        if not np.isclose(slope, along, rtol=1e-3, atol=1e-3 * size + 1e-3):
            raise RuntimeError(f"compiled gradient {along:.6g} is not the slope {slope:.6g}")

    def for_nutpie(self, shift: NDArray[np.float64], scale: NDArray[np.float64] | None) -> Any:
        """Return a model that :func:`nutpie.sample` takes.

        Its points u stand for the unconstrained points shift + scale @ u, or shift + u without a
        scale; chains start within 1 of the shift in each direction of u.

        Parameters
        ----------
        shift : numpy.ndarray
            Shape (size,).
        scale : numpy.ndarray, optional
            Shape (size, size).
        """
        size = self.program.size
        shift = np.ascontiguousarray(shift)
        scale = np.empty((0, 0)) if scale is None else np.ascontiguousarray(scale)
        return as_nutpie_model(
            self.program.density,
            unchanged(),
            lambda seed: np.random.default_rng(seed).uniform(-1, 1, size),
            {"data": self.values, "layout": self.layout, "at": shift, "by": scale},
            self._places(shift, scale),
            size,
            POINT,
        )

    def _places(self, shift: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the addresses and lengths that the machine code reads."""
        arrays = (self.values, self.layout, shift, scale)
        return np.array([n for a in arrays for n in (a.ctypes.data, a.size)])

    def constrain(self, points: NDArray[np.float64]) -> xr.Dataset:
        """Return sampled parameters and deterministics of unconstrained points.

        Parameters
        ----------
        points : numpy.ndarray
            Shape (chain, draw, size).
        """
        chains, draws, size = points.shape
        values = self.program._constrain(points.reshape(-1, size), self.values, self.layout)
        return xr.Dataset(
            {
                name: (("chain", "draw", *dims), _by_draw(value, chains, draws, len(dims)))
                for (name, dims), value in zip(self.program._dims.items(), values, strict=True)
            },
            coords={"chain": range(chains), "draw": range(draws), **self.program._coords},
        )


def _by_draw(value: NDArray[np.float64], chains: int, draws: int, ndim: int) -> Any:
    """Return values by chain and draw; a value that depends on no parameter is repeated."""
    if value.ndim == ndim:
        return np.broadcast_to(value, (chains, draws, *value.shape))
    return value.reshape(chains, draws, *value.shape[1:])


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


@contextmanager
def quickly() -> Iterator[None]:
    """Work on graphs without what takes a third of the time.

    The search for cycles pauses, and PyTensor does not note where each node was made.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        with pytensor.config.change_flags(traceback__limit=0):
            yield
    finally:
        if running:
            gc.enable()


@quickly()
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
    shapes = _shapes(model)
    size = sum(int(np.prod(shape)) for shape in shapes)
    values, places = pt.dvector("values"), pt.lvector("layout")
    point = pt.TensorType("float64", shape=(size,))(POINT)
    known = layout.unpack(containers, values, places)
    inside = dict(zip(hidden, _split(point, shapes), strict=True)) | known

    density = rewrite_pregrad(with_fast_log_gamma(model.logp()))
    # Term by term: Python's own addition of PyTensor stops at 32 of them.
    written = reduce(add, (term.sum() for term in model.logp(sum=False)))

    def gradient() -> Any:
        slopes = pt.concatenate([g.ravel() for g in pt.grad(density, hidden)])
        return clone_replace([slopes], inside)[0]

    named = [*free, *model.deterministics]
    outside = model.replace_rvs_by_values(named)
    many = pt.dmatrix("points")
    starts = [rv.type() for rv in free]
    return Program(
        size,
        compile_density([point, values, places], clone_replace([density], inside)[0], gradient),
        layout,
        _evaluated(
            [*starts, values, places],
            pt.concatenate(list(_transformed(model, dict(zip(free, starts, strict=True)), known))),
        ),
        _prior_drawer(model, known, [values, places]),
        _evaluated(
            [many, values, places],
            vectorize_graph(clone_replace(outside, inside), {point: many}),
        ),
        _evaluated([point, values, places], clone_replace([written], inside)[0], _AS_WRITTEN),
        (dims := {v.name: model.named_vars_to_dims.get(v.name, ()) for v in named}),
        {dim: list(model.coords[dim]) for dim in {d for own in dims.values() for d in own}},
        tuple(rv.name for rv in free),
    )


def _shapes(model: pm.Model) -> list[tuple[int, ...]]:
    """Return the shape of each sampled variable."""
    dims = [model.named_vars_to_dims.get(rv.name, ()) for rv in model.free_RVs]
    labelled = all(len(own) == rv.ndim for own, rv in zip(dims, model.free_RVs, strict=True))
    if labelled and all(model.coords.get(dim) is not None for own in dims for dim in own):
        return [tuple(len(model.coords[dim]) for dim in own) for own in dims]
    shape_of = model.eval_rv_shapes()  # compiles a function, which takes a tenth of a second
    return [shape_of[rv.name] for rv in model.free_RVs]


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


def _prior_drawer(
    model: pm.Model, known: Mapping[Any, Any], inputs: list[Any]
) -> Callable[[np.random.Generator, Any, Any], Any]:
    """Return a function of a generator and the data that draws an unconstrained prior point."""
    drawn = pt.concatenate(list(_transformed(model, {rv: rv for rv in model.free_RVs}, {})))
    shared = [v for v in ancestors([drawn]) if v.owner is None and isinstance(v.type, RandomType)]
    own = [v.type() for v in shared]
    graph = clone_replace([drawn], {**known, **dict(zip(shared, own, strict=True))})[0]
    draw = _evaluated([*own, *inputs], graph)
    # Generators are inputs, so that threads do not share them and a seed decides the draw.
    return lambda rng, values, layout: draw(*rng.spawn(len(own)), values, layout)


def _evaluated(inputs: list[Any], outputs: Any, mode: Any = "FAST_COMPILE") -> Callable[..., Any]:
    """Return a function that is evaluated by NumPy, node by node: quick to make, slow to run."""
    return pytensor.function(inputs, outputs, mode=mode, on_unused_input="ignore")
