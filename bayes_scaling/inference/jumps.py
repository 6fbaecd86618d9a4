"""Chains that jump between modes which NUTS has found, and between which it crosses too seldom.

Each iteration makes two Metropolis steps. The first proposes a draw from a mixture of normals, one
for each mode, that was fitted to earlier draws: it leads from any mode to any other. The second is
a random walk, which frees a chain from places that the mixture seldom proposes. The mixture is
fixed before the chains start, so the posterior is their stationary distribution whatever the
mixture is; a bad one makes them slow, and the diagnostics say so.

The idea is that of Gabrié, Rotskoff and Vanden-Eijnden 2022 (PNAS 119, e2109420119), with a mixture
of normals in place of a normalising flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_scaling.inference.attempts import Attempt, Wanted
from bayes_scaling.inference.bridge import Normal
from bayes_scaling.inference.diagnostics import diagnose
from bayes_scaling.inference.laplace import Laplace
from bayes_scaling.inference.program import Bound

# The tails of the posteriors of this package are wider than those of normals.
_WIDER = 1.1
# A mode that earlier chains have left keeps the normal of its curvature, and this share.
_LEAST_SHARE = 0.05
_DRAWS_PER_AXIS = 10  # fewer draws do not give a covariance
_ROUNDS = 30
_THIN = 30  # iterations for each draw kept
# Of a normal target in many dimensions (Roberts, Gelman and Gilks 1997).
_WALK = 2.38

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """A mixture of normals, one for each mode.

    Attributes
    ----------
    shares : numpy.ndarray
        Share of each, shape (mode,).
    normals : sequence of Normal
    """

    shares: Floats
    normals: Sequence[Normal]

    @classmethod
    def fit(cls, points: Floats, modes: Sequence[Laplace]) -> Mixture:
        """Return the mixture of draws (draw, size); each draw belongs to one normal."""
        found = cls(
            np.full(len(modes), 1 / len(modes)),
            [Normal(mode.mode, _lower(mode.scale)) for mode in modes],
        )
        nearest = found.nearest(points)
        for _ in range(_ROUNDS):
            found = found._refitted(points, nearest)
            last, nearest = nearest, found.nearest(points)
            if (last == nearest).all():
                break
        return found

    def _refitted(self, points: Floats, nearest: NDArray[np.int64]) -> Mixture:
        counts = np.bincount(nearest, minlength=len(self.normals))
        normals = [_fitted(points[nearest == i]) or normal for i, normal in enumerate(self.normals)]
        shares = np.maximum(counts / len(points), _LEAST_SHARE)
        return Mixture(shares / shares.sum(), normals)

    def widened(self) -> Mixture:
        """Return the mixture that proposes."""
        wider = [Normal(normal.mean, _WIDER * normal.root) for normal in self.normals]
        return Mixture(self.shares, wider)

    def nearest(self, points: Floats) -> NDArray[np.int64]:
        """Return the number of the normal that each point most probably belongs to."""
        return np.argmax(self._parts(points), axis=0)

    def log_density(self, points: Floats) -> Floats:
        """Return the log density at points (..., size)."""
        return np.asarray(np.logaddexp.reduce(self._parts(points)))

    def _parts(self, points: Floats) -> Floats:
        return np.stack(
            [
                np.log(share) + normal.log_density(points)
                for share, normal in zip(self.shares, self.normals, strict=True)
            ]
        )

    def draw(self, draws: int, rng: np.random.Generator) -> Floats:
        """Return draws (draw, size)."""
        counts = rng.multinomial(draws, self.shares)
        pairs = zip(self.normals, counts, strict=True)
        return rng.permutation(np.concatenate([normal.draw(n, rng) for normal, n in pairs]))

    def walk_root(self) -> Floats:
        """Return a root of the covariance of the random walk's steps: that within the modes."""
        within = sum(
            share * normal.root @ normal.root.T
            for share, normal in zip(self.shares, self.normals, strict=True)
        )
        return _WALK / np.sqrt(len(within)) * np.linalg.cholesky(within)


def _fitted(points: Floats) -> Normal | None:
    """Return the normal of draws; None if they are too few, or do not move in every direction."""
    if len(points) < _DRAWS_PER_AXIS * points.shape[1]:
        return None
    try:
        return Normal.fit(points)
    except np.linalg.LinAlgError:
        return None


def _lower(scale: Floats) -> Floats:
    """Return the Cholesky root of scale @ scale.T, without squaring its condition."""
    upper = np.linalg.qr(scale.T)[1]
    return np.asarray((upper * np.sign(np.diag(upper))[:, None]).T)


def run_jumps(bound: Bound, modes: Sequence[Laplace], earlier: Attempt, wanted: Wanted) -> Attempt:
    """Sample once by chains that jump, each from where one of the earlier chains ended.

    Parameters
    ----------
    bound : Bound
        The density.
    modes : sequence of Laplace
        Its modes.
    earlier : Attempt
        What the mixture is fitted to. Divergences of NUTS there may mean that a part of the
        posterior is missing from the mixture, so they count as those of this attempt.
    wanted : Wanted
        What the caller asks for.
    """
    flat = earlier.points.reshape(-1, bound.program.size)
    mixture = Mixture.fit(flat, modes).widened()
    chains = [
        _run_chain(bound, mixture, start, wanted, np.random.default_rng([wanted.seed, 4, i]))
        for i, start in enumerate(earlier.points[:, -1])
    ]
    points, heights, accepted = (np.stack(part) for part in zip(*chains, strict=True))
    dims = ("chain", "draw")
    stats = xr.Dataset(
        {
            "diverging": earlier.sample_stats["diverging"],
            "logp": (dims, heights),
            "acceptance_rate": (dims, accepted),
        },
        coords={"chain": range(len(points)), "draw": range(wanted.draws)},
    )
    posterior = bound.constrain(points)
    made = {
        "modes": list(range(1, len(modes) + 1)),
        "coordinates": "jumps",
        "tune": 0,
        "target_accept": np.nan,
        "draws": _THIN * wanted.draws,
    }
    return Attempt(points, posterior, stats, diagnose(posterior, stats), made)


def _run_chain(
    bound: Bound,
    mixture: Mixture,
    start: Floats,
    wanted: Wanted,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats]:
    """Return points (draw, size), their log densities, and the share of jumps accepted."""
    points = np.empty((wanted.draws, start.size))
    heights, accepted = np.empty(wanted.draws), np.zeros(wanted.draws)
    root = mixture.walk_root()
    point, height, proposed = start, bound.log_density(start)[0], mixture.log_density(start)
    for kept in range(wanted.draws):
        jumps = mixture.draw(_THIN, rng)
        walks = rng.standard_normal(jumps.shape) @ root.T
        densities = mixture.log_density(jumps)
        thresholds = np.log(rng.uniform(size=(_THIN, 2)))
        for i, (for_jump, for_walk) in enumerate(thresholds):
            new = bound.log_density(jumps[i])[0]
            if new - height > for_jump + densities[i] - proposed:
                point, height, proposed = jumps[i], new, densities[i]
                accepted[kept] += 1 / _THIN
            near = point + walks[i]
            new = bound.log_density(near)[0]
            if new - height > for_walk:
                point, height, proposed = near, new, mixture.log_density(near)
        points[kept], heights[kept] = point, height
    return points, heights, accepted
