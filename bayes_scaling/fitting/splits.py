"""Split a series by budget into fitted and held-out runs, and choose budgets to forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from bayes_scaling.errors import ModelError, RunsError
from bayes_scaling.laws import ScalingLaw
from bayes_scaling.runs import Budgets, Runs

# If no run is held out and no budget is asked for, forecast this many times the largest fitted.
NEXT_RUN = 10.0


@dataclass(frozen=True)
class Split:
    """One series, split by budget.

    Attributes
    ----------
    fitted, held_out : Runs
        The runs at or below the cut-off, and above it.
    budgets : Budgets or None
        Further budgets to forecast.
    notes : tuple of str
        What was left out, changed or chosen on the way.
    """

    fitted: Runs
    held_out: Runs
    budgets: Budgets | None
    notes: tuple[str, ...]


def split_series(
    series: Runs,
    law: ScalingLaw,
    *,
    cutoff: float = inf,
    at: Sequence[float] = (),
    tokens_per_param: float | None = None,
    new_items: float | None = None,
) -> Split:
    """Split a series by budget, and choose the budgets to forecast.

    Parameters
    ----------
    series : Runs
        One benchmark, metric and mixture.
    law : ScalingLaw
        The law that will be fitted.
    cutoff : float
        Largest budget to fit, in FLOPs.
    at : sequence of float
        Budgets to forecast besides the held-out runs, in FLOPs. If there is neither, one budget
        of ten times the largest fitted.
    tokens_per_param : float, optional
        Ratio of the runs to keep, within 10%. A law in parameters and tokens learns from all
        ratios; for it, this is the ratio of the budgets in `at`, by default the median of the
        fitted runs.
    new_items : float, optional
        Items of a new test set that the runs at further budgets answer; by default they answer
        the fitted one. Held-out runs were scored on the fitted one.

    Raises
    ------
    RunsError
        If no run is at or below the cut-off.
    ModelError
        If the law cannot tell samples k apart.

    Examples
    --------
    >>> from bayes_scaling import get_law, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> len(split_series(runs, get_law("power_law"), cutoff=6e21).held_out)
    8
    """
    reads_ratio = {"params", "tokens"} <= set(law.columns)
    if tokens_per_param is not None and not reads_ratio:
        series = series.select(tokens_per_param=tokens_per_param)
    _require_one_k(series, law)
    fitted, held_out = series.below(cutoff), series.above(cutoff)
    if not len(fitted):
        least = series.table["flops"].min()
        raise RunsError(f"no run has at most {cutoff:.3g} FLOPs; the smallest has {least:.3g}")
    notes = series.notes
    if not at and not len(held_out):
        at = [NEXT_RUN * fitted.table["flops"].max()]
        notes += (f"no run is held out: this is {NEXT_RUN:g} times the largest budget fitted",)
    ratio = tokens_per_param if reads_ratio else None
    if new_items is not None and not at:
        raise ModelError("a new test set (--new-items) needs budgets to be forecast on it: --at")
    if reads_ratio and at and ratio is None:
        ratio = fitted.usual_ratio
        notes += (
            f"budgets of --at have {ratio:.3g} tokens per parameter, the median of the fitted "
            "runs; choose another ratio with --tokens-per-param",
        )
    budgets = _budgets(fitted, law, at, ratio, new_items) if at else None
    return Split(fitted, held_out, budgets, notes)


def _require_one_k(runs: Runs, law: ScalingLaw) -> None:
    if "k" not in law.columns and len(set(runs.table["k"].dropna())) > 1:
        raise ModelError(
            f"{law.name} does not read the k of pass@k; choose one with --metric pass@1, or a law "
            "that does with --law pass_at_k"
        )


def _budgets(
    fitted: Runs,
    law: ScalingLaw,
    at: Sequence[float],
    ratio: float | None,
    new_items: float | None,
) -> Budgets:
    """Return budgets in FLOPs with the law's other inputs, at every k of the fitted runs."""
    asked: dict[str, Any] = {"flops": list(at)}
    if ratio is not None:
        asked["tokens_per_param"] = ratio
    if "k" in law.columns:
        samples = sorted(fitted.table["k"].dropna().unique())
        asked = {"flops": [c for c in at for _ in samples], "k": samples * len(at)}
    return Budgets.of(**asked, n_items=new_items)
