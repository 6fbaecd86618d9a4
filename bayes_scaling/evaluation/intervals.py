"""Intervals of the mean scores in tables of held-out runs, and of differences between models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_scaling.errors import ModelError
from bayes_scaling.evaluation.scoring import with_errors
from bayes_scaling.evaluation.uncertainty import (
    Clusters,
    Estimate,
    clustered_mean,
    clustered_share,
)

# Scores whose means have intervals, and the columns of these.
_ERRORS, _SHARES = ("mae", "crps"), ("cover50", "cover90")
INTERVALS = tuple(f"{name}_{end}" for name in (*_ERRORS, *_SHARES) for end in ("low", "high"))
# What a held-out score is of; the same run may be held out at several cut-offs.
_CELL = ["benchmark", "metric", "mixture", "cutoff"]
_SCORE = [*_CELL, "run", "flops", "observed"]


def score_intervals(scores: pd.DataFrame, by: Sequence[str], cell: Sequence[str]) -> pd.DataFrame:
    """Return 90% intervals of the mean scores of groups, clustered by run and benchmark.

    Parameters
    ----------
    scores : pandas.DataFrame
        Rows of held-out runs, as in :attr:`Backtest.scores`.
    by : sequence of str
        Columns to group by.
    cell : sequence of str
        Columns of what counts alike within a group, such as each benchmark.

    Returns
    -------
    pandas.DataFrame
        Indexed by group: the ends of each interval, such as `crps_low` and `crps_high`; NaN below
        three runs or benchmarks, and where there is no score.
    """
    known = with_errors(scores)
    known["weight"] = 1 / known.groupby(list(cell))["crps"].transform("size")
    rows = [
        {**dict(zip(by, key, strict=True)), **_ends(group)}
        for key, group in known.groupby(list(by), sort=False)
    ]
    return pd.DataFrame(rows).set_index(list(by))


def _ends(group: pd.DataFrame) -> dict[str, float]:
    """Return the ends of the intervals of one group, by column."""
    found = [estimate(group, name) for name in (*_ERRORS, *_SHARES)]
    return dict(zip(INTERVALS, [end for one in found for end in (one.low, one.high)], strict=True))


def estimate(scores: pd.DataFrame, name: str) -> Estimate:
    """Return the mean of one score over rows, with its interval.

    Parameters
    ----------
    scores : pandas.DataFrame
        Rows of one model, with the columns of
        :func:`~bayes_scaling.evaluation.scoring.with_errors`; a column `weight` if they do not
        count alike.
    name : {"mae", "crps", "cover50", "cover90"}
        The score.
    """
    clusters, weights = Clusters.of(scores), scores.get("weight")
    if name in _SHARES:
        return clustered_share(scores[name], scores["pit"], clusters, weights)
    return clustered_mean(scores[name], clusters, weights, positive=True)


def paired_differences(scores: pd.DataFrame, reference: str, score: str = "crps") -> pd.DataFrame:
    """Return how much larger the mean score of each model is than that of a reference.

    Parameters
    ----------
    scores : pandas.DataFrame
        Rows of held-out runs, as in :attr:`Backtest.scores`.
    reference : str
        The model that the others are compared with.
    score : {"crps", "mae", "cover50", "cover90"}
        The score.

    Returns
    -------
    pandas.DataFrame
        One row per other model (and mixture, if there are several), smallest difference first:
        model, mixture, reference, score, `reference_mean` and `difference` of the means over the
        scores that both forecast, each benchmark and cut-off counted alike, its standard error
        `se`, the ends `low` and `high` of its 90% interval, `design_effect`, `n` (number of shared
        scores) and `problem` (why there is no interval). Both models are scored on the same runs,
        so what they share cancels and the interval is narrower than those of the two means.

    Raises
    ------
    ModelError
        If the reference has no scores.
    """
    known = with_errors(scores)
    # Two scores of one run may be the same number, such as two k of pass@k; rows of every model
    # are in the same order.
    known["place"] = known.groupby(["model", *_SCORE]).cumcount()
    wide = known.pivot_table(index=[*_SCORE, "place"], columns="model", values=score)
    if reference not in wide:
        raise ModelError(f"no scores of {reference!r}; there are {', '.join(map(str, wide))}")
    rows = [
        {"model": model, "mixture": mixture, "reference": reference, "score": score, **_gap(both)}
        for mixture, part in wide.groupby("mixture", sort=False)
        for model in scores["model"].unique()
        if model != reference and len(both := part[[model, reference]].dropna())
    ]
    table = pd.DataFrame(rows, columns=["model", "mixture", "reference", "score", *_GAP])
    return table.sort_values(["mixture", "difference"], ignore_index=True)


_GAP = ["reference_mean", "difference", "se", "low", "high", "design_effect", "n", "problem"]


def _gap(both: pd.DataFrame) -> dict[str, float | str]:
    """Compare the first column with the second, the reference."""
    rows = both.index.to_frame(index=False)
    weights = 1 / rows.groupby(_CELL)["run"].transform("size")
    found = clustered_mean(both.iloc[:, 0] - both.iloc[:, 1], Clusters.of(rows), weights)
    mean = float(np.average(both.iloc[:, 1], weights=weights))
    values = [mean, found.mean, found.se, found.low, found.high, found.design_effect]
    return dict(zip(_GAP, [*values, len(both), found.problem], strict=True))
