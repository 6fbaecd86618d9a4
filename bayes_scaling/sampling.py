"""Posterior sampling: each structure of model is compiled once a process, then reused."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import nutpie
import pymc as pm
import xarray as xr

from bayes_scaling.model import ScalingModel
from bayes_scaling.program import Program, compile_program

# Statistics of the sampler worth keeping with every fit.
_STATS = ("diverging", "depth", "n_steps", "step_size", "energy", "logp", "mean_tree_accept")

_programs: dict[tuple[Any, ...], Program] = {}
_compiling = threading.Lock()


def program(model: ScalingModel, observations: xr.Dataset) -> Program:
    """Return the machine code of a settled model, compiling it at its first use.

    Data, chance levels, item counts and prior hyperparameters are arguments of the code, so it
    serves every series that the law is fitted to.
    """
    key = model.structure()
    with _compiling:
        if key not in _programs:
            _programs[key] = compile_program(model.build(observations))
    return _programs[key]


def sample_posterior(
    model: ScalingModel,
    observations: xr.Dataset,
    *,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    cores: int | None = None,
    seed: int = 0,
    target_accept: float = 0.99,
    progress: bool = False,
    on_progress: Callable[..., None] | None = None,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Sample the posterior of a settled model by NUTS (nutpie).

    The mass matrix is adapted with a low-rank part: where runs are far from the floor or
    the ceiling, level, floor and exponent stay correlated, which a diagonal cannot follow.

    Parameters
    ----------
    model, observations
        As returned by :meth:`ScalingModel.prepare`.
    draws, tune, chains : int
        Kept draws and warm-up steps of each chain, and chains.
    cores : int, optional
        Chains that run at one time; the draws do not depend on it.
    seed : int
        Seed; the same seed gives the same draws.
    target_accept : float
        Mean acceptance that the step size is adapted to.
    progress : bool
        Whether to show nutpie's progress bar.
    on_progress : callable, optional
        Called now and then with the state of the chains.

    Returns
    -------
    posterior, sample_stats : xarray.Dataset
        Dimensions (chain, draw).
    """
    code, data = program(model, observations), model.data(observations)
    tree = nutpie.sample(
        code.bind(data, model.starts(observations)),
        draws=draws,
        tune=tune,
        chains=chains,
        cores=cores,
        seed=seed,
        target_accept=target_accept,
        adaptation="low_rank",
        save_warmup=False,
        progress_bar=progress,
        progress_callback=on_progress,
    )
    stats = tree["sample_stats"].to_dataset()
    posterior = code.constrain(tree["posterior"].to_dataset(), data)
    return posterior, stats[[name for name in _STATS if name in stats]]


def sample_prior(
    model: ScalingModel, observations: xr.Dataset, *, draws: int = 1000, seed: int = 0
) -> xr.Dataset:
    """Draw parameters from the prior of a settled model; dimensions (chain, draw)."""
    with model.build(observations) as built, _unannounced():
        names = [v.name for v in (*built.free_RVs, *built.deterministics)]
        built.potentials.clear()  # a potential is likelihood here, and has no prior draws
        tree = pm.sample_prior_predictive(
            draws=draws, var_names=names, random_seed=seed, compile_kwargs={"mode": "FAST_COMPILE"}
        )
    prior: xr.Dataset = tree["prior"].to_dataset()
    return prior


@contextmanager
def _unannounced() -> Iterator[None]:
    """Keep PyMC from listing on stderr what it draws from a prior."""
    logger = logging.getLogger("pymc.sampling.forward")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
