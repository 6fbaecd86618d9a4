"""The work of a study, cut into chunks: one worker does a chunk and stores each fit at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import cloudpickle

from bayes_scaling.errors import BayesScalingError
from bayes_scaling.study.folder import Outcome, StudyFolder
from bayes_scaling.study.jobs import Job, Task

if TYPE_CHECKING:
    from bayes_scaling.fitting.fit import Fit

# Compiling a law costs about as much as this many fits: smaller chunks are not worth it.
_SMALLEST_CHUNK = 8
# A law with more fits than this many times one worker's share is cut up, and several workers
# compile it. It is cut into this many chunks per share, so that a slow worker delays nobody.
_TOO_LARGE, _CHUNKS_A_SHARE = 1.5, 4


@dataclass(frozen=True)
class Chunk:
    """Tasks that share machine code, for one worker.

    Attributes
    ----------
    folder : StudyFolder
        Where the results go. The worker must see it too.
    tasks : tuple of Task
    cores : int
        Chains of one fit that run at one time.
    """

    folder: StudyFolder
    tasks: tuple[Task, ...]
    cores: int


def split(groups: Iterable[Sequence[Task]], workers: int) -> list[tuple[Task, ...]]:
    """Cut groups of tasks that share machine code into chunks, the largest first.

    Each law is compiled by as few workers as leaves none of them idle for long.
    """
    groups = list(groups)
    share = max(_SMALLEST_CHUNK, sum(map(len, groups)) / workers)
    chunks: list[tuple[Task, ...]] = []
    for group in groups:
        n = 1
        if workers > 1 and len(group) > _TOO_LARGE * share:
            n = math.ceil(len(group) / max(_SMALLEST_CHUNK, share / _CHUNKS_A_SHARE))
        chunks += [tuple(group[i::n]) for i in range(n)]
    return sorted(chunks, key=len, reverse=True)


def pack(chunk: Chunk) -> bytes:
    """Return a chunk as bytes for another process, with laws that only this session knows."""
    packed: bytes = cloudpickle.dumps(chunk)
    return packed


def run_packed(packed: bytes) -> None:
    """Do the work of a packed chunk."""
    run_chunk(cloudpickle.loads(packed))


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


def _fit(task: Task, chunk: Chunk) -> Outcome:
    file = chunk.folder.fit_file(task.name)
    there = (chunk.folder.path / file).is_file()
    start = perf_counter()
    try:
        fit = chunk.folder.store.fit(task.runs, task.model, cores=chunk.cores, **task.settings)
        return _done(fit, file, None if there else round(perf_counter() - start, 3))
    except (OSError, MemoryError):
        raise  # the machine's fault, not this fit's, so it can be tried again
    except Exception as error:  # one bad fit must not stop the study
        return failed(error)


def _done(fit: Fit, file: str, seconds: float | None) -> Outcome:
    """Return the outcome of a finished fit."""
    return Outcome(
        "done",
        problems="; ".join(fit.diagnostics.problems()),
        **fit.diagnostics.to_dict(),
        seconds=seconds,
        file=file,
    )


def failed(error: Exception) -> Outcome:
    """Return the outcome of a fit that could not be made."""
    reason = (str(error).splitlines() or [""])[0]
    if not isinstance(error, BayesScalingError):
        reason = f"{type(error).__name__}: {reason}"
    return Outcome("failed", reason=reason)
