"""Work in parts for several workers; fits that share machine code stay together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from contextlib import suppress
from typing import Any

import cloudpickle

from bayes_scaling.errors import BayesScalingError
from bayes_scaling.fitting.store import FitStore
from bayes_scaling.modelling.model import ScalingModel
from bayes_scaling.runs import Runs

# Compiling a law costs about as much as this many fits: smaller parts are not worth it.
_SMALLEST_PART = 8
# A law with more fits than this many times one worker's share is cut up, and several workers
# compile it. It is cut into this many parts per share, so that a slow worker delays nobody.
_TOO_LARGE, _PARTS_A_SHARE = 1.5, 4


def split[T](groups: Iterable[Sequence[T]], workers: int) -> list[tuple[T, ...]]:
    """Cut groups of tasks that share machine code into parts, the largest first.

    Each law is compiled by as few workers as leaves none of them idle for long.

    Parameters
    ----------
    groups : iterable of sequence
        Tasks that share machine code. Groups of one size keep their order.
    workers : int
        Tasks that run at one time.
    """
    groups = list(groups)
    share = max(_SMALLEST_PART, sum(map(len, groups)) / workers)
    parts: list[tuple[T, ...]] = []
    for group in groups:
        n = 1
        if workers > 1 and len(group) > _TOO_LARGE * share:
            n = math.ceil(len(group) / max(_SMALLEST_PART, share / _PARTS_A_SHARE))
        parts += [tuple(group[i::n]) for i in range(n)]
    return sorted(parts, key=len, reverse=True)


def submit[T](executor: Executor, function: Callable[..., T], *args: Any) -> Future[T]:
    """Submit a call whose arguments may hold laws that only this session knows."""
    return executor.submit(_call, cloudpickle.dumps((function, args)))


def _call(packed: bytes) -> Any:
    function, args = cloudpickle.loads(packed)
    return function(*args)


def fit_ahead(
    store: FitStore,
    tasks: Iterable[tuple[Runs, ScalingModel]],
    settings: Mapping[str, Any],
    executor: Executor,
    workers: int,
) -> Iterator[tuple[int, int]]:
    """Fit models to runs on an executor and keep the fits, for whoever asks the store for them.

    Parameters
    ----------
    store : FitStore
        Where fits are kept. The workers must see its folder.
    tasks : iterable of (Runs, ScalingModel)
        What to fit. What cannot be fitted is passed over: the store says why when it is asked.
    settings : mapping
        For :func:`bayes_scaling.fitting.fit.fit_runs`.
    executor : concurrent.futures.Executor
    workers : int
        Tasks that it runs at one time.

    Yields
    ------
    tuple of int
        How many fits are done, and how many there are.
    """
    groups: dict[Any, list[tuple[Runs, ScalingModel]]] = {}
    for runs, model in tasks:
        with suppress(BayesScalingError):
            groups.setdefault(model.on(runs).structure(), []).append((runs, model))
    # What takes longest comes first, so that no worker ends alone.
    parts = sorted(split(groups.values(), workers), key=_cost, reverse=True)
    futures = {submit(executor, _fit_part, store, part, settings): len(part) for part in parts}
    done, whole = 0, sum(futures.values())
    try:
        for future in as_completed(futures):
            future.result()
            done += futures[future]
            yield done, whole
    finally:
        for future in futures:
            future.cancel()


def _cost(part: Sequence[tuple[Runs, ScalingModel]]) -> int:
    """Return about how long a part takes: laws that sample many numbers often try again."""
    return sum(model.size**2 for _, model in part)


def _fit_part(
    store: FitStore, part: Sequence[tuple[Runs, ScalingModel]], settings: Mapping[str, Any]
) -> None:
    for runs, model in part:
        with suppress(BayesScalingError, RuntimeError):  # RuntimeError: the sampler's
            store.fit(runs, model, **settings)
