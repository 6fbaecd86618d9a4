"""What behaviour a trend shows: explicit rules on the draws of its curve."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import xarray as xr

from bayes_scaling.errors import ModelError
from bayes_scaling.fitting.trend_fit import TrendFit

PREDICTABLE = "predictable"
# In the order in which the rules are asked, the last one being what is left.
BEHAVIOURS = ("trendless", "noisy", "nonmonotone", "inverse", "breakthrough", PREDICTABLE)
# Places at which the shape of a curve is looked at.
_GRID = 41


@dataclass(frozen=True)
class BehaviourRules:
    """The numbers that tell behaviours apart; docs/predictability.md says where they come from.

    A draw of the curve is *trendless* if it explains less than `trend` of the variance between
    runs, item noise included. It is *noisy* if it explains less than `explained` of the variance
    beyond item noise. It is *nonmonotone* if it turns back by more than `reversal` of its range.
    It is *inverse* if accuracy falls as the loss falls. It is *breakthrough* if more than `jump`
    of its range lies within `jump_range` of the range of losses. Else it is *predictable*. The
    rules are asked in this order.

    Attributes
    ----------
    trend, explained, reversal, jump, jump_range : float
        Shares, between 0 and 1.

    Raises
    ------
    ModelError
        If a number is not between 0 and 1.

    Examples
    --------
    >>> BehaviourRules(explained=0.9).explained
    0.9
    """

    trend: float = 0.2
    explained: float = 0.8
    reversal: float = 0.25
    jump: float = 0.6
    jump_range: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= 1:
                raise ModelError(f"rule {field.name} is a share between 0 and 1, not {value}")


@dataclass(frozen=True)
class Measures:
    """What the rules look at, for each draw of a trend: arrays of shape (sample,).

    Attributes
    ----------
    visible : numpy.ndarray
        Share of the variance between runs that the curve explains, item noise included.
    explained : numpy.ndarray
        Share of the variance beyond item noise that the curve explains.
    reversal : numpy.ndarray
        How far the curve turns back at most, over its range.
    rising : numpy.ndarray of bool
        Whether accuracy is higher at the smallest loss than at the largest.
    jump : numpy.ndarray
        Largest share of the curve's range within `jump_range` of the range of losses.
    """

    visible: np.ndarray
    explained: np.ndarray
    reversal: np.ndarray
    rising: np.ndarray
    jump: np.ndarray

    @classmethod
    def of(cls, fit: TrendFit, rules: BehaviourRules) -> Measures:
        """Return the measures of each draw of a fit."""
        parts = fit.variances()
        beyond = parts["trend"] + parts["scatter"]
        places = xr.DataArray(np.linspace(-1, 1, _GRID), dims="place")
        curve = fit.bound.curve(fit.draws, places).transpose("sample", "place").to_numpy()
        whole = np.ptp(curve, axis=1)
        rising = curve[:, -1] >= curve[:, 0]
        upward = np.where(rising[:, None], curve, -curve)
        back = (np.maximum.accumulate(upward, axis=1) - upward).max(axis=1)
        steps = max(1, round(rules.jump_range * (_GRID - 1)))
        steepest = (upward[:, steps:] - upward[:, :-steps]).max(axis=1)
        return cls(
            (parts["trend"] / (beyond + parts["items"])).to_numpy(),
            (parts["trend"] / beyond).to_numpy(),
            back / whole,
            rising,
            steepest / whole,
        )


def behaviour_of(measures: Measures, rules: BehaviourRules) -> np.ndarray:
    """Return the place in :data:`BEHAVIOURS` of each draw."""
    answers = [
        measures.visible < rules.trend,
        measures.explained < rules.explained,
        measures.reversal > rules.reversal,
        ~measures.rising,
        measures.jump > rules.jump,
    ]
    return np.select(answers, range(len(answers)), default=len(answers))


def behaviour_probabilities(measures: Measures, rules: BehaviourRules) -> dict[str, float]:
    """Return the posterior probability of each behaviour."""
    found = np.bincount(behaviour_of(measures, rules), minlength=len(BEHAVIOURS))
    return dict(zip(BEHAVIOURS, (found / found.sum()).tolist(), strict=True))
