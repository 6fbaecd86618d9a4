"""Do the work of a study: in this process, in new ones, or by an executor of the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, wait

from bayes_scaling.errors import BayesScalingError
from bayes_scaling.fitting.shares import split, submit
from bayes_scaling.fitting.workers import cores_of, executor_of
from bayes_scaling.study.chunks import Chunk, run_chunk
from bayes_scaling.study.folder import StudyFolder
from bayes_scaling.study.jobs import AnyTask, Job

_LOOK_SECONDS = 0.5


def do_all(
    folder: StudyFolder,
    groups: Sequence[Sequence[AnyTask]],
    workers: int,
    executor: Executor | None,
    look: Callable[[Job | None], None],
    how_to_go_on: Callable[[], str],
) -> None:
    """Do all tasks; those of a group share machine code.

    Parameters
    ----------
    folder : StudyFolder
        Where the results go.
    groups : sequence of sequence of AnyTask
    workers : int
        Tasks that run at one time.
    executor : concurrent.futures.Executor or None
        What runs them instead of this process or new ones.
    look : callable
        Called from time to time, with the job about to be fitted if that is known.
    how_to_go_on : callable
        Returns what a user is told who stops the work, or whose worker has died.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, with how to go on.
    BayesScalingError
        If the work cannot go on, with the reason and how to go on.
    """
    try:
        _do_all(folder, groups, workers, executor, look)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(how_to_go_on()) from None
    except Exception as error:
        raise BayesScalingError(f"{_why(error)}: {how_to_go_on()}") from error


def _do_all(
    folder: StudyFolder,
    groups: Sequence[Sequence[AnyTask]],
    workers: int,
    executor: Executor | None,
    look: Callable[[Job | None], None],
) -> None:
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


def _why(error: Exception) -> str:
    if isinstance(error, BrokenExecutor):
        return (
            "a worker process ended at once or was killed (out of memory? or a script without "
            'if __name__ == "__main__":?)'
        )
    return f"the work stopped, {type(error).__name__}: {error}"
