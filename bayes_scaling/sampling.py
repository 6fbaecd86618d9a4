"""Posterior sampling: each structure of model is compiled once a process, then reused."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import xarray as xr

from bayes_scaling.diagnostics import Diagnostics, diagnose
from bayes_scaling.laplace import Laplace, approximate
from bayes_scaling.model import ScalingModel
from bayes_scaling.program import POINT, Bound, Program, compile_program

# Statistics of the sampler worth keeping with every fit.
_STATS = ("diverging", "depth", "n_steps", "step_size", "energy", "logp", "mean_tree_accept")

# Attempts at a posterior: whether in coordinates of its mode, share of the warm-up, target
# acceptance, and how many draws are made for one that is kept. Few posteriors need more than
# the first.
_ATTEMPTS = (
    (True, 0.5, 0.95, 1),
    (True, 0.5, 0.99, 1),
    (True, 1.0, 0.99, 4),
    (False, 1.0, 0.99, 4),
)

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
    model: ScalingModel, observations: xr.Dataset, **settings: Any
) -> tuple[xr.Dataset, xr.Dataset, Diagnostics]:
    """Sample the posterior of a settled model.

    Parameters
    ----------
    model, observations
        As returned by :meth:`ScalingModel.prepare`.
    **settings
        For :func:`sample_density`, which says what is returned and raised.
    """
    bound = program(model, observations).bind(model.data(observations), model.starts(observations))
    return sample_density(bound, **settings)


def sample_density(
    bound: Bound,
    *,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    cores: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> tuple[xr.Dataset, xr.Dataset, Diagnostics]:
    """Sample a compiled density by NUTS (nutpie).

    Chains start round the mode, in coordinates scaled by the curvature there. What correlation
    is left, a mass matrix with a low-rank part takes up. Most posteriors are then sampled well
    after half of `tune` at a target acceptance of 0.95. One that was not, by the measures of
    :mod:`bayes_scaling.diagnostics`, is sampled again at 0.99; if that does not do, with all of
    `tune` and four times the draws, of which every fourth is kept; and then so in plain
    coordinates, since its curvature at the mode may be what misleads. If none does, the draws are
    those whose chains agree best.

    Parameters
    ----------
    bound : Bound
        Machine code of the density, with data.
    draws, tune, chains : int
        Kept draws and warm-up steps of each chain, and chains.
    cores : int, optional
        Chains that run at one time; the draws do not depend on it.
    seed : int
        Seed; the same seed gives the same draws.
    progress : bool
        Whether to show nutpie's progress bar.

    Returns
    -------
    posterior, sample_stats : xarray.Dataset
        Dimensions (chain, draw). A kept draw is diverging if one since the last kept is.
    diagnostics : Diagnostics
        Whether the draws can be trusted.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C.
    """
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
            # nutpie answers Ctrl-C with the draws so far, padded: no posterior to keep or trust.
            raise KeyboardInterrupt
        points = tree["posterior"][POINT].to_numpy()[:, thin - 1 :: thin]
        posterior = bound.constrain(laplace.mode + points @ laplace.scale.T)
        stats = _keep_every(thin, made[[name for name in _STATS if name in made]])
        tried.append((posterior, stats, diagnose(posterior, stats)))
        if not tried[-1][2].problems():
            return tried[-1]
    return min(tried, key=lambda attempt: np.nan_to_num(attempt[2].max_rhat, nan=np.inf))


def _keep_every(thin: int, stats: xr.Dataset) -> xr.Dataset:
    """Return the statistics of every so many draws, forgetting no divergence between them."""
    kept = stats.isel(draw=slice(thin - 1, None, thin))
    diverging = stats["diverging"].coarsen(draw=thin).max().to_numpy()
    return kept.assign(diverging=(kept["diverging"].dims, diverging)).assign_coords(
        draw=range(kept.sizes["draw"])
    )


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
