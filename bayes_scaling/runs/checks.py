"""Checks of a converted table as a whole; each reports to the draft and returns nothing."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_scaling.runs.draft import BUDGET, PASS_AT_K, UNSPECIFIED, Draft
from bayes_scaling.runs.quantities import misses_whole_count

_SERIES = ("mixture", "benchmark", "metric")


class _Group(NamedTuple):
    """Rows that share some labels: their name in messages, and their positions."""

    name: str
    rows: NDArray[np.intp]


def _groups(draft: Draft, by: tuple[str, ...] = _SERIES) -> list[_Group]:
    keys = zip(*(draft.labels(column) for column in by), strict=True)
    found: dict[tuple[str, ...], list[int]] = {}
    for i, key in enumerate(keys):
        found.setdefault(key, []).append(i)
    return [_Group(_name(by, key), np.array(rows)) for key, rows in found.items()]


def _name(by: tuple[str, ...], key: tuple[str, ...]) -> str:
    mixture, *others = key
    return " ".join(others) + ("" if mixture == UNSPECIFIED else f" on {mixture}")


def _score_range(draft: Draft) -> None:
    score = draft.numbers("score")
    outside = (score < 0) | (score > 1)
    if not outside.any():
        return
    for group in _groups(draft):
        values = score[group.rows]
        known = values[~np.isnan(values)]
        percent = bool(((known > 1) & (known <= 100)).all())
        mend = "it looks like percent, divide by 100" if percent else "give the share of right ones"
        mask = np.zeros(len(score), bool)
        mask[group.rows] = outside[group.rows]
        draft.error("score", mask, "{:g} is not in [0, 1]; " + mend, score)


def _losses(draft: Draft) -> None:
    for column in ("task_loss", *draft.losses):
        values = draft.numbers(column)
        draft.error(column, values <= 0, "{:g} is not positive; leave it empty if unknown", values)


def _duplicates(draft: Draft) -> None:
    names = ("mixture", "run", "benchmark", "metric")
    k = np.nan_to_num(draft.numbers("k"))
    keys = list(zip(*(draft.labels(name) for name in names), k.tolist(), strict=True))
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i in np.flatnonzero(draft.sound(*names, "k")):
        groups.setdefault(keys[i], []).append(int(i))
    for (_, run, benchmark, metric, at), rows in groups.items():
        if len(rows) > 1:
            what = f"{benchmark} {f'pass@{at:g}' if metric == PASS_AT_K else metric}"
            draft.add("error", "run", f"run {run} has {what} {len(rows)} times; keep one", rows)


def _one_budget_a_run(draft: Draft) -> None:
    """Check that a run has one size, budget, loss and covariate in all of its rows."""
    mend = "give each run or checkpoint its own name"
    groups = [group for group in _groups(draft, ("mixture", "run")) if group.rows.size > 1]
    for column in (*BUDGET, *draft.losses, *draft.covariates):
        values = np.where(draft.sound(column, "run"), draft.numbers(column), np.nan)
        for group in groups:
            known = group.rows[~np.isnan(values[group.rows])]
            odd = known[~np.isclose(values[known], values[known[:1]], rtol=1e-6, atol=0)]
            if odd.size:
                both = f"{values[known[0]]:g} and {values[odd[0]]:g}"
                draft.add("error", column, f"run {group.name} has {both}; {mend}", odd)


def _one_training_a_run(draft: Draft) -> None:
    training = draft.labels("training")
    for group in _groups(draft, ("mixture", "run")):
        odd = group.rows[training[group.rows] != training[group.rows[0]]]
        if odd.size:
            both = f"{training[group.rows[0]]} and {training[odd[0]]}"
            message = f"run {group.name} belongs to {both}; give each run one training"
            draft.add("error", "training", message, odd)


def _budgets_agree(draft: Draft) -> None:
    params, tokens, flops, ratio = (draft.numbers(column) for column in BUDGET)
    with np.errstate(all="ignore"):
        budget = flops / (6.0 * params * tokens)
        spread = ratio / (tokens / params)
    sound = draft.sound("params", "tokens")
    off = ((budget > 2) | (budget < 0.5)) & sound
    draft.warn("flops", off, "{:.3g} is {:.3g} times 6·params·tokens; check units", flops, budget)
    off = ((spread > 1.25) | (spread < 0.8)) & sound
    message = "{:.3g} is {:.3g} times tokens / params; check which is right"
    draft.warn("tokens_per_param", off, message, ratio, spread)


def _below_chance(draft: Draft) -> None:
    score, chance = draft.numbers("score"), draft.numbers("chance")
    below = (score < chance) & draft.sound("score", "chance")
    for group in _groups(draft):
        rows = group.rows[below[group.rows]]
        if rows.size:
            message = (
                f"{rows.size} of {group.rows.size} scores of {group.name} are below chance "
                f"{chance[rows[0]]:g} (lowest {score[rows].min():.4g}); "
                "the curve's floor may lie below chance"
            )
            draft.add("warning", "score", message, rows)


def _extremes(draft: Draft) -> None:
    score = draft.numbers("score")
    for group in _groups(draft):
        for extreme in (0, 1):
            rows = group.rows[score[group.rows] == extreme]
            if rows.size:
                found = f"{rows.size} of {group.rows.size} scores of {group.name} are exactly"
                mend = "fits on the log scale cannot use them"
                draft.add("warning", "score", f"{found} {extreme}; {mend}", rows)


def _pass_at_k(draft: Draft) -> None:
    k = draft.numbers("k")
    usable = (draft.labels("metric") == PASS_AT_K) & draft.sound("k", "score")
    for group in _groups(draft, ("mixture", "benchmark", "run")):
        rows = group.rows[usable[group.rows]]
        if rows.size > 1:
            _pass_at_k_of_one_run(draft, group.name, rows[np.argsort(k[rows], kind="stable")])


def _pass_at_k_of_one_run(draft: Draft, name: str, rows: NDArray[np.intp]) -> None:
    k, score = draft.numbers("k")[rows], draft.numbers("score")[rows]
    falls = np.flatnonzero(np.diff(score) < 0)
    if k[0] == 1 and score[0] < 1 and (score[1:] == 1).all():
        found = f"{name} has pass@1 {score[0]:g} but 1 at every larger k, as with one sample"
        draft.add("warning", "score", f"{found} a problem; leave larger k out", rows[1:])
    elif falls.size:
        i = falls[0]
        found = f"pass@k of {name} falls from {score[i]:g} (k={k[i]:g}) to {score[i + 1]:g}"
        mend = "estimate all k from the same samples"
        draft.add("warning", "score", f"{found} (k={k[i + 1]:g}); {mend}", rows[falls + 1])


def _stderr(draft: Draft) -> None:
    score, n_items, stderr = (draft.numbers(c) for c in ("score", "n_items", "stderr"))
    draft.error("stderr", stderr < 0, "{:g} is negative", stderr)
    usable = (score > 0) & (score < 1) & (draft.labels("metric") != PASS_AT_K)
    with np.errstate(all="ignore"):
        implied = score * (1 - score) / stderr**2 + 1
    off = usable & ((implied > 1.5 * n_items) | (implied < n_items / 1.5))
    message = "{:g} is the error of about {:.0f} items, not of n_items {:g}; check which is right"
    draft.warn("stderr", off, message, stderr, implied, n_items)


def _whole_counts(draft: Draft) -> None:
    """Check that scores are shares of n_items; means over subjects are not."""
    score, n_items = draft.numbers("score"), draft.numbers("n_items")
    off = misses_whole_count(score, n_items) & draft.sound("score", "n_items")
    off &= draft.labels("metric") != PASS_AT_K
    for group in _groups(draft):
        rows = group.rows[off[group.rows]]
        if rows.size:
            first, n = score[rows[0]], n_items[rows[0]]
            message = (
                f"{rows.size} of {group.rows.size} scores of {group.name} are not whole counts of "
                f"n_items ({first:g} of {n:g} is {first * n:.2f}); a mean over subjects?"
            )
            draft.add("warning", "score", message, rows)


CHECKS: dict[str, Callable[[Draft], None]] = {
    "score range": _score_range,
    "loss": _losses,
    "duplicate": _duplicates,
    "one name, several budgets": _one_budget_a_run,
    "one name, several trainings": _one_training_a_run,
    "budget": _budgets_agree,
    "stderr": _stderr,
    "pass@k": _pass_at_k,
    "whole count": _whole_counts,
    "below chance": _below_chance,
    "exactly 0 or 1": _extremes,
}
