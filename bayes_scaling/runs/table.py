"""Runs: a validated table of training runs and their benchmark scores."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_scaling._io.files import read_csv
from bayes_scaling.errors import PACKAGE, RunsError, RunsWarning
from bayes_scaling.runs.draft import Problem
from bayes_scaling.runs.matching import as_list, first_names, keep_matches, unique
from bayes_scaling.runs.validation import COLUMNS, LABELS, Examination, examine

if TYPE_CHECKING:
    import xarray as xr

_WARNINGS_A_KIND = 3
# Scores nearer to chance say little of learning: the filter of Krajewski et al. 2025.
_NEAR_CHANCE = 0.05


class SeriesKey(NamedTuple):
    """What makes scores comparable: one benchmark, one metric, one training mixture.

    The k of pass@k is a coordinate of its series, not part of the key.
    """

    benchmark: str
    metric: str
    mixture: str

    def __str__(self) -> str:
        return f"{self.benchmark} {self.metric} on {self.mixture}"


class Runs:
    """A validated, immutable table of training runs and their scores.

    One row is one run × benchmark × metric (× k for pass@k). Make one with `from_frame`,
    `from_csv`, or a loader of `bayes_scaling.datasets`.

    Attributes
    ----------
    table : DataFrame
        A copy of the table, sorted by mixture, benchmark, metric, k, flops and run. Columns, in
        this order: ``run``, ``training``, ``mixture`` (str); ``params``, ``tokens``, ``flops``,
        ``tokens_per_param``; ``benchmark``, ``metric`` (str); ``k`` (NaN unless pass@k);
        ``score`` (share in [0, 1]); ``n_items`` (NaN where unknown); ``chance`` (in [0, 1));
        ``task_loss`` (the benchmark's own loss, NaN where unknown); then every ``loss_*`` column
        (nats per token, NaN where unknown) by name; then the covariates by name (NaN where
        unknown). All numbers are float64.
    notes : tuple of str
        What was left out or changed on the way in, with counts.

    Examples
    --------
    >>> table = pd.DataFrame({"run": ["a", "b"], "params": ["100M", "1B"], "score": [0.3, 0.5]})
    >>> table = table.assign(tokens=["2B", "20B"], benchmark="quiz", metric="acc", chance=0.25)
    >>> runs = Runs.from_frame(table)
    >>> runs.below(1e19).table["flops"].tolist()
    [1.2e+18]
    """

    __slots__ = ("_notes", "_table")

    _table: pd.DataFrame
    _notes: tuple[str, ...]

    def __init__(self) -> None:
        raise TypeError("make Runs with Runs.from_frame, Runs.from_csv or a loader")

    @classmethod
    def _of(cls, table: pd.DataFrame, notes: Iterable[str] = ()) -> Self:
        """Wrap a table that is already canonical and valid."""
        self = cls.__new__(cls)
        object.__setattr__(self, "_table", table)
        object.__setattr__(self, "_notes", tuple(notes))
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Runs are immutable; make new ones with select, below or concat")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_unpickle, (type(self), self._table, self._notes))

    # --- in and out ---------------------------------------------------------------------------

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        *,
        covariates: Iterable[str] = (),
        source: str = "table",
        notes: Iterable[str] = (),
    ) -> Self:
        """Validate a table.

        Parameters
        ----------
        df : DataFrame
            One row per run × benchmark × metric. Needed: ``run``, ``benchmark``, ``metric``;
            ``score`` (in [0, 1]) or ``n_correct`` and ``n_items``; ``flops``, or two of
            ``params``, ``tokens`` and ``tokens_per_param``; ``chance`` (taken as 0 for pass@k
            and exact_match). Optional: ``training`` (the training that a checkpoint belongs to;
            by default each run is one of its own), ``mixture``, ``k``, ``n_items``, ``stderr``,
            ``task_loss``, ``loss_*``. Numbers may be texts with units ("1.3B"); metric
            "pass@16" is read as pass@k with k = 16. Where ``n_correct`` is given, the score is
            n_correct / n_items exactly. Missing ``flops`` are 6·params·tokens.
        covariates : iterable of str
            Further numeric columns to keep, such as the share of code in the mixture, for laws
            that read them. A run has one value of each. Other columns are left out, and the
            notes say so.
        source : str
            Name of the table in messages.
        notes : iterable of str
            What the caller has already left out or changed.

        Returns
        -------
        Runs

        Raises
        ------
        RunsError
            If the table is invalid. The message lists every problem with its row, its column
            and how to mend it. Rows are named by the label of the table's index.

        Warns
        -----
        RunsWarning
            For everything that is suspicious but usable, one warning each. Of each kind, only
            the first few are shown in full (`check_file` lists all).
        """
        found = _sound(source, df, covariates)
        for text in _warning_texts(found.warnings):
            warnings.warn(f"{source}: {text}", RunsWarning, skip_file_prefixes=PACKAGE)
        return cls._of(found.table, (*notes, *found.notes))

    @classmethod
    def from_csv(cls, path: str | Path, *, covariates: Iterable[str] = ()) -> Self:
        """Read a table written by `to_csv`; every float comes back bit for bit.

        For tables with other column names, or without chance levels, see `load_csv`.

        Parameters
        ----------
        path : path
            A CSV file.
        covariates : iterable of str
            Further numeric columns to keep; see `from_frame`.

        Raises
        ------
        RunsError
            If the file cannot be read, or holds an invalid table; rows are named by the line of
            the file.
        """
        return cls.from_frame(read_csv(path), covariates=covariates, source=str(path))

    def to_csv(self, path: str | Path) -> None:
        """Write the table as CSV (UTF-8), floats in full precision."""
        self._table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")

    @classmethod
    def from_xarray(cls, ds: "xr.Dataset") -> Self:
        """Read a dataset written by `to_xarray`.

        Raises
        ------
        RunsError
            If it holds an invalid table.
        """
        columns = {str(name): array.to_numpy() for name, array in ds.data_vars.items()}
        if any(array.dims != ("row",) for array in ds.data_vars.values()):
            raise RunsError("dataset: every variable should have the one dimension 'row'")
        # No warnings: they were given when the table was first read.
        covariates = str(ds.attrs.get("covariates", "")).split()
        found = _sound("dataset", pd.DataFrame(columns), covariates)
        notes = str(ds.attrs.get("notes", ""))
        return cls._of(found.table, (*(notes.split("\n") if notes else ()), *found.notes))

    def to_xarray(self) -> "xr.Dataset":
        """Return the table as a dataset: dimension ``row``, one variable per column.

        The notes go into ``attrs["notes"]``, one per line, and the names of covariates into
        ``attrs["covariates"]``.
        """
        import xarray as xr

        columns = {
            name: ("row", _array(self._table[name], text=name in LABELS))
            for name in self._table.columns
        }
        coords = {"row": np.arange(len(self))}
        attrs = {"notes": "\n".join(self._notes), "covariates": " ".join(self.covariates)}
        return xr.Dataset(columns, coords=coords, attrs=attrs)

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of the table."""
        return self._table.copy()

    @classmethod
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Join several tables into one; losses and covariates that a part lacks are NaN there.

        Raises
        ------
        RunsError
            If there is nothing to join, or the parts share a run × benchmark × metric, or give
            one run different budgets.
        """
        parts = list(parts)
        if not parts:
            raise RunsError("concat: there is nothing to join")
        losses = sorted({name for part in parts for name in part.losses})
        covariates = sorted({name for part in parts for name in part.covariates})
        columns = [*COLUMNS, *losses, *covariates]
        tables = [part._table.reindex(columns=columns) for part in parts]
        found = _sound("concat", pd.concat(tables, ignore_index=True), covariates)
        notes = dict.fromkeys(note for part in parts for note in part._notes)
        return cls._of(found.table, notes)

    # --- reading ------------------------------------------------------------------------------

    @property
    def table(self) -> pd.DataFrame:
        """A copy of the table."""
        return self._table.copy()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or changed on the way in, with counts."""
        return self._notes

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Names of the benchmarks."""
        return unique(self._table["benchmark"])

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics; pass@k counts as one."""
        return unique(self._table["metric"])

    @property
    def mixtures(self) -> tuple[str, ...]:
        """Names of the training mixtures."""
        return unique(self._table["mixture"])

    @property
    def losses(self) -> tuple[str, ...]:
        """Names of the loss columns."""
        return tuple(name for name in self._further if name.startswith("loss_"))

    @property
    def usual_ratio(self) -> float | None:
        """Median tokens per parameter of the scores; None if one of them is not known."""
        ratios = self._table["tokens"] / self._table["params"]
        return None if ratios.isna().any() else float(ratios.median())

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the further numeric columns that were asked for."""
        return tuple(name for name in self._further if not name.startswith("loss_"))

    @property
    def _further(self) -> tuple[str, ...]:
        return tuple(self._table.columns[len(COLUMNS) :])

    def __len__(self) -> int:
        return len(self._table)

    def __eq__(self, other: object) -> bool:
        return self._table.equals(other._table) if isinstance(other, Runs) else NotImplemented

    # Equality compares tables, which have no cheap hash.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if not len(self):
            return "Runs(no rows)"
        runs = len(self._table[["mixture", "run"]].drop_duplicates())
        flops, names = self._table["flops"], self.benchmarks
        what = ", ".join(names) if len(names) <= 4 else f"{len(names)} benchmarks"
        return (
            f"Runs({_count(runs, 'run')}, {_count(len(self), 'score')} of "
            f"{what}; {flops.min():.2g} to {flops.max():.2g} FLOPs; "
            f"{'mixture' if len(self.mixtures) == 1 else 'mixtures'} {', '.join(self.mixtures)})"
        )

    # --- selecting ----------------------------------------------------------------------------

    def select(
        self,
        benchmark: str | Sequence[str] | None = None,
        metric: str | Sequence[str] | None = None,
        mixture: str | Sequence[str] | None = None,
        tokens_per_param: float | Sequence[float] | None = None,
        k: int | Sequence[int] | None = None,
    ) -> "Runs":
        """Keep the rows that match; each argument is a value or a list of values.

        Parameters
        ----------
        benchmark, mixture : str or list of str, optional
        metric : str or list of str, optional
            "pass@k" keeps all k; "pass@1" is short for ``metric="pass@k", k=1``.
        tokens_per_param : float or list of float, optional
            Matches within 10%, since published ratios are nominal.
        k : int or list of int, optional

        Returns
        -------
        Runs

        Raises
        ------
        RunsError
            If a value matches no row. The message names values that would.
        """
        wanted = {
            "benchmark": benchmark,
            "mixture": mixture,
            "metric": metric,
            "k": k,
            "tokens_per_param": tokens_per_param,
        }
        table = self._table
        for column, values in wanted.items():
            if values is not None:
                table = keep_matches(table, column, as_list(values))
        notes = list(self._notes)
        lost = sorted(set(as_list(benchmark or ())) - set(table["benchmark"]))
        if lost:
            notes.append(f"select left no row of {', '.join(lost)}")
        return self._of(table.reset_index(drop=True), notes)

    def below(self, flops: float) -> "Runs":
        """Keep the runs with a budget of at most `flops`; may be empty."""
        return self._where(self._table["flops"] <= flops)

    def above(self, flops: float) -> "Runs":
        """Keep the runs with a budget of more than `flops`; may be empty."""
        return self._where(self._table["flops"] > flops)

    def drop_near_chance(self, margin: float = _NEAR_CHANCE) -> "Runs":
        """Keep scores above chance + `margin`, the filter of Krajewski et al. (2025).

        Rows with chance level 0 are kept, whatever their score. The count of dropped rows goes
        to the notes. The result may be empty.
        """
        table = self._table
        keep = (table["chance"] == 0) | (table["score"] > table["chance"] + margin)
        dropped = int((~keep).sum())
        note = f"left out {dropped} of {len(table)} scores within {margin:g} of chance or below"
        return self._where(keep, note if dropped else None)

    def near_chance(self, margin: float = _NEAR_CHANCE) -> bool:
        """Return whether some score lies within `margin` of chance or below."""
        return bool((self._table["score"] <= self._table["chance"] + margin).any())

    def has_checkpoints(self) -> bool:
        """Return whether some training has several runs, its checkpoints."""
        runs = self._table[["mixture", "training", "run"]].drop_duplicates()
        return bool(runs.duplicated(["mixture", "training"]).any())

    def series(self) -> "Iterator[tuple[SeriesKey, Runs]]":
        """Yield each benchmark × metric × mixture with its rows; pass@k is one series over k."""
        groups = self._table.groupby(["benchmark", "metric", "mixture"], sort=True)
        for (benchmark, metric, mixture), part in groups:
            key = SeriesKey(str(benchmark), str(metric), str(mixture))
            yield key, self._of(part.reset_index(drop=True), self._notes)

    def require_one_series(self) -> None:
        """Make sure that all rows are of one benchmark, one metric and one mixture.

        Raises
        ------
        RunsError
            If there are no rows, or several series. The message says how to select one.
        """
        if not len(self):
            raise RunsError("no rows are left; loosen the selection")
        mixed = {
            "benchmark": self.benchmarks,
            "metric": self.metrics,
            "mixture": self.mixtures,
        }
        problems = [
            f"{len(values)} {column}s are mixed ({first_names(values)}); "
            f"choose one with select({column}={values[0]!r})"
            for column, values in mixed.items()
            if len(values) > 1
        ]
        if problems:
            raise RunsError("one series is needed, but " + "; ".join(problems))

    def _where(self, keep: "pd.Series[bool]", note: str | None = None) -> "Runs":
        notes = self._notes if note is None else (*self._notes, note)
        return self._of(self._table[keep].reset_index(drop=True), notes)


def _sound(source: str, df: pd.DataFrame, covariates: Iterable[str] = ()) -> Examination:
    found = examine(df, covariates)
    errors = [str(problem) for problem in found.errors]
    if len(errors) == 1:
        raise RunsError(f"{source}: {errors[0]}")
    if errors:
        raise RunsError("\n  ".join([f"{source}: {len(errors)} problems", *errors]))
    return found


def _warning_texts(problems: Iterable[Problem]) -> Iterator[str]:
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem)
    for kind, found in kinds.items():
        yield from map(str, found[:_WARNINGS_A_KIND])
        if len(found) > _WARNINGS_A_KIND:
            yield f"{len(found) - _WARNINGS_A_KIND} more warnings of the kind '{kind}'"


def _unpickle(cls: type[Runs], table: pd.DataFrame, notes: tuple[str, ...]) -> Runs:
    return cls._of(table, notes)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def _array(values: pd.Series, *, text: bool) -> NDArray[Any]:
    return values.to_numpy(dtype=object if text else np.float64)
