"""Study: many models × many series × many cut-offs, run as one job that can be interrupted."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from bayes_scaling.errors import BayesScalingError, ConvergenceWarning, ModelError
from bayes_scaling.laws import ScalingLaw, as_law
from bayes_scaling.modelling.model import ScalingModel, as_model
from bayes_scaling.runs import Runs
from bayes_scaling.study.chunks import failed
from bayes_scaling.study.crew import do_all
from bayes_scaling.study.folder import THIS_VERSION, VERSION, StudyFolder, count_outcomes
from bayes_scaling.study.jobs import Job, Task, jobs_of
from bayes_scaling.study.progress import progress_bar
from bayes_scaling.study.watch import Watch

if TYPE_CHECKING:
    from bayes_scaling.fitting.fit import Fit


class Study:
    """Every model fitted to every series of runs up to every cut-off.

    Nothing is written before :meth:`run`. Fits are kept in a folder, one file each, and read
    from there one at a time, so that a study of thousands takes no more memory than one of ten.

    Parameters
    ----------
    models : mapping of str to ScalingModel or law, or sequence of str
        Models by name, or names and TOML files of models (see :func:`load_model`). A law gets
        its default priors.
    runs : Runs
        One or more series. For a law that does not read the k of pass@k, each k is a series.
    folder : path
        Where the study is kept. If it already holds the same study, that one continues. If it
        holds another study, :meth:`run` raises an error and changes nothing.
    tokens_per_param : sequence of float or None
        Ratios that are fitted separately, each matched within 10%; None for all runs together.
    cutoffs : sequence of float or None
        Largest budgets to fit, in FLOPs; None for all runs.
    draws, tune, chains : int
        For :func:`bayes_scaling.fitting.fit.fit_runs`.
    seed : int
        Seed of the study. Each fit's seed comes from it and from what is fitted, so that the
        draws depend neither on the number of workers nor on the order of their work.

    Examples
    --------
    >>> from bayes_scaling import Study, load_dataset
    >>> runs = load_dataset(mixture="dclm").select(["arc_easy", "sciq"], "acc")
    >>> len(Study(["power_law"], runs, "folder", cutoffs=[1e21, 6e21]).jobs)
    4

    Attributes
    ----------
    jobs : tuple of Job
        What is to be fitted.

    Raises
    ------
    BayesScalingError
        If a model or a ratio is not there, or there is nothing to fit.
    """

    def __init__(
        self,
        models: Mapping[str, ScalingModel | ScalingLaw] | Sequence[str | Path],
        runs: Runs,
        folder: str | Path,
        *,
        tokens_per_param: Sequence[float | None] = (None,),
        cutoffs: Sequence[float | None] = (None,),
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        seed: int = 0,
    ) -> None:
        given = models if isinstance(models, Mapping) else _by_stem(models)
        self.models = {name: as_model(model) for name, model in given.items()}
        self.runs, self.seed = runs, seed
        self.folder = Path(folder).resolve()
        self.settings = {"draws": draws, "tune": tune, "chains": chains}
        self.tokens_per_param, self.cutoffs = _floats(tokens_per_param), _floats(cutoffs)
        self._series = dict(jobs_of(self.models, runs, self.tokens_per_param, self.cutoffs))
        self.jobs = tuple(self._series)
        if not self.jobs:
            raise BayesScalingError("a study needs a model and a series of runs at least")
        self._kept = StudyFolder(self.folder)

    @classmethod
    def resume(cls, folder: str | Path, *, laws: Sequence[ScalingLaw] = ()) -> Self:
        """Return the study that is kept in a folder, to finish it or to read it.

        Parameters
        ----------
        folder : path
            The folder of a study.
        laws : sequence of ScalingLaw
            Laws of your own that the study has and that are not registered.

        Raises
        ------
        BayesScalingError
            If the folder holds no study.
        """
        kept = StudyFolder(Path(folder).resolve())
        spec = kept.read_spec()
        if spec is None:
            raise BayesScalingError(f"there is no study in {folder}; start one there first")
        own = {as_law(law).name: as_law(law) for law in laws}
        models = {
            name: ScalingModel.from_dict(entry, own.get(entry["law"]))
            for name, entry in spec["models"].items()
        }
        names = ("tokens_per_param", "cutoffs", "draws", "tune", "chains", "seed")
        return cls(models, kept.read_runs(), folder, **{name: spec[name] for name in names})

    # ---- running -------------------------------------------------------------------------------

    def run(
        self, workers: int = 1, executor: Executor | None = None, *, progress: bool = True
    ) -> pd.DataFrame:
        """Fit everything that is not finished; fits that failed before are tried again.

        Parameters
        ----------
        workers : int
            Fits that run at one time. 1 fits in this process; more start as many new processes,
            which share the cores of the machine. A script that asks for more should do so below
            ``if __name__ == "__main__":``, since new processes import it. With an executor, this
            is how many tasks it runs at one time.
        executor : concurrent.futures.Executor, optional
            What runs the fits in place of new processes, such as
            ``dask.distributed.Client(...).get_executor()``. Its workers must see the folder
            under the same path. Chains of a fit run one after the other there.
        progress : bool
            Whether to show a bar, if stderr is a terminal.

        Returns
        -------
        pandas.DataFrame
            The table of :meth:`index`.

        Raises
        ------
        BayesScalingError
            If the folder holds another study, or a worker died. Finished fits stay.
        KeyboardInterrupt
            On Ctrl-C. The message says how to continue. Finished fits stay.
        """
        if workers < 1:
            raise BayesScalingError(f"workers should be at least 1, not {workers}")
        self._settle()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is in the index
            groups = self._pending()
            with (
                progress_bar(len(self.jobs), shown=progress) as show,
                Watch(self._kept, self._by_name, show) as watch,
            ):
                do_all(self._kept, groups, workers, executor, watch.look, self._how_to_go_on)
        return self.index()

    def _settle(self) -> None:
        """Check that the folder is this study's, or make it so."""
        spec = {
            VERSION: THIS_VERSION,
            "seed": self.seed,
            **self.settings,
            "tokens_per_param": self.tokens_per_param,
            "cutoffs": self.cutoffs,
            "models": {name: model.to_dict() for name, model in self.models.items()},
        }
        there = self._kept.read_spec()
        if there is None:
            self._kept.write_spec(spec, self.runs)
            return
        ours = json.loads(json.dumps(spec))
        differing = [name for name in ours if name != VERSION and ours[name] != there.get(name)]
        if self._kept.read_runs() != self.runs:
            differing.append("runs")
        if differing:
            raise BayesScalingError(
                f"{self.folder} holds another study (it differs in {', '.join(differing)}); "
                "choose another folder, or go on with that one by Study.resume"
            )
        self._kept.tidy()

    def _pending(self) -> list[list[Task]]:
        """Return the tasks left, grouped by shared machine code, the slowest groups first.

        Tasks that are seen to fail without sampling are recorded as failed at once.
        """
        groups: dict[tuple[Any, ...], list[Task]] = {}
        for name, job in self._by_name.items():
            if self._kept.outcome(name).status == "done":
                continue
            self._kept.forget(name)
            task = Task(name, job, *self._inputs(job))
            try:
                structure = task.model.on(task.runs).structure()
            except BayesScalingError as error:
                self._kept.record(name, failed(error))
            else:
                groups.setdefault(structure, []).append(task)
        return sorted(groups.values(), key=lambda tasks: tasks[0].model.size, reverse=True)

    def _inputs(self, job: Job) -> tuple[Runs, ScalingModel, dict[str, Any]]:
        """Return what a job's fit needs: rows, model and settings."""
        rows = self._series[job]
        if job.cutoff is not None:
            rows = rows.below(job.cutoff)
        return rows, self.models[job.model], {**self.settings, "seed": job.seed(self.seed)}

    def _how_to_go_on(self) -> str:
        folder = str(self.folder)
        return (
            f"{self.describe()}. Finished fits are kept; go on with "
            f"Study.resume({folder!r}).run(), or: bayes-scaling study --resume {quote(folder)}"
        )

    # ---- results -------------------------------------------------------------------------------

    @cached_property
    def _by_name(self) -> dict[str, Job]:
        return {self._name(job): job for job in self.jobs}

    def _name(self, job: Job) -> str:
        rows, model, settings = self._inputs(job)
        return self._kept.store.name(rows, model, **settings)

    @cached_property
    def _names(self) -> dict[Job, str]:
        return {job: name for name, job in self._by_name.items()}

    def index(self) -> pd.DataFrame:
        """Return a row for each job: what it is, and what became of it.

        Columns are those of :class:`Job` and of :class:`bayes_scaling.study.folder.Outcome`:
        model, benchmark, metric, mixture, tokens_per_param, cutoff (the last two empty for
        all), status ("done", "failed" or "pending"), reason, problems, divergences, max_rhat,
        min_ess_bulk, min_ess_tail, seconds, file and version.
        """
        return self._kept.index(self._by_name)

    def load(self, job: Job) -> Fit:
        """Return a finished fit, from its file.

        Raises
        ------
        BayesScalingError
            If the job is not done. The message says why.
        """
        outcome = self._kept.outcome(self._names[job])
        if outcome.status != "done":
            raise BayesScalingError(f"{job}: {outcome.status} {outcome.reason}".rstrip())
        from bayes_scaling.fitting.fit import Fit  # directing a study needs no sampler

        return Fit.load(self.folder / outcome.file, law=self.models[job.model].law)

    def fits(self) -> Iterator[tuple[Job, Fit]]:
        """Yield each finished fit with its job, one in memory at a time."""
        for job, name in self._names.items():
            if self._kept.outcome(name).status == "done":
                yield job, self.load(job)

    def describe(self) -> str:
        """Return in one line how far the study is."""
        index = self.index()
        count = count_outcomes(index)
        return (
            f"{count['done']} of {len(index)} fits done ({count['not_converged']} not converged), "
            f"{count['failed']} failed, {count['left']} left"
        )


def _by_stem(names: Sequence[str | Path]) -> dict[str, str | Path]:
    models = {Path(name).stem: name for name in names}
    if len(models) < len(names):
        raise ModelError(f"two models of one name among {', '.join(map(str, names))}")
    return models


def _floats(values: Sequence[float | None]) -> list[float | None]:
    """Return numbers as floats, so that 20 and 20.0 are the same."""
    return [None if value is None else float(value) for value in values]
