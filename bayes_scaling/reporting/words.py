"""Sentences of a report, made from its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayes_scaling.evaluation.classification import CANNOT_TELL, Classification
from bayes_scaling.evaluation.results import Backtest

if TYPE_CHECKING:
    from bayes_scaling.reporting.parts import Part

_FEW = 30  # a sentence on coverage says how few scores it is from, below this


def forecast_sentences(part: Part) -> Iterator[str]:
    """Yield what a fit says of each asked budget, as sure as its posterior is."""
    seen = part.fit.observations.attrs
    for row in part.forecast_table().to_dict("records"):
        times = row["flops"] / part.largest
        distance = (
            f"the largest fitted run is {_times(times)} smaller"
            if times > 1.05
            else "fitted runs are as large"
        )
        chances = [
            f"{target:g} or more with {percent(row[name])}"
            for target, name in zip(part.wanted, part.chances, strict=True)
        ]
        yield (
            f"If {part.fit.model.law_name} holds, one run of {row['flops']:.2g} FLOPs scores "
            f"between {row['q05']:.3f} and {row['q95']:.3f} on {seen['benchmark']} with 90% "
            f"probability (median {row['median']:.3f}; {distance}). It scores "
            f"{', and '.join(chances)}."
        )


def _times(value: float) -> str:
    return f"{value:.1f} times" if value < 3 else f"{value:.0f} times"


def percent(value: float) -> str:
    """Return a probability that is an average over draws, without false certainty."""
    if value < 0.01:
        return "less than 1%"
    return "more than 99%" if value > 0.99 else f"{value:.0%}"


def headline(parts: Sequence[Part]) -> str:
    """Return in a sentence what the page is about."""
    runs = {run for part in parts for run in part.fit.observations["run"].to_numpy().tolist()}
    largest = max(part.largest for part in parts)
    bad = sum(bool(part.problems) for part in parts)
    end = f" {bad} of the fits have not converged." if bad else " All fits have converged."
    what = "1 series" if len(parts) == 1 else f"{len(parts)} series"
    return f"{what} of scores, fitted to {len(runs)} runs of at most {largest:.2g} FLOPs.{end}"


def held_out_sentence(inside: int, n: int) -> str:
    """Return how many held-out scores lie within their intervals; empty if there are none."""
    if not n:
        return ""
    return (
        f"Of {n} scores of larger runs that were held out, {inside} lie within their 90% intervals "
        f"({inside / n:.0%}). Scores of one run, and forecasts of one fit, are not independent."
    )


def coverage_sentence(past: Backtest) -> str:
    """Return how often intervals held for past forecasts of the first model."""
    table = past.by_model()
    name = past.fits["model"].iloc[0]
    row = table[table["model"] == name].iloc[0]
    sure = np.isfinite(row.get("cover90_low", np.nan))
    between = f" ({row['cover90_low']:.0%} to {row['cover90_high']:.0%})" if sure else ""
    few = " These are few." if row["n"] < _FEW else ""
    return (
        f"Below a cut-off within the fitted runs, {name} was fitted again, and forecast the larger "
        f"of them: its 90% intervals hold {row['cover90']:.0%} of {row['n']:.0f} scores{between}. "
        f"They should hold 90%.{few}"
    )


def behaviour_sentence(behaviours: Classification) -> str:
    """Return how many tasks depend on the loss in a predictable way."""
    table = behaviours.table()
    unknown = int((table["behaviour"] == CANNOT_TELL).sum())
    if unknown == len(table):
        return "Of none of the tasks can be told how it depends on the loss."
    share = behaviours.share()
    more = f" Of {unknown} more nothing can be told." if unknown else ""
    return (
        f"{share['median']:.0%} of {share['n_tasks']} tasks depend on {behaviours.loss} in a "
        f"predictable way (between {share['q05']:.0%} and {share['q95']:.0%} with 90% probability)."
        f"{more}"
    )
