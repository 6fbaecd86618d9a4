"""A density of two normals, whose weights and moments are known."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pymc as pm
import pytensor.tensor as pt

WEIGHTS = (0.3, 0.7)


@dataclass(frozen=True)
class Hills:
    """Two normals of known weights and different scales, beyond each other's reach.

    A prior is divided out again: it only says where the search starts.
    """

    size: int
    apart: float = 8.0
    weights: tuple[float, float] = WEIGHTS
    scales: tuple[float, float] = (0.7, 1.0)

    @property
    def centres(self):
        direction = np.ones(self.size) / np.sqrt(self.size)
        return -self.apart / 2 * direction, self.apart / 2 * direction

    hierarchical = False

    @cached_property
    def pymc(self):
        with pm.Model(coords={"axis": range(self.size)}) as model:
            weights = pm.Data("weights", self.weights)
            x = pm.Normal("x", 0, 2, dims="axis")
            hills = [
                pt.log(weights[i])
                + pm.logp(pm.Normal.dist(centre, scale, shape=self.size), x).sum()
                for i, (centre, scale) in enumerate(zip(self.centres, self.scales, strict=True))
            ]
            prior = pm.logp(pm.Normal.dist(0, 2, shape=self.size), x).sum()
            pm.Potential("hills", pt.logaddexp(*hills) - prior)
        return model

    def structure(self):
        return ("hills of a test", self.size, self.apart, self.scales)

    def data(self):
        return {"weights": np.array(self.weights)}

    def starts(self):
        return {}

    def moments(self):
        """Return mean and covariance of the whole."""
        mean = np.average(self.centres, axis=0, weights=self.weights)
        parts = [
            weight * (scale**2 * np.eye(self.size) + np.outer(centre - mean, centre - mean))
            for weight, scale, centre in zip(self.weights, self.scales, self.centres, strict=True)
        ]
        return mean, sum(parts)
