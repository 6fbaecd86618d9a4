"""What the tables of a backtest say, in plain words: where we lose, and where LOO misleads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from bayes_scaling.evaluation.backtesting import Backtest

# Name of the mixture of all models among the models of a backtest.
STACKED = "stacked"


def judge(result: Backtest) -> list[str]:
    """Return sentences on a backtest; see :meth:`Backtest.verdicts`."""
    cells = result.by_benchmark()
    found = [*_uneven(cells), *_losses(cells), *_disagreement(cells)]
    if not result.fits.empty:
        bad = result.fits[result.fits["problems"] != ""]
        found += [
            f"NOT CONVERGED: {row.model} on {row.benchmark}: {row.problems}"
            for row in bad.itertuples()
        ]
    reasons = result.skipped.groupby("reason", sort=False)
    found += [f"left out: {', '.join(sorted(set(g['model'])))}: {r}" for r, g in reasons]
    return found


def _uneven(cells: pd.DataFrame) -> list[str]:
    """Name models whose means are over fewer benchmarks, so that they cannot be compared."""
    counts = cells.groupby("model", sort=False)["benchmark"].nunique()
    most = counts.max()
    return [
        f"Means over {n} of {most} benchmarks only, not comparable with those over all: "
        f"{', '.join(counts.index[counts == n])}; the tables by benchmark have both"
        for n in counts[counts < most].unique()
    ]


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
