"""Do the work of a study: in this process, in new ones, or by an executor of the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait

from bayes_scaling.fitting.shares import split, submit
from bayes_scaling.fitting.workers import cores_of, executor_of
from bayes_scaling.study.chunks import Chunk, run_chunk
from bayes_scaling.study.folder import StudyFolder
from bayes_scaling.study.jobs import Job, Task

_LOOK_SECONDS = 0.5


def do_all(
    folder: StudyFolder,
    groups: Sequence[Sequence[Task]],
    workers: int,
    executor: Executor | None,
    look: Callable[[Job | None], None],
) -> None:
    """Do all tasks; those of a group share machine code.

    Parameters
    ----------
    folder : StudyFolder
        Where the results go.
    groups : sequence of sequence of Task
    workers : int
        Tasks that run at one time.
    executor : concurrent.futures.Executor or None
        What runs them instead of this process or new ones.
    look : callable
        Called from time to time, with the job about to be fitted if that is known.
    """
    parts = split(groups, workers)
    if not parts:
        return
    cores = cores_of(min(workers, len(parts)), executor)
    chunks = [Chunk(folder, tasks, cores) for tasks in parts]
    with executor_of(workers, executor) as helpers:
        if helpers is None:
            for chunk in chunks:
                run_chunk(chunk, look)
        else:
            _send(chunks, helpers, look)


def _send(chunks: Sequence[Chunk], executor: Executor, look: Callable[[Job | None], None]) -> None:
    """Run the chunks on an executor; the first error cancels the chunks that have not begun."""
    futures = [submit(executor, run_chunk, chunk) for chunk in chunks]
    waiting = set(futures)
    try:
        while waiting:
            ready, waiting = wait(waiting, _LOOK_SECONDS, FIRST_COMPLETED)
            look(None)
            for future in ready:
                future.result()
    finally:
        for future in futures:
            future.cancel()
