"""The fast sampler: each model structure is compiled once per process, then reused."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_scaling.errors import ModelError
from bayes_scaling.inference.attempts import ORDER, Wanted, run_in_order
from bayes_scaling.inference.diagnostics import Diagnostics
from bayes_scaling.inference.hierarchical import sample_hierarchical
from bayes_scaling.inference.modes import describe_modes, search_modes
from bayes_scaling.inference.program import Bound, Program, compile_program, quickly
from bayes_scaling.inference.record import Record
from bayes_scaling.inference.several import sample_several
from bayes_scaling.inference.target import Target

_programs: dict[Hashable, Program] = {}
_compiling = threading.Lock()


def prepare(target: Target) -> Bound:
    """Return the machine code of a target with its data, compiling it at its first use.

    Data, chance levels, item counts and prior hyperparameters are arguments of the code, so it
    serves every series that a law is fitted to.

    Raises
    ------
    RuntimeError
        If newly compiled machine code disagrees with PyMC.
    """
    key = target.structure()
    with _compiling:
        if key in _programs:
            return _bind(_programs[key], target)
        with quickly():
            program = compile_program(target.pymc)
            bound = _bind(program, target)
            bound.check()
        _programs[key] = program
        return bound


def _bind(program: Program, target: Target) -> Bound:
    starts = target.starts()
    if any(starts.get(name) is None for name in program.sampled):
        return program.bind(target.data(), _pymc_start(target))
    return program.bind(target.data(), starts)


def _pymc_start(target: Target) -> NDArray[np.float64]:
    """Return where PyMC would start, on the unconstrained scale."""
    model = target.pymc
    point = model.initial_point(random_seed=0)
    names = [model.rvs_to_values[rv].name for rv in model.free_RVs]
    return np.concatenate([np.ravel(point[name]) for name in names]).astype(float)


def sample_bound(
    bound: Bound,
    *,
    hierarchical: bool = False,
    draws: int,
    tune: int,
    chains: int,
    cores: int | None,
    seed: int,
    progress: bool,
) -> tuple[xr.Dataset, xr.Dataset, Diagnostics]:
    """Sample a compiled density by NUTS (nutpie).

    First its modes are looked for (:mod:`bayes_scaling.inference.modes`). Chains start round
    them, in coordinates scaled by the curvature there. A mass matrix with a low-rank part takes
    up the correlation that is left. Which attempts follow is fixed in advance
    (:mod:`bayes_scaling.inference.attempts`). The first whose draws pass the checks of
    :mod:`bayes_scaling.inference.diagnostics` is kept, and the last if none does: no attempt is
    chosen because it looks better than others.

    With one mode, the attempts differ in their settings only: first half of `tune` at a target
    acceptance of 0.95, then 0.99, then all of `tune` at 0.999 and four times the draws, of which
    every fourth is kept. The last one makes as many at 0.99, in plain coordinates and from the
    usual start, because the mode and the curvature there may mislead. With several modes, see
    :func:`bayes_scaling.inference.several.sample_several`.

    Parameters
    ----------
    bound : Bound
        Machine code of the density, with data.
    hierarchical : bool
        Whether scales of vectors are sampled; see :mod:`bayes_scaling.inference.hierarchical`.
    draws, tune, chains, cores, seed, progress
        As for :func:`bayes_scaling.inference.samplers.sample`.

    Returns
    -------
    posterior, sample_stats : xarray.Dataset
        Dimensions (chain, draw). The attributes of `sample_stats` have the record of sampling
        (:mod:`bayes_scaling.inference.record`).
    diagnostics : Diagnostics
        Whether the draws can be trusted.

    Raises
    ------
    ModelError
        If there is no density where the chains would start.
    KeyboardInterrupt
        On Ctrl-C.
    """
    if not np.isfinite(bound.log_density(bound.start)[0]):
        raise ModelError(
            "the posterior has no density where the chains start: a prior leaves no room there, "
            "or a hyperparameter is out of range (a negative sigma?)"
        )
    wanted = Wanted(draws, tune, chains, cores, seed, progress)
    if hierarchical:
        return sample_hierarchical(bound, wanted)
    modes = search_modes(bound, seed)
    if len(modes) > 1:
        return sample_several(bound, modes, wanted)
    tried = list(run_in_order(bound, {1: modes[0]}, ORDER[:-1], wanted))
    if not tried[-1].passed:
        # A density without bound, as of a vector whose scale is sampled, has its mode far from
        # its mass: the last attempt starts where the model says.
        tried += run_in_order(bound, {1: replace(modes[0], mode=bound.start)}, ORDER[-1:], wanted)
    record = Record(
        attempts=[one.entry(one is tried[-1]) for one in tried],
        modes=describe_modes(bound, modes, [1.0], [0.0]),
    )
    return tried[-1].posterior, record.attach(tried[-1].sample_stats), tried[-1].diagnostics
