"""Which runs the options of several commands name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayes_scaling.runs import Runs


def choose_runs(
    file: Path | None,
    mixture: str | None,
    benchmarks: list[str],
    tokens_per_param: float | None,
    *,
    all_ratios: bool,
) -> tuple[float | None, Runs]:
    """Return the runs that the options name, and the published cut-off where there is one."""
    from bayes_scaling.datasets import load_csv
    from bayes_scaling.datasets.krajewski2025 import (
        PUBLISHED_CUTOFF,
        PUBLISHED_RATIO,
        standard_runs,
    )
    from bayes_scaling.errors import RunsError

    if all_ratios and tokens_per_param is not None:
        raise RunsError("give --tokens-per-param or --all-ratios, not both")
    if file is not None:
        runs = load_csv(file).select(mixture=mixture, benchmark=benchmarks or None)
        return None, runs.select(tokens_per_param=tokens_per_param)
    ratio = None if all_ratios else tokens_per_param or PUBLISHED_RATIO
    runs = standard_runs(mixture or "dclm", benchmarks, ratio)
    return (PUBLISHED_CUTOFF if runs.mixtures == ("dclm",) else None), runs
