"""One series out of a table: what is asked for, else what can only be meant."""

from __future__ import annotations

from bayes_scaling.errors import RunsError
from bayes_scaling.runs import Runs

# What is meant of the embedded figures where nobody chooses.
EMBEDDED_SERIES = {"mixture": "dclm", "benchmark": "arc_easy", "metric": "acc"}


def choose_series(
    runs: Runs,
    *,
    benchmark: str | None = None,
    metric: str | None = None,
    mixture: str | None = None,
    embedded: bool = False,
) -> Runs:
    """Return one series of runs.

    Parameters
    ----------
    runs : Runs
        One or more series.
    benchmark, metric, mixture : str, optional
        Which one; what is left out must be the same in all rows.
    embedded : bool
        Whether these are the embedded figures, of which `EMBEDDED_SERIES` is meant.

    Raises
    ------
    RunsError
        If there are several to choose from, naming them.

    Examples
    --------
    >>> from bayes_scaling import load_dataset
    >>> choose_series(load_dataset(), embedded=True).benchmarks
    ('arc_easy',)
    """
    asked = {"mixture": mixture, "benchmark": benchmark, "metric": metric}
    for column, wanted in asked.items():
        there: tuple[str, ...] = getattr(runs, f"{column}s")
        usual = EMBEDDED_SERIES[column]
        value = wanted or (usual if embedded and usual in there else _only(column, there))
        selection = {column: value}
        runs = runs.select(**selection)  # type: ignore[arg-type]
    return runs


def _only(column: str, values: tuple[str, ...]) -> str:
    if len(values) > 1:
        raise RunsError(
            f"there are {len(values)} {column}s; choose one with --{column}: {', '.join(values)}"
        )
    return values[0]
