"""Which tasks are predictable: trends of many tasks, on workers, and kept in a folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bayes_scaling.errors import BayesScalingError, ModelError
from bayes_scaling.evaluation.behaviours import BehaviourRules
from bayes_scaling.evaluation.classification import Classification
from bayes_scaling.fitting.store import FitStore
from bayes_scaling.fitting.task_trends import TaskTrends, fit_task_trends, task_names, trends_file
from bayes_scaling.fitting.workers import folder_of
from bayes_scaling.inference.diagnostics import Diagnostics
from bayes_scaling.runs import Runs
from bayes_scaling.study.crew import do_all
from bayes_scaling.study.folder import StudyFolder
from bayes_scaling.study.jobs import Job
from bayes_scaling.study.watch import Watch


def classify(
    runs: Runs,
    loss: str | None = None,
    *,
    losses: Sequence[str] | None = None,
    rules: BehaviourRules | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    folder: str | Path | None = None,
    show: Callable[[int, int, str], None] = lambda *_: None,
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
        Where finished tasks are kept as those of a :class:`bayes_scaling.Study` are, with an
        index.csv. An interrupted call goes on where it stopped.
    show : callable, optional
        Called from time to time with how many tasks are done, of how many nothing can be told,
        and what is under way.
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
        If there is no worker, or one has died. Finished tasks stay in the folder.
    KeyboardInterrupt
        On Ctrl-C. Finished tasks stay in the folder.

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
    with folder_of(None if folder is None else Path(folder)) as place:
        kept = StudyFolder(place)
        kept.prepare()
        asked = {"seed": seed, **settings}
        made_by = kept.store.made_by
        tasks = [
            TrendTask.of(name, rows, chosen, further, asked, made_by) for name, rows in _tasks(runs)
        ]
        what_next = (
            "give a folder to keep them"
            if folder is None
            else f"they are in {place}, and the same call goes on from there"
        )
        _fit_missing(kept, tasks, workers, executor, show, what_next)
        found = tuple(task.load(kept) for task in tasks)
    return Classification(found, chosen, rules or BehaviourRules())


@dataclass(frozen=True)
class TrendTask:
    """The trends of one task, as work for a study's workers.

    Attributes
    ----------
    name : str
        Name of the file of its trends.
    job : Job
    task : str
        Name of the task.
    runs : Runs
        Its runs, of all mixtures.
    loss : str
        The loss of the trend of all mixtures together.
    losses : tuple of str
        Losses of the trends of each mixture.
    settings : dict
        For :func:`bayes_scaling.fitting.trend_fit.fit_trend`.
    """

    name: str
    job: Job
    task: str
    runs: Runs
    loss: str
    losses: tuple[str, ...]
    settings: dict[str, Any]

    @classmethod
    def of(
        cls,
        task: str,
        runs: Runs,
        loss: str,
        losses: Sequence[str],
        settings: dict[str, Any],
        made_by: str,
    ) -> Self:
        """Return the work on a task, by a version of the package."""
        mixtures = ", ".join(runs.mixtures)
        job = Job(f"trend in {loss}", runs.benchmarks[0], runs.metrics[0], mixtures, None, None)
        name = trends_file(made_by, task, runs, loss, losses, settings)
        return cls(name, job, task, runs, loss, tuple(losses), settings)

    def fit(self, store: FitStore, cores: int) -> Diagnostics:
        """Fit the trends and keep them; an error says why there is none of all mixtures."""
        settings = self.settings | {"cores": cores}
        found = fit_task_trends(self.task, self.runs, self.loss, self.losses, settings)
        found.save(store.path(self.name))
        if found.whole is None:
            raise BayesScalingError(found.reasons["", self.loss])
        return found.whole.diagnostics

    def load(self, kept: StudyFolder) -> TaskTrends:
        """Return the trends that were kept; where nothing could be kept, the reason."""
        outcome = kept.outcome(self.name)
        try:
            return self._read(kept)
        except BayesScalingError:
            if outcome.status != "failed":
                raise
            return TaskTrends(self.task, reasons={("", self.loss): outcome.reason})

    def is_done(self, kept: StudyFolder) -> bool:
        """Return whether the trends, or reasons why there are none, are there and can be read."""
        try:
            self._read(kept)
        except BayesScalingError:
            return False
        return kept.outcome(self.name).status != "pending"

    def _read(self, kept: StudyFolder) -> TaskTrends:
        return TaskTrends.load(kept.path / kept.fit_file(self.name))


def _fit_missing(
    kept: StudyFolder,
    tasks: Sequence[TrendTask],
    workers: int,
    executor: Executor | None,
    show: Callable[[int, int, str], None],
    what_next: str,
) -> None:
    """Fit the tasks that are not there, or whose files are damaged."""
    jobs = {task.name: task.job for task in tasks}
    left = [task for task in tasks if not task.is_done(kept)]
    for task in left:
        kept.forget(task.name)

    def how_to_go_on() -> str:
        done = len(kept.finished() & jobs.keys())
        return f"{done} of {len(jobs)} tasks are done; {what_next}"

    with Watch(kept, jobs, show) as watch:
        # Each is a part of its own: a task takes longer than the machine code that tasks share.
        do_all(kept, [[task] for task in left], workers, executor, watch.look, how_to_go_on)


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
