"""Several modes as one posterior: draws of each, in proportion to the mass that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_scaling.inference.attempts import Attempt, Wanted
from bayes_scaling.inference.bridge import Normal, estimate_log_evidence, first_half
from bayes_scaling.inference.program import Bound

LARGEST_SHARE_OUTSIDE = 0.01  # of a mode's draws that lie nearer to another mode
LARGEST_ERROR = 0.02  # of a weight


@dataclass(frozen=True)
class Weights:
    """Share of the posterior's mass that each mode holds.

    Attributes
    ----------
    shares, errors : numpy.ndarray
        Shares, and their Monte Carlo standard errors.
    """

    shares: NDArray[np.float64]
    errors: NDArray[np.float64]

    @property
    def are_known(self) -> bool:
        """Whether the errors are small enough; written so that NaN is not."""
        return bool((self.errors <= LARGEST_ERROR).all())


def stay_apart(points: Sequence[NDArray[np.float64]]) -> bool:
    """Return whether the chains that started at each mode have stayed there.

    A draw belongs to the mode whose draws' normal distribution has the highest density there.

    Parameters
    ----------
    points : sequence of numpy.ndarray
        Draws (chain, draw, size) of the chains of each mode.
    """
    normals = _normals(points)
    if normals is None:
        return False
    shares = [(_nearest(normals, one) != i).mean() for i, one in enumerate(points)]
    return bool(max(shares) <= LARGEST_SHARE_OUTSIDE)


def weigh(bound: Bound, sets: Sequence[Attempt], seed: int) -> Weights:
    """Return the weights of modes by bridge sampling from draws of each.

    Parameters
    ----------
    bound : Bound
        The density.
    sets : sequence of Attempt
        Draws of each mode, that stay apart.
    seed : int
        Seed of the proposals.
    """
    normals = _normals([one.points for one in sets])
    if normals is None:
        unknown = np.full(len(sets), np.nan)
        return Weights(unknown, unknown)
    rng = np.random.default_rng([seed, 2])
    found = [
        estimate_log_evidence(bound, one.points, normals[i], partial(_is_nearest, normals, i), rng)
        for i, one in enumerate(sets)
    ]
    log_mass, error = np.array(found).T
    shares = np.exp(log_mass - log_mass.max())
    shares /= shares.sum()
    # d share_i / d log mass_j = share_i (1[i = j] - share_j)
    slopes = np.diag(shares) - np.outer(shares, shares)
    return Weights(shares, np.sqrt(np.square(slopes) @ np.square(error)))


def resample(
    sets: Sequence[Attempt], weights: Weights, wanted: Wanted
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return posterior and statistics in which every chain has draws of each mode, shuffled.

    A draw is taken once at most, and chain i takes those of the chains i.
    """
    rng = np.random.default_rng([wanted.seed, 3])
    chosen = [
        _choose(weights.shares, wanted.draws, (chain + 0.5) / wanted.chains, rng)
        for chain in range(wanted.chains)
    ]
    mode, draw = np.moveaxis(np.array(chosen), -1, 0)
    dims = ("chain", "draw")
    place = {
        "mode": xr.DataArray(mode, dims=dims),
        "chain": xr.DataArray(
            np.broadcast_to(np.arange(wanted.chains)[:, None], mode.shape), dims=dims
        ),
        "draw": xr.DataArray(draw, dims=dims),
    }
    posterior, stats = (
        xr.concat(parts, "mode")
        .isel(place)
        .assign_coords(chain=range(len(mode)), draw=range(mode.shape[1]))
        for parts in ([one.posterior for one in sets], [one.sample_stats for one in sets])
    )
    return posterior.transpose(*dims, ...), stats.transpose(*dims, ...)


def _choose(
    shares: NDArray[np.float64], draws: int, offset: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the mode and the draw of each place in one chain, shape (draw, 2).

    Offsets that differ between chains round the counts so that their sums keep the shares.
    """
    ends = np.floor(np.cumsum([0.0, *shares]) * draws + offset).astype(int)
    ends[-1] = draws
    chosen = [
        np.column_stack([np.full(count, mode), rng.permutation(draws)[:count]])
        for mode, count in enumerate(np.diff(ends))
    ]
    return rng.permutation(np.concatenate(chosen))


def _normals(points: Sequence[NDArray[np.float64]]) -> list[Normal] | None:
    """Return the normal of each mode's draws; None if some do not move in every direction."""
    try:
        return [Normal.fit(first_half(one)) for one in points]
    except np.linalg.LinAlgError:
        return None


def _is_nearest(
    normals: Sequence[Normal], number: int, points: NDArray[np.float64]
) -> NDArray[np.bool_]:
    return np.asarray(_nearest(normals, points) == number)


def _nearest(normals: Sequence[Normal], points: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.argmax([normal.log_density(points) for normal in normals], axis=0)
