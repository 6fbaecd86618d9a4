"""Choose one series of a table: the one asked for, else the only one there is."""

from __future__ import annotations

from bayes_scaling.errors import RunsError
from bayes_scaling.runs import Runs

# The series of the embedded figures that is used by default.
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
        Which series. An option may be left out if all rows have the same value.
    embedded : bool
        Whether these are the embedded figures; `EMBEDDED_SERIES` is the default then.

    Raises
    ------
    RunsError
        If there are several to choose from. The message names them.

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
