"""Which tasks are predictable: trends of many tasks, on workers, and kept in a folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

from bayes_scaling.errors import BayesScalingError, ModelError
from bayes_scaling.evaluation.behaviours import BehaviourRules
from bayes_scaling.evaluation.classification import Classification
from bayes_scaling.fitting.shares import submit
from bayes_scaling.fitting.task_trends import TaskTrends, fit_task_trends, task_names
from bayes_scaling.fitting.workers import cores_of, executor_of, folder_of
from bayes_scaling.runs import Runs


def classify(
    runs: Runs,
    loss: str | None = None,
    *,
    losses: Sequence[str] | None = None,
    rules: BehaviourRules | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    folder: str | Path | None = None,
    on_task: Callable[[int, int, str], None] | None = None,
    seed: int = 0,
    **settings: Any,
) -> Classification:
    """Say how each task depends on a validation loss: predictable, noisy, inverse, ...

    Parameters
    ----------
    runs : Runs
        Any benchmarks and mixtures. A benchmark with several metrics is a task for each.
    loss : str, optional
        Column of the validation loss, in nats; by default the only one there is.
    losses : sequence of str, optional
        Losses of the context; by default that of the table. An empty list leaves it out, and
        ``runs.losses`` takes all: eight losses of 46 tasks take eight times as long.
    rules : BehaviourRules, optional
        The numbers that tell behaviours apart.
    workers : int
        Tasks that are fitted at one time; see :func:`bayes_scaling.backtest`.
    executor : concurrent.futures.Executor, optional
        As for that function.
    folder : path, optional
        Where finished tasks are kept, so that an interrupted call goes on where it stopped.
    on_task : callable, optional
        Called with the number of finished tasks, that of all, and the name of the last one.
    seed : int
        Seed of the draws.
    **settings
        For :func:`bayes_scaling.fitting.trend_fit.fit_trend`.

    Returns
    -------
    Classification
        Tasks of which nothing can be told (too few runs, equal scores) are in it, with the reason.

    Raises
    ------
    ModelError
        If no run has a loss, or the loss has to be named.
    BayesScalingError
        If there is no worker.

    References
    ----------
    Lourie, Hu and Cho 2025 (arXiv:2507.00885) for the six behaviours.

    Examples
    --------
    >>> from bayes_scaling import load_dataset
    >>> runs = load_dataset(mixture="dclm").select(["sciq", "piqa"], "acc", tokens_per_param=20)
    >>> found = classify(runs, "loss_c4", losses=[])
    >>> found.table()["behaviour"].tolist()
    ['predictable', 'predictable']
    """
    if workers < 1:
        raise BayesScalingError(f"workers should be at least 1, not {workers}")
    chosen = _choose(runs, loss)
    further = [chosen] if losses is None else list(losses)
    tasks = dict(_tasks(runs))
    tell = on_task or (lambda *_: None)
    cores = {} if executor is None and workers == 1 else {"cores": cores_of(workers, executor)}
    found: dict[str, TaskTrends] = {}
    kept = None if folder is None else Path(folder)
    with (
        executor_of(workers, executor) as helpers,
        folder_of(kept, alone=helpers is None) as place,
    ):
        work = partial(
            fit_task_trends,
            loss=chosen,
            losses=further,
            folder=place,
            settings={"seed": seed, **settings} | cores,
        )
        if helpers is not None:
            # Workers leave trends in the folder: they hold priors, which no process can send.
            futures = {submit(helpers, _fit_ahead, work, *task): task[0] for task in tasks.items()}
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                tell(done, len(tasks), futures[future])
        for name, rows in tasks.items():
            found[name] = work(name, rows)
            if helpers is None:
                tell(len(found), len(tasks), name)
    return Classification(tuple(found[name] for name in tasks), chosen, rules or BehaviourRules())


def _fit_ahead(work: Callable[..., TaskTrends], name: str, runs: Runs) -> None:
    work(name, runs)


def _choose(runs: Runs, loss: str | None) -> str:
    there = ", ".join(runs.losses)
    if not runs.losses:
        raise ModelError("no run has a validation loss; add a column loss_<name>, in nats")
    if loss is None and len(runs.losses) > 1:
        raise ModelError(f"which validation loss? Name one of {there} (--loss)")
    if loss is not None and loss not in runs.losses:
        raise ModelError(f"no loss column {loss!r}; there are {there}")
    return loss or runs.losses[0]


def _tasks(runs: Runs) -> Iterator[tuple[str, Runs]]:
    """Yield each task with the runs of all mixtures."""
    table = runs.table
    for name, rows in table.groupby(task_names(table), sort=False):
        if rows["metric"].iloc[0] == "pass@k":
            rows = rows[rows["k"] == rows["k"].min()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the whole table has given them
            yield str(name), Runs.from_frame(rows)
