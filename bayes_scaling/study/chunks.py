"""What a worker of a study does with its chunk of the tasks: it stores each fit at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from bayes_scaling.errors import BayesScalingError
from bayes_scaling.study.folder import Outcome, StudyFolder
from bayes_scaling.study.jobs import AnyTask, Job


@dataclass(frozen=True)
class Chunk:
    """Tasks that share machine code, for one worker.

    Attributes
    ----------
    folder : StudyFolder
        Where the results go. The worker must see it too.
    tasks : tuple of AnyTask
    cores : int
        Chains of one fit that run at one time.
    """

    folder: StudyFolder
    tasks: tuple[AnyTask, ...]
    cores: int


def run_chunk(chunk: Chunk, tell: Callable[[Job], None] = lambda _: None) -> None:
    """Fit the tasks of a chunk and write each result at once; finished tasks are skipped.

    Parameters
    ----------
    chunk : Chunk
    tell : callable, optional
        Called with the job about to be fitted.
    """
    for task in chunk.tasks:
        if chunk.folder.outcome(task.name).status == "pending":
            tell(task.job)
            chunk.folder.record(task.name, _fit(task, chunk))


def _fit(task: AnyTask, chunk: Chunk) -> Outcome:
    file = chunk.folder.fit_file(task.name)
    there = (chunk.folder.path / file).is_file()
    start = perf_counter()
    try:
        found = task.fit(chunk.folder.store, chunk.cores)
        return Outcome(
            "done",
            problems="; ".join(found.problems()),
            **found.to_dict(),
            seconds=None if there else round(perf_counter() - start, 3),
            file=file,
        )
    except (OSError, MemoryError):
        raise  # the machine's fault, not this fit's, so it can be tried again
    except Exception as error:  # one bad fit must not stop the study
        return failed(error)


def failed(error: Exception) -> Outcome:
    """Return the outcome of a fit that could not be made."""
    reason = (str(error).splitlines() or [""])[0]
    if not isinstance(error, BayesScalingError):
        reason = f"{type(error).__name__}: {reason}"
    return Outcome("failed", reason=reason)
