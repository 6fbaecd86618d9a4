"""Loaders of runs, one file per source, and the figures that ship with the package."""

from collections.abc import Callable

from bayes_scaling.datasets.benchmarks import known_benchmarks
from bayes_scaling.datasets.gadre2024 import load_gadre
from bayes_scaling.datasets.krajewski2025 import load_krajewski2025, load_krajewski_csv
from bayes_scaling.datasets.lm_eval import load_lm_eval
from bayes_scaling.datasets.olmo_ladder import load_olmo_ladder
from bayes_scaling.datasets.selection import choose_series
from bayes_scaling.datasets.table import check_file, load_csv, load_parquet
from bayes_scaling.errors import RunsError
from bayes_scaling.runs import Runs

__all__ = [
    "check_file",
    "choose_series",
    "known_benchmarks",
    "load_csv",
    "load_dataset",
    "load_gadre",
    "load_krajewski_csv",
    "load_lm_eval",
    "load_olmo_ladder",
    "load_parquet",
]

_EMBEDDED: dict[str, Callable[[str | None], Runs]] = {"krajewski2025": load_krajewski2025}


def load_dataset(name: str = "krajewski2025", mixture: str | None = None) -> Runs:
    """Load figures that ship with the package.

    Parameters
    ----------
    name : str
        "krajewski2025": figures released with Krajewski et al. 2025, arXiv:2512.08894. See
        data/README.md for source, units and how they were checked.
    mixture : str, optional
        "dclm" (148 runs at 10 to 160 tokens per parameter) or "c4" (44 runs at about 20); both
        by default.

    Returns
    -------
    Runs

    Raises
    ------
    RunsError
        If there is no such data set or mixture.

    Notes
    -----
    The figures were checked when they were embedded, so loading them does not warn. Many early
    scores of arc_challenge and some of other benchmarks are below chance, and some of
    exact-match and pass@k are exactly 0.

    Examples
    --------
    >>> load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    Runs(54 runs, 54 scores of arc_easy; 1e+18 to 3.8e+22 FLOPs; mixture dclm)
    """
    if name not in _EMBEDDED:
        raise RunsError(f"no data set {name!r}. Available: {', '.join(_EMBEDDED)}")
    return _EMBEDDED[name](mixture)
