"""One attempt at a posterior: settings fixed in advance, the draws, and what they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import nutpie
import xarray as xr
from numpy.typing import NDArray

from bayes_scaling.inference.diagnostics import Diagnostics, diagnose
from bayes_scaling.inference.laplace import Laplace
from bayes_scaling.inference.program import POINT, Bound
from bayes_scaling.inference.record import describe_attempt

# Statistics of the sampler worth keeping with every fit.
STATS = ("diverging", "depth", "n_steps", "step_size", "energy", "logp", "mean_tree_accept")


@dataclass(frozen=True)
class Wanted:
    """What the caller asks for; see :func:`bayes_scaling.inference.samplers.sample`."""

    draws: int
    tune: int
    chains: int
    cores: int | None
    seed: int
    progress: bool


@dataclass(frozen=True)
class Settings:
    """Settings of one attempt.

    Attributes
    ----------
    whitened : bool
        Whether to sample in coordinates of the mode, or in plain ones.
    share : float
        Share of the warm-up that is asked for.
    target_accept : float
        Target acceptance.
    thin : int
        How many draws are made for each one kept.
    adaptation : str
        nutpie's mass matrix: diagonal, or with a low-rank part. The latter takes most of the time
        where there are hundreds of parameters.
    depth : int or None
        Each draw is chosen from 2**depth steps along one trajectory. None leaves it to NUTS, which
        stops at a U-turn. Where most of a thousand parameters turn soon, that is long before a
        few slow ones have moved.
    """

    whitened: bool
    share: float
    target_accept: float
    thin: int
    adaptation: Literal["low_rank", "diag"] = "low_rank"
    depth: int | None = None


# In this order, until one passes. Most posteriors need only the first. Four times the draws have
# four times the divergences, of which a fit may have none: so they come with smaller steps.
ORDER = (
    Settings(True, 0.5, 0.95, 1),
    Settings(True, 0.5, 0.99, 1),
    Settings(True, 1.0, 0.999, 4),
    Settings(False, 1.0, 0.99, 4),
)


@dataclass(frozen=True)
class Attempt:
    """Draws of one attempt.

    Attributes
    ----------
    points : numpy.ndarray
        Unconstrained, shape (chain, draw, size).
    posterior, sample_stats : xarray.Dataset
        Dimensions (chain, draw). A kept draw is diverging if any since the last kept is.
    diagnostics : Diagnostics
        Whether the draws can be trusted.
    settings : dict
        What was set, by name, for the record.
    """

    points: NDArray[np.float64]
    posterior: xr.Dataset
    sample_stats: xr.Dataset
    diagnostics: Diagnostics
    settings: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the diagnostics find nothing wrong."""
        return not self.diagnostics.problems()

    def entry(self, kept: bool) -> dict[str, Any]:
        """Return what the record says of the attempt."""
        found = self.diagnostics
        return describe_attempt(self.settings, found.to_dict(), found.problems(), kept)


def run_in_order(
    bound: Bound, starts: dict[int, Laplace], order: Sequence[Settings], wanted: Wanted
) -> Iterator[Attempt]:
    """Yield attempts in the given order up to the first that passes.

    Parameters
    ----------
    bound : Bound
        The density.
    starts : dict
        Modes to start at, by number. Chains are spread over them, and each has one at least.
    order : sequence of Settings
        Settings of the attempts.
    wanted : Wanted
        What the caller asks for.
    """
    for settings in order:
        attempt = run_attempt(bound, starts, settings, wanted)
        yield attempt
        if attempt.passed:
            return


def run_attempt(
    bound: Bound, starts: dict[int, Laplace], settings: Settings, wanted: Wanted
) -> Attempt:
    """Sample once; arguments as for :func:`run_in_order`."""
    shares = np.bincount(np.arange(wanted.chains) % len(starts), minlength=len(starts))
    parts = [
        _run_nutpie(bound, mode, settings, wanted, max(1, int(share)), _seed_of(wanted.seed, i))
        for i, (mode, share) in enumerate(zip(starts.values(), shares, strict=True))
    ]
    chains = max(wanted.chains, len(starts))
    # Chain i starts at mode i, and round again.
    order = np.argsort([i + len(starts) * k for i, n in enumerate(shares) for k in range(n or 1)])
    points = np.concatenate([points for points, _ in parts])[order]
    stats = xr.concat([stats for _, stats in parts], "chain").isel(chain=order)
    stats = stats.assign_coords(chain=range(chains))
    posterior = bound.constrain(points)
    made = {
        "modes": list(starts),
        "coordinates": "mode" if settings.whitened else "plain",
        "tune": round(settings.share * wanted.tune),
        "target_accept": settings.target_accept,
        "draws": settings.thin * wanted.draws,
    }
    return Attempt(points, posterior, stats, diagnose(posterior, stats), made)


def _seed_of(seed: int, place: int) -> int:
    """Return the seed of the chains of one mode: those of different modes must not be alike."""
    return int(np.random.SeedSequence([seed, place]).generate_state(1)[0]) if place else seed


def _run_nutpie(
    bound: Bound, mode: Laplace, settings: Settings, wanted: Wanted, chains: int, seed: int
) -> tuple[NDArray[np.float64], xr.Dataset]:
    """Return unconstrained points and statistics of chains that start round one mode."""
    scale = mode.scale if settings.whitened else None
    draws, thin = settings.thin * wanted.draws, settings.thin
    # Fixed at both ends: with checks for a U-turn after `mindepth` only, draws would not be exact.
    length = (
        {} if settings.depth is None else dict.fromkeys(("mindepth", "maxdepth"), settings.depth)
    )
    tree = nutpie.sample(
        bound.for_nutpie(mode.mode, scale),
        draws=draws,
        tune=round(settings.share * wanted.tune),
        chains=chains,
        cores=wanted.cores,
        seed=seed,
        target_accept=settings.target_accept,
        adaptation=settings.adaptation,
        save_warmup=False,
        progress_bar=wanted.progress,
        **length,
    )
    made = tree["sample_stats"].to_dataset()
    if made.sizes["draw"] < draws or made["logp"].isnull().any():
        # On Ctrl-C nutpie returns the draws so far, padded: no posterior to keep or trust.
        raise KeyboardInterrupt
    points = tree["posterior"][POINT].to_numpy()[:, thin - 1 :: thin]
    points = points if scale is None else points @ scale.T
    return mode.mode + points, _keep_every(thin, made[[k for k in STATS if k in made]])


def _keep_every(thin: int, stats: xr.Dataset) -> xr.Dataset:
    """Return the statistics of every `thin`-th draw, with the divergences in between."""
    kept = stats.isel(draw=slice(thin - 1, None, thin))
    diverging: Any = stats["diverging"].coarsen(draw=thin).max().to_numpy()
    return kept.assign(diverging=(kept["diverging"].dims, diverging)).assign_coords(
        draw=range(kept.sizes["draw"])
    )
