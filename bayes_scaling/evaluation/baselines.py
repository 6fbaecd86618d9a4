"""Point fits as published, so that Bayesian and least-squares forecasts stand in one table.

Where the paper leaves a choice open, the one that forecasts better is taken, so that our laws are
compared with the published fits at their best. Runs below 6e21 FLOPs and the eight spent ones
above agree on it; docs/published.md says which were looked at first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares

from bayes_scaling.errors import ModelError
from bayes_scaling.modelling.observations import check_loss, choose_loss
from bayes_scaling.runs import Runs

Array = NDArray[np.float64]
Predict = Callable[[pd.DataFrame], Array]

# Scores within 5 points of chance are dropped, as in Krajewski et al. 2025.
_MARGIN = 0.05
_LEAST = 3
_STARTS = 10


def _usable(runs: Runs, *, generation: bool) -> tuple[pd.DataFrame, Array]:
    """Return the rows whose −log Q' exists and is far enough from chance, and their Q'.

    With `generation`, tasks whose chance level is 0 lose their near-chance scores as well, unless
    too few were left for a fit.
    """
    table = runs.table
    chance, score = table["chance"].to_numpy(float), table["score"].to_numpy(float)
    quality = (score - chance) / (1 - chance)
    exists, far = (quality > 0) & (quality < 1), score > chance + _MARGIN
    keep = exists & far
    if not generation or keep.sum() < _LEAST:
        keep = exists & (far | (chance == 0))
    if keep.sum() < _LEAST:
        raise ModelError(
            f"{runs.table['benchmark'].iloc[0]}: only {int(keep.sum())} scores are far enough "
            f"from chance for a least-squares fit; it needs {_LEAST}"
        )
    return table[keep], quality[keep]


def _accuracy(table: pd.DataFrame, quality: Array) -> Array:
    chance = table["chance"].to_numpy(float)
    return np.clip(chance + (1 - chance) * quality, 0, 1)


def fit_direct(runs: Runs) -> Predict:
    """Fit log(−log Q') as a straight line in log C by least squares.

    The direct law as published, Krajewski et al. 2025 (arXiv:2512.08894), eq. 2. Runs that have
    learnt nothing bend the line, so they are dropped for generation as for multiple choice.
    """
    table, quality = _usable(runs, generation=True)
    line = np.polynomial.Polynomial.fit(np.log(table["flops"]), np.log(-np.log(quality)), 1)
    return lambda new: _accuracy(new, np.exp(-np.exp(line(np.log(new["flops"].to_numpy())))))


def fit_broken(runs: Runs) -> Predict:
    """Fit the broken power law to log(−log Q') by Huber loss from many starts.

    Caballero et al. 2023; Krajewski et al. 2025, eq. 1. Starts are drawn with a fixed seed. Its
    six parameters need the early runs of generation, and can bend to them.
    """
    table, quality = _usable(runs, generation=False)
    x, z = np.log(table["flops"].to_numpy(float)), np.log(-np.log(quality))
    centre, reach = x.mean(), np.ptp(x) / 2

    def curve(q: Array, x: Array) -> Array:
        log_a, log_b, c0, c1, place, log_width = q
        width = np.exp(log_width)
        bend = width * np.logaddexp(0, (x - centre - place * reach) / width)
        return np.logaddexp(log_a, log_b - c0 * (x - centre) - c1 * bend)

    rng = np.random.default_rng(0)
    low = np.array([-8, z.mean() - 1, 0, -0.2, -0.8, -1])
    high = np.array([-1, z.mean() + 1, 0.4, 0.2, 0.8, 1])
    bounds = (np.array([-12, -6, -1, -2, -1.5, -2.0]), np.array([2, 4, 2, 2, 1.5, 2.0]))
    starts = [np.clip(s, *bounds) for s in rng.uniform(low, high, size=(_STARTS, low.size))]
    best = _best(lambda q: curve(q, x) - z, starts, bounds, loss="huber", f_scale=0.05)
    return lambda new: _accuracy(
        new, np.exp(-np.exp(curve(best, np.log(new["flops"].to_numpy(float)))))
    )


def _loss_line(runs: Runs, loss: str) -> tuple[str, Callable[[pd.DataFrame], Array]]:
    """Return the proxy loss, and its least-squares line in log C as a forecast of the loss."""
    column = choose_loss(runs, loss)
    check_loss(runs, "a two-stage point fit", column)
    table = runs.table
    line = np.polynomial.Polynomial.fit(np.log(table["flops"]), np.log(table[column]), 1)
    return column, lambda new: np.exp(line(np.log(new["flops"].to_numpy(float))))


def fit_two_stage_linear(runs: Runs, loss: str = "auto") -> Predict:
    """Fit log L linear in log C, and Q linear in L over the runs that are far from chance."""
    column, forecast_loss = _loss_line(runs, loss)
    table, _ = _usable(runs, generation=True)
    line = np.polynomial.Polynomial.fit(table[column], table["score"], 1)
    return lambda new: np.clip(line(forecast_loss(new)), 0, 1)


def fit_two_stage_logistic(runs: Runs, loss: str = "auto") -> Predict:
    """Fit log L linear in log C and Q logistic in L (floor, ceiling, slope, midpoint).

    All runs are fitted: those near chance tell the floor.
    """
    column, forecast_loss = _loss_line(runs, loss)
    table = runs.table
    seen, score = table[column].to_numpy(float), table["score"].to_numpy(float)
    chance = float(table["chance"].iloc[0])

    def curve(q: Array, loss: Array) -> Array:
        floor, ceiling, slope, midpoint = q
        return floor + (ceiling - floor) / (1 + np.exp(slope * (loss - midpoint)))

    lowest = np.array([0, score.max(), 0.01, 0])
    highest = np.array([max(score.min(), chance) + 1e-6, 1 + 1e-6, 50, 20])
    starts = [
        np.clip([chance, 0.95, slope, midpoint], lowest + 1e-9, highest - 1e-9)
        for slope in (1.0, 3.0, 8.0)
        for midpoint in np.quantile(seen, [0.1, 0.5])
    ]
    best = _best(lambda q: curve(q, seen) - score, starts, (lowest, highest))
    return lambda new: np.clip(curve(best, forecast_loss(new)), 0, 1)


def _best(
    residual: Callable[[Array], Array],
    starts: list[Array],
    bounds: tuple[Array, Array],
    **options: Any,
) -> Array:
    """Return the parameters of the least cost over several starts."""
    fits = [least_squares(residual, start, bounds=bounds, **options) for start in starts]
    best: Array = min(fits, key=lambda fit: float(fit.cost)).x
    return best


def point_fits(loss: str = "auto") -> dict[str, Callable[[Runs], Predict]]:
    """Return the point fits by name; each takes runs and returns a forecast for a table of runs.

    Parameters
    ----------
    loss : str
        Loss that two-stage point fits go through, as in
        :class:`bayes_scaling.modelling.model.ScalingModel`.
    """
    return {
        "least_squares_direct": fit_direct,
        "least_squares_broken": fit_broken,
        "least_squares_two_stage_linear": partial(fit_two_stage_linear, loss=loss),
        "least_squares_two_stage_logistic": partial(fit_two_stage_logistic, loss=loss),
    }
