"""List everything that is wrong with a file of runs, without raising."""

from collections import Counter
from dataclasses import dataclass

from bayes_scaling.runs.draft import Problem
from bayes_scaling.runs.table import Runs


@dataclass(frozen=True)
class Check:
    """What `check_file` found in a file.

    Attributes
    ----------
    source : str
        The file.
    n_rows : int
        Rows of the table, 0 if it could not be read.
    problems : tuple of Problem
        Errors first, then warnings; each names kind, column, rows, and what to do.
    notes : tuple of str
        What loading the file would leave out, convert or fill in.
    runs : Runs or None
        The runs, if there is no error.
    """

    source: str
    n_rows: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    runs: Runs | None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Problems that keep the file from being used."""
        return tuple(p for p in self.problems if p.level == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Problems that a careful reader should know about."""
        return tuple(p for p in self.problems if p.level == "warning")

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """Rows concerned, by level and kind of problem; a problem of the whole table counts 1."""
        counts: Counter[tuple[str, str]] = Counter()
        for problem in self.problems:
            counts[problem.level, problem.kind] += max(1, len(problem.rows))
        return dict(counts)

    def __str__(self) -> str:
        lines = [f"{self.source}: {self._summary()}"]
        lines += [f"  {problem.level}: {problem}" for problem in self.problems]
        lines += [f"  note: {note}" for note in self.notes]
        lines += [
            f"  {level}s of kind '{kind}': {_times(n)}" for (level, kind), n in self.counts.items()
        ]
        return "\n".join(lines)

    def _summary(self) -> str:
        found = f"{len(self.errors)} errors, {len(self.warnings)} warnings in {self.n_rows} rows"
        return f"{found}; {self.runs!r}" if self.runs is not None else found


def _times(n: int) -> str:
    return "1 row" if n == 1 else f"{n} rows"
