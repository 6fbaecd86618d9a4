"""The fast sampler: each model structure is compiled once per process, then reused."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any

import numpy as np
import nutpie
import xarray as xr
from numpy.typing import NDArray

from bayes_scaling.errors import ModelError
from bayes_scaling.inference.diagnostics import Diagnostics, diagnose
from bayes_scaling.inference.laplace import Laplace, approximate
from bayes_scaling.inference.program import POINT, Bound, Program, compile_program, quickly
from bayes_scaling.inference.target import Target

# Statistics of the sampler worth keeping with every fit.
STATS = ("diverging", "depth", "n_steps", "step_size", "energy", "logp", "mean_tree_accept")

# Attempts at a posterior, in order: whether to sample in coordinates of its mode, share of the
# warm-up, target acceptance, and how many draws are made for each one kept. Most posteriors need
# only the first attempt.
_ATTEMPTS = (
    (True, 0.5, 0.95, 1),
    (True, 0.5, 0.99, 1),
    (True, 1.0, 0.99, 4),
    (False, 1.0, 0.99, 4),
)

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
    draws: int,
    tune: int,
    chains: int,
    cores: int | None,
    seed: int,
    progress: bool,
) -> tuple[xr.Dataset, xr.Dataset, Diagnostics]:
    """Sample a compiled density by NUTS (nutpie).

    Chains start round the mode, in coordinates scaled by the curvature there. A mass matrix with
    a low-rank part takes up the correlation that is left. Most posteriors are then sampled well
    after half of `tune` at a target acceptance of 0.95. If the draws fail the checks of
    :mod:`bayes_scaling.inference.diagnostics`, the posterior is sampled again at 0.99. If these
    fail too, it is sampled with all of `tune` and four times the draws, and every fourth draw is
    kept. The last attempt does the same in plain coordinates, because the curvature at the mode
    may mislead. If every attempt fails, the draws are those whose chains agree best.

    Parameters
    ----------
    bound : Bound
        Machine code of the density, with data.
    draws, tune, chains, cores, seed, progress
        As for :func:`bayes_scaling.inference.samplers.sample`.

    Returns
    -------
    posterior, sample_stats : xarray.Dataset
        Dimensions (chain, draw).
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
    at_mode, plain = approximate(bound), Laplace(bound.start, np.eye(bound.start.size))
    tried: list[tuple[xr.Dataset, xr.Dataset, Diagnostics]] = []
    for whitened, share, target_accept, thin in _ATTEMPTS:
        laplace = at_mode if whitened else plain
        tree = nutpie.sample(
            bound.for_nutpie(laplace.mode, laplace.scale),
            draws=thin * draws,
            tune=round(share * tune),
            chains=chains,
            cores=cores,
            seed=seed,
            target_accept=target_accept,
            adaptation="low_rank",
            save_warmup=False,
            progress_bar=progress,
        )
        made = tree["sample_stats"].to_dataset()
        if made.sizes["draw"] < thin * draws or made["logp"].isnull().any():
            # On Ctrl-C nutpie returns the draws so far, padded: no posterior to keep or trust.
            raise KeyboardInterrupt
        points = tree["posterior"][POINT].to_numpy()[:, thin - 1 :: thin]
        posterior = bound.constrain(laplace.mode + points @ laplace.scale.T)
        stats = _keep_every(thin, made[[name for name in STATS if name in made]])
        tried.append((posterior, stats, diagnose(posterior, stats)))
        if not tried[-1][2].problems():
            return tried[-1]
    return min(tried, key=lambda attempt: np.nan_to_num(attempt[2].max_rhat, nan=np.inf))


def _keep_every(thin: int, stats: xr.Dataset) -> xr.Dataset:
    """Return the statistics of every `thin`-th draw, with the divergences in between."""
    kept = stats.isel(draw=slice(thin - 1, None, thin))
    diverging: Any = stats["diverging"].coarsen(draw=thin).max().to_numpy()
    return kept.assign(diverging=(kept["diverging"].dims, diverging)).assign_coords(
        draw=range(kept.sizes["draw"])
    )
