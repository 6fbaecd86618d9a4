"""What the tables of a backtest say, in plain words: where we lose, and where LOO misleads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_scaling.evaluation.intervals import estimate, paired_differences
from bayes_scaling.evaluation.scoring import with_errors
from bayes_scaling.evaluation.uncertainty import Clusters

if TYPE_CHECKING:
    from bayes_scaling.evaluation.results import Backtest

# Name of the mixture of all models among the models of a backtest.
STACKED = "stacked"
_LEAST_SQUARES = "least_squares_direct"


def judge(result: Backtest) -> list[str]:
    """Return sentences on a backtest; see :meth:`Backtest.verdicts`."""
    found: list[str] = []
    cells = result.by_benchmark()
    origins = result.scores.drop_duplicates(["mixture", "cutoff"])[["mixture", "cutoff"]]
    for origin in origins.itertuples(index=False):
        here = {"mixture": [origin.mixture], "cutoff": [origin.cutoff]}
        known, scores = (table.merge(pd.DataFrame(here)) for table in (cells, result.scores))
        lines = [*_uneven(known), *_means(scores), *_losses(known), *_disagreement(known)]
        name = _name(origin, origins)
        found += [f"{name}: {line}" if name else line for line in lines]
    for row in result.weights.to_dict("records"):
        if not row["past_scores"]:
            found.append(
                f"No run up to {row['cutoff']:.3g} FLOPs could be forecast from smaller ones, so "
                "all laws weigh the same in the stacked forecast"
            )
    if not result.fits.empty:
        bad = result.fits[result.fits["problems"] != ""]
        found += [
            f"NOT CONVERGED: {row.model} on {_where(row, origins)}: {row.problems}"
            for row in bad.itertuples()
        ]
    reasons = result.skipped.groupby("reason", sort=False)
    found += [f"left out: {', '.join(sorted(set(g['model'])))}: {r}" for r, g in reasons]
    return found


def _name(origin: Any, origins: pd.DataFrame) -> str:
    """Return what tells a mixture and cut-off from the others; empty if there are no others."""
    mixture = origin.mixture if len(set(origins["mixture"])) > 1 else ""
    cutoff = f"fitted up to {origin.cutoff:.3g} FLOPs" if len(set(origins["cutoff"])) > 1 else ""
    return ", ".join(filter(None, (mixture, cutoff)))


def _where(row: Any, origins: pd.DataFrame) -> str:
    return ", ".join(filter(None, (row.benchmark, _name(row, origins))))


def _uneven(cells: pd.DataFrame) -> list[str]:
    """Name models whose means are over fewer benchmarks, so that they cannot be compared."""
    counts = cells.groupby("model", sort=False)["benchmark"].nunique()
    most = counts.max()
    return [
        f"Means over {n} of {most} benchmarks only, not comparable with those over all: "
        f"{', '.join(counts.index[counts == n])}; the tables by benchmark have both"
        for n in counts[counts < most].unique()
    ]


def _means(scores: pd.DataFrame) -> Iterator[str]:
    """Say how often intervals hold, and how the stacked forecast compares, with intervals."""
    if problem := Clusters.of(scores).problem:
        yield problem
    families = scores.drop_duplicates("model").set_index("model")["family"]
    if STACKED not in families:
        return
    stacked = with_errors(scores[scores["model"] == STACKED])
    stacked["weight"] = 1 / stacked.groupby(["benchmark", "metric"])["crps"].transform("size")
    share = estimate(stacked, "cover90")
    between = f" ({share.low:.0%} to {share.high:.0%})" if np.isfinite(share.low) else ""
    yield f"The 90% intervals of the stacked forecast hold {share.mean:.0%} of the scores{between}"
    gaps = paired_differences(scores, STACKED)
    single = gaps[gaps["model"].map(families).isin(["direct", "two_stage"])]
    complete = single[single["n"] == single["n"].max()]
    if len(complete):
        best = complete.iloc[0]
        name = best["model"]
        yield f"The best single law on these scores is {name}. {_gap(best, 'Its mean CRPS')}"
    errors = paired_differences(scores, STACKED, "mae")
    for _, row in errors[errors["model"] == _LEAST_SQUARES].iterrows():
        yield _gap(row, "The mean absolute error of the least-squares direct law")


def _gap(row: pd.Series, subject: str) -> str:
    """Say how a model's mean score, the subject, differs from that of the stacked forecast."""
    side = "above" if row["difference"] > 0 else "below"
    known = np.isfinite(row["low"])
    interval = f" (90% interval of the difference {row['low']:+.4f} to {row['high']:+.4f})"
    return (
        f"{subject} is {abs(row['difference']):.4f} {side} that of the stacked forecast on "
        f"the same scores{interval if known else ''}"
    )


def _losses(cells: pd.DataFrame) -> list[str]:
    """Compare the stacked forecast with that point fit which turned out best.

    The choice is made with hindsight, in favour of the point fits.
    """
    mae = cells.pivot_table(index="benchmark", columns="model", values="mae")
    names = cells.loc[cells["family"] == "point", "model"]
    points = mae[[name for name in mae if name in set(names)]]
    if STACKED not in mae or points.empty:
        return []
    everywhere = points.loc[:, points.count() == points.count().max()]
    best = everywhere.mean().idxmin()
    mae = mae.dropna(subset=[STACKED, best])
    lost = mae.index[mae[STACKED] > mae[best]]
    where = f": {', '.join(lost)}" if len(lost) else ""
    return [
        f"The stacked forecast has a larger absolute error than the best published point fit, "
        f"{best}, on {len(lost)} of {len(mae)} benchmarks{where}"
    ]


def _disagreement(cells: pd.DataFrame) -> list[str]:
    if "elpd_loo" not in cells:
        return []
    known = cells.dropna(subset=["elpd_loo"])
    best_loo = known.loc[known.groupby("benchmark")["elpd_loo"].idxmax()].set_index("benchmark")
    best_ahead = known.loc[known.groupby("benchmark")["crps"].idxmin()].set_index("benchmark")
    differ = best_loo.index[best_loo["model"] != best_ahead["model"]]
    lines = [
        f"{b}: leave-one-out prefers {best_loo.loc[b, 'model']}, "
        f"held-out runs {best_ahead.loc[b, 'model']}"
        for b in differ
    ]
    head = (
        f"Leave-one-out (interpolation) and held-out runs (extrapolation) name the same best "
        f"model on {len(best_loo) - len(differ)} of {len(best_loo)} benchmarks"
    )
    return [head, *lines]
