"""Sentences of a report, made from its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayes_scaling.evaluation.classification import CANNOT_TELL, Classification
from bayes_scaling.evaluation.intervals import estimate
from bayes_scaling.evaluation.results import Backtest
from bayes_scaling.evaluation.scoring import with_errors
from bayes_scaling.fitting.questions import percent

if TYPE_CHECKING:
    from bayes_scaling.reporting.parts import Part

SERIES = ("benchmark", "metric", "mixture")
_FEW = 30  # scores or runs


def forecast_sentences(part: Part) -> Iterator[str]:
    """Yield what a fit says of each asked budget, as sure as its posterior is."""
    seen = part.fit.observations.attrs
    for row in part.forecast_table.to_dict("records"):
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
            f"If {part.fit.model.law_name} holds, one run of {row['flops']:.2g} FLOPs"
            f"{part.held_words} scores "
            f"between {row['q05']:.3f} and {row['q95']:.3f} on {seen['benchmark']} with 90% "
            f"probability (median {row['median']:.3f}; {distance}). It scores "
            f"{', and '.join(chances)}."
        )


def _times(value: float) -> str:
    return f"{value:.1f} times" if value < 3 else f"{value:.0f} times"


def headline(parts: Sequence[Part]) -> str:
    """Return in a sentence what the page is about."""
    series = {tuple(part.fit.observations.attrs[n] for n in SERIES) for part in parts}
    runs = {
        (part.fit.observations.attrs["mixture"], run)
        for part in parts
        for run in part.fit.observations["run"].to_numpy().tolist()
    }
    largest = max(part.largest for part in parts)
    bad = sum(bool(part.problems) for part in parts)
    end = f"{bad} of {len(parts)} fits have NOT CONVERGED." if bad else "All fits have converged."
    return (
        f"{len(parts)} fits of {len(series)} series of scores, from {len(runs)} runs of at most "
        f"{largest:.2g} FLOPs. {end}"
    )


def held_out_sentence(inside: int, n: int) -> str:
    """Return how many forecasts of held-out scores hold; empty if there are none."""
    if not n:
        return ""
    return (
        f"Of {n} forecasts of scores of larger runs that were held out, {inside} hold the score in "
        f"their 90% interval ({inside / n:.0%}). Scores of one run, and forecasts of one fit, are "
        "not independent."
    )


def coverage_sentence(past: Backtest, laws: Mapping[tuple[str, str], str]) -> str:
    """Return how often intervals held for past forecasts of the laws on the page.

    Parameters
    ----------
    past : Backtest
        Forecasts of larger runs among the fitted ones.
    laws : mapping of (str, str) to str
        The law on the page for each benchmark and metric.
    """
    scores = past.scores
    names = [laws.get(key) for key in zip(scores["benchmark"], scores["metric"], strict=True)]
    own = with_errors(scores[(scores["model"] == names) & scores["pit"].notna()])
    if own.empty:
        return "None of the past forecasts below is of a law on this page."
    share = estimate(own, "cover90")
    between = f" ({share.low:.0%} to {share.high:.0%})" if np.isfinite(share.low) else ""
    few = " These are few." if len(own) < _FEW else ""
    held = f"{own['cover90'].sum():.0f} of {len(own)} scores, {share.mean:.0%}{between}"
    return (
        "Below a cut-off within the fitted runs the laws on this page were fitted again, and "
        f"forecast the larger of these runs: their 90% intervals hold {held}. They should hold 90%."
        f"{few}"
    )


def behaviour_sentence(behaviours: Classification) -> str:
    """Return how many tasks depend on the loss in a predictable way."""
    table = behaviours.table()
    unknown = int((table["behaviour"] == CANNOT_TELL).sum())
    if unknown == len(table):
        return "Of none of the tasks can be told how it depends on the loss."
    share = behaviours.share()
    more = f" Of {unknown} more nothing can be told." if unknown else ""
    few = table.loc[table["behaviour"] != CANNOT_TELL, "n_runs"].median() < _FEW
    caution = (
        f" With fewer than {_FEW} runs a task these probabilities are too high: take the most "
        "probable behaviour, and do not rely on its probability." * bool(few)
    )
    return (
        f"{share['median']:.0%} of {share['n_tasks']} tasks depend on {behaviours.loss} in a "
        f"predictable way (between {share['q05']:.0%} and {share['q95']:.0%} with 90% probability)."
        f"{more}{caution}"
    )
