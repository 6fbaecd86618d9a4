"""Worker processes on this machine that end with the process that started them."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from bayes_scaling.errors import ConvergenceWarning

# PyMC and what it needs take ten seconds to import. If the system can fork, one process imports
# them for all workers. It starts no thread, since a process with threads cannot be forked safely.
_SERVER = "forkserver" in get_all_start_methods()
# xarray looks for dask at the first array, and for its scheduler at the first file.
_IMPORTED = [
    *("bayes_scaling.fitting.fit", "bayes_scaling.inference.fast"),
    *("netCDF4", "dask.array", "distributed"),
]


def import_ahead() -> None:
    """Begin to import what workers need in another process, without waiting for it."""
    if _SERVER:
        from multiprocessing import forkserver  # not on every system

        forkserver.set_forkserver_preload(_IMPORTED)
        forkserver.ensure_running()


@contextmanager
def process_pool(workers: int) -> Iterator[Executor]:
    """Yield a pool of processes; if the block fails, they are stopped at once.

    They are also stopped if this process is killed; a bare pool would leave them waiting for
    ever.
    """
    import_ahead()
    context = get_context("forkserver" if _SERVER else "spawn")
    # The writing end stays here, so that it closes with this process, however that ends.
    lifeline, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, _start, (lifeline,))
    try:
        yield pool
    except BaseException:
        held.close()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        held.close()
        lifeline.close()


@contextmanager
def executor_of(workers: int, executor: Executor | None = None) -> Iterator[Executor | None]:
    """Yield what runs tasks: the given executor, else new processes, else None for one worker."""
    if executor is not None or workers == 1:
        yield executor
    else:
        with process_pool(workers) as pool:
            yield pool


@contextmanager
def folder_of(folder: Path | None) -> Iterator[Path]:
    """Yield where work is kept: the given folder, or a temporary one."""
    if folder is not None:
        yield folder
    else:
        with TemporaryDirectory() as temporary:
            yield Path(temporary)


def cores_of(workers: int, executor: Executor | None) -> int:
    """Return how many chains of a fit a worker should run at one time."""
    return 1 if executor is not None else max(1, (os.cpu_count() or 1) // workers)


def _start(lifeline: Connection) -> None:
    """Prepare a worker process."""
    # Ctrl-C reaches every process of a terminal; the parent answers it for all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore", ConvergenceWarning)  # it is in the index
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except EOFError:
        os._exit(1)
