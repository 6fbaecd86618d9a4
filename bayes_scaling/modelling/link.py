"""From −log Q' to accuracy and back, with the lower asymptote."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_scaling.laws import Parameter
from bayes_scaling.modelling.likelihoods import spread

# The chains start these two where the scores are: see BoundModel.starts.
LEVEL = Parameter(
    "level", "accuracy of the curve at the centroid of the fitted runs", "accuracy", start=0.5
)
FLOOR = Parameter("floor", "accuracy of a run that has learnt nothing", "accuracy", start=0.1)

# Keeps densities finite where a curve meets 0 or 1, or crosses them.
_EDGE = 1e-9
# A scatter on the large side and binomial noise, for coordinates that must suit every series.
_ROUGH = {"scatter": 0.02}


def accuracy(quality: Any, floor: Any, xp: Any) -> Any:
    """Return the accuracy Q from Q', clipped just inside 0 and 1, which some laws cross."""
    return xp.clip(floor + (1 - floor) * quality, _EDGE, 1 - _EDGE)


def neg_log_quality(level: Any, floor: Any, xp: Any) -> Any:
    """Return −log Q' at the centroid, in nats, from the accuracy there."""
    return xp.log((1 - floor) / (level - floor))


def curve_sd(score: Any, n_items: Any, chance: float) -> Any:
    """Return the approximate sd with which each score alone determines log(−log Q')."""
    quality = np.clip((score - chance) / (1 - chance), 0.02, 0.98)
    return rough_sd(score, n_items) / curve_slope(quality, chance)


def rough_sd(score: Any, n_items: Any) -> Any:
    """Return about the sd of scores, with a scatter on the large side."""
    return spread(score, n_items, _ROUGH, np)


def curve_slope(quality: Any, floor: Any) -> Any:
    """Return by how much accuracy falls as log(−log Q') rises, at Q'."""
    return (1 - floor) * quality * -np.log(quality)
