"""What a report of a whole table needs: fits, past forecasts and behaviours, kept in a folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from bayes_scaling.errors import BayesScalingError, ConvergenceWarning, ModelError
from bayes_scaling.evaluation.backtesting import backtest, fits_of
from bayes_scaling.evaluation.classification import Classification
from bayes_scaling.evaluation.results import Backtest
from bayes_scaling.evaluation.splits import default_cutoff, with_one_k
from bayes_scaling.fitting.fit import Fit
from bayes_scaling.fitting.shares import fit_ahead
from bayes_scaling.fitting.store import FitStore
from bayes_scaling.fitting.workers import cores_of, executor_of
from bayes_scaling.modelling.default_law import choose_default
from bayes_scaling.modelling.model import ScalingModel, load_model
from bayes_scaling.modelling.observations import choose_loss
from bayes_scaling.runs import Runs
from bayes_scaling.study.classifying import classify

# A pair of laws that differ in nothing but the route, and take a second each.
_ROUTES = ("power_law_ceiling", "loss_power_law_ceiling")


@dataclass(frozen=True)
class Gathered:
    """What :func:`bayes_scaling.report` shows of a table of runs.

    Attributes
    ----------
    fits : tuple of Fit
        A fit of each series that could be fitted.
    held_out : Runs
        The runs above the cut-off.
    past : Backtest or None
        Forecasts of the larger fitted runs from the smaller ones; None where no run is larger.
    behaviours : Classification or None
        How each task depends on the loss; None where there is no loss.
    notes : tuple of str
        What was chosen, and what could not be fitted.
    """

    fits: tuple[Fit, ...]
    held_out: Runs
    past: Backtest | None
    behaviours: Classification | None
    notes: tuple[str, ...]


def gather_report(
    runs: Runs,
    folder: Path,
    *,
    law: str | Path | None = None,
    loss: str | None = None,
    cutoff: float = inf,
    workers: int = 1,
    executor: Executor | None = None,
    tell: Callable[[str], None] = lambda _: None,
    seed: int = 0,
    **settings: Any,
) -> Gathered:
    """Fit each series, forecast the larger fitted runs from the smaller ones, and classify tasks.

    Parameters
    ----------
    runs : Runs
        One or more series of one mixture; of pass@k the smallest k is taken, unless the law that
        is named reads k.
    folder : path
        Where finished fits are kept, so that an interrupted call goes on where it stopped.
    law : str or path, optional
        A ready model or a TOML file; by default the one that was found best calibrated.
    loss : str, optional
        Loss that laws through a loss read, and of the behaviours.
    cutoff : float
        Largest budget to fit, in FLOPs. Larger runs are seen by nothing but the forecasts.
    workers : int
        Fits that run at one time.
    executor : concurrent.futures.Executor, optional
        Processes of this machine that do the work, in place of new ones.
    tell : callable
        Called with what is being done.
    seed : int
        Seed of the draws.
    **settings
        For :func:`bayes_scaling.fitting.fit.fit_runs`.

    Raises
    ------
    ModelError
        If there are several mixtures.
    BayesScalingError
        If no series can be fitted.
    """
    if len(runs.mixtures) > 1:
        raise ModelError(f"a report is of one mixture; choose one: {', '.join(runs.mixtures)}")
    fitted = runs.below(cutoff)
    if law is None or "k" not in load_model(law).law.columns:
        fitted = with_one_k(fitted)
    series = [rows for _, rows in fitted.series()]
    if not series:
        raise BayesScalingError(f"no run has at most {cutoff:.3g} FLOPs")
    models, reasons = zip(*(_model(rows, law, loss) for rows in series), strict=True)
    column = _loss_of(fitted, loss)
    compared = {model.law_name: model for model in models}
    if column is not None:
        for name in _ROUTES:  # a model of the user's that has this law stays
            compared.setdefault(name, _through(load_model(name), column))
    tasks = list(zip(series, models, strict=True))
    with warnings.catch_warnings(), executor_of(workers, executor) as helpers:
        warnings.simplefilter("ignore", ConvergenceWarning)  # the page says it
        asked = {"cores": cores_of(workers, None), "seed": seed, **settings}
        work = _Work(folder, workers, helpers, tell, asked)
        work.fit_ahead(tasks, fitted, compared)
        fits, failed = work.fit_all(tasks)
        past, no_past = work.forecast_past(fitted, compared)
        behaviours, unknown = work.classify_tasks(fitted, column)
    notes = [*dict.fromkeys([*filter(None, reasons), *failed, *no_past, *unknown])]
    return Gathered(tuple(fits), runs.above(cutoff), past, behaviours, tuple(notes))


def _model(rows: Runs, law: str | Path | None, loss: str | None) -> tuple[ScalingModel, str]:
    """Return the model of a series, and for the default one why."""
    name, reason = (law, "") if law else choose_default(rows)
    return _through(load_model(name), loss), reason


def _through(model: ScalingModel, loss: str | None) -> ScalingModel:
    return model.with_options(loss=loss) if model.two_stage and loss else model


def _loss_of(runs: Runs, loss: str | None) -> str | None:
    """Return the loss that is named or obvious; None if there is none."""
    try:
        return choose_loss(runs, loss or "auto")
    except ModelError:
        if loss is not None:
            raise
        return None


@dataclass(frozen=True)
class _Work:
    """Where fits are kept, who makes them, and how; each step returns notes on what is missing."""

    folder: Path
    workers: int
    helpers: Executor | None
    tell: Callable[[str], None]
    settings: Mapping[str, Any]

    @property
    def store(self) -> FitStore:
        return FitStore(self.folder / "fits")

    @property
    def _by(self) -> dict[str, Any]:
        return {"workers": self.workers, "executor": self.helpers}

    def fit_ahead(
        self,
        tasks: Sequence[tuple[Runs, ScalingModel]],
        fitted: Runs,
        models: Mapping[str, ScalingModel],
    ) -> None:
        """Fit what all steps will ask for at once: then no worker waits for the end of a step."""
        if self.helpers is None:
            return
        past = fits_of(fitted, [default_cutoff(fitted)], models, stack=False)
        every = fit_ahead(self.store, [*tasks, *past], self.settings, self.helpers, self.workers)
        for done, whole in every:
            self.tell(f"{done} of {whole} fits")

    def fit_all(self, tasks: Sequence[tuple[Runs, ScalingModel]]) -> tuple[list[Fit], list[str]]:
        """Return a fit of each series that can be fitted."""
        fits, failed = [], []
        for rows, model in tasks:
            try:
                fits.append(self.store.fit(rows, model, **self.settings))
            except (BayesScalingError, RuntimeError) as error:  # RuntimeError: the sampler's
                name = f"{rows.benchmarks[0]} {rows.metrics[0]}"
                failed.append(f"{name} could not be fitted: {str(error).splitlines()[0]}")
        if not fits:
            raise BayesScalingError(f"no series could be fitted: {'; '.join(failed)}")
        return fits, failed

    def forecast_past(
        self, fitted: Runs, models: Mapping[str, ScalingModel]
    ) -> tuple[Backtest | None, list[str]]:
        """Return forecasts of the larger fitted runs from those up to a sixth of the largest."""
        cutoff = default_cutoff(fitted)
        options: dict[str, Any] = {"store": self.store, **self._by, **self.settings}
        try:
            # Refitting would take longer than all the rest; the page counts large Pareto k.
            options |= {"stack": False, "loo": True, "refit": False, "on_fit": self.tell}
            return backtest(models, fitted, [cutoff], **options), []
        except (BayesScalingError, RuntimeError) as error:
            return None, [f"there are no past forecasts below {cutoff:.2g} FLOPs: {error}"]

    def classify_tasks(
        self, fitted: Runs, column: str | None
    ) -> tuple[Classification | None, list[str]]:
        """Return how each task depends on the loss."""
        if column not in fitted.losses:
            why = "no validation loss is named, or there is none"
            return None, [f"how tasks depend on a validation loss is not told: {why}"]
        try:
            found = classify(
                fitted, column, losses=[], folder=self.folder / "trends", **self._by,
                show=lambda done, _, what: self.tell(f"{what} ({done} trends done)"),
                seed=self.settings["seed"],
            )  # fmt: skip
        except (BayesScalingError, RuntimeError) as error:
            return None, [f"how tasks depend on a validation loss is not told: {error}"]
        return found, []
