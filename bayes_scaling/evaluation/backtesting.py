"""Rolling origin: fit below each cut-off, score the forecasts of the larger runs above it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import logsumexp

from bayes_scaling.errors import BayesScalingError
from bayes_scaling.evaluation import comparison
from bayes_scaling.evaluation.baselines import point_fits
from bayes_scaling.evaluation.results import Backtest
from bayes_scaling.evaluation.routes import route_pairs
from bayes_scaling.evaluation.scoring import score_forecast
from bayes_scaling.evaluation.stacked import mix
from bayes_scaling.evaluation.stacking import past_design_effect, stacking_weights
from bayes_scaling.evaluation.uncertainty import Clusters
from bayes_scaling.evaluation.verdicts import STACKED
from bayes_scaling.fitting.densities import predictive_density
from bayes_scaling.fitting.fit import Fit
from bayes_scaling.fitting.shares import fit_ahead, submit
from bayes_scaling.fitting.store import FitStore
from bayes_scaling.fitting.workers import cores_of, executor_of, folder_of
from bayes_scaling.modelling.model import ModelLike, ScalingModel, as_model
from bayes_scaling.runs import Runs

# Weights of the stacked forecast come from forecasts of the runs in the last factor of 6 of
# compute below a cut-off: about as far ahead as users look, and within the fitted runs.
_LOOK_BACK = 6.0


@dataclass(frozen=True)
class _Origin:
    """One series at one cut-off."""

    key: dict[str, Any]
    fitted: Runs
    ahead: Runs


def backtest(
    models: Mapping[str, ModelLike],
    runs: Runs,
    cutoffs: Sequence[float],
    *,
    baselines: bool = True,
    loss: str = "auto",
    stack: bool = True,
    loo: bool = False,
    refit: bool = True,
    store: FitStore | None = None,
    on_fit: Callable[[str], None] | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    **settings: Any,
) -> Backtest:
    """Fit every model to every series below each cut-off and score it on the runs above.

    Parameters
    ----------
    models : mapping of str to ScalingModel, ScalingLaw or str
        Models by name; see :func:`bayes_scaling.fit_runs`.
    runs : Runs
        One or more series.
    cutoffs : sequence of float
        Largest budgets to fit, in FLOPs.
    baselines : bool
        Whether to add the published point fits of `evaluation.baselines`.
    loss : str
        Loss that the two-stage point fits go through; each model has its own.
    stack : bool
        Whether to add the stacked forecast of all models. Its weights are found without any
        run above the cut-off.
    loo : bool
        Whether to compare the fits of each series by leave-one-out as well.
    refit : bool
        Whether leave-one-out refits a model where a Pareto k is too large; see
        :func:`bayes_scaling.compare`.
    store : FitStore, optional
        Where finished fits are kept. Several workers need a folder that all of them see; without
        one they take a temporary folder.
    on_fit : callable, optional
        Called with what is being done.
    workers : int
        Fits that run at one time. 1 fits in this process, more in as many new ones; a script
        should then call this below ``if __name__ == "__main__":``. With an executor, how many
        tasks it runs at one time. The draws do not depend on it.
    executor : concurrent.futures.Executor, optional
        What does the work in place of new processes, such as
        ``dask.distributed.Client(...).get_executor()``.
    **settings
        For :func:`bayes_scaling.fitting.fit.fit_runs`.

    Returns
    -------
    Backtest

    Examples
    --------
    >>> from bayes_scaling import backtest, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> result = backtest({"power law": "power_law"}, runs, [6e21], baselines=False)
    >>> len(result.scores)
    8

    Raises
    ------
    BayesScalingError
        If nothing could be fitted, or there is no worker.
    """
    if workers < 1:
        raise BayesScalingError(f"workers should be at least 1, not {workers}")
    given = {name: as_model(model) for name, model in models.items()}
    stack = stack and len(given) > 1
    tell = on_fit or (lambda _: None)
    given_folder = None if store is None else store.folder
    with (
        executor_of(workers, executor) as helpers,
        nullcontext(given_folder) if helpers is None else folder_of(given_folder) as folder,
    ):
        # A store in memory serves this process alone.
        kept = store if store is not None and folder == store.folder else FitStore(folder)
        if helpers is not None:
            settings = {"cores": cores_of(workers, executor)} | settings
        point_loss = loss if baselines else None
        job = _Job(given, kept, settings, loo=loo, refit=refit, loss=point_loss)
        if helpers is not None:
            tasks = fits_of(runs, cutoffs, given, stack=stack)
            for done, whole in fit_ahead(kept, tasks, settings, helpers, workers):
                tell(f"{done} of {whole} fits")
        return _run(job, runs, cutoffs, helpers, tell, stack=stack)


def fits_of(
    runs: Runs, cutoffs: Sequence[float], models: Mapping[str, ScalingModel], *, stack: bool
) -> Iterator[tuple[Runs, ScalingModel]]:
    """Yield what a backtest fits, for the weights of the stack as well."""
    for cutoff in cutoffs:
        past = _origins(runs.below(cutoff), cutoff / _LOOK_BACK) if stack else ()
        for origin in (*past, *_origins(runs, cutoff)):
            yield from ((origin.fitted, model) for model in models.values())


def _run(
    job: _Job,
    runs: Runs,
    cutoffs: Sequence[float],
    helpers: Executor | None,
    tell: Callable[[str], None],
    *,
    stack: bool,
) -> Backtest:
    found: list[_Scored] = []
    weights: list[dict[str, Any]] = []
    for cutoff in cutoffs:
        share: dict[str, float] = {}
        if stack:
            origins = list(_origins(runs.below(cutoff), cutoff / _LOOK_BACK))
            parts = list(_each(job.forecast_past, origins, helpers, tell))
            past = _Past.of(job.models, parts)
            found += [part.scored for part in parts]
            share = past.weights(job.models, job.settings.get("seed", 0))
            weights.append({"cutoff": cutoff, **past.worth, **share})
        score = partial(job.score, share=share)
        found += _each(score, list(_origins(runs, cutoff)), helpers, tell)
    tables = [table for one in found for table in one.tables]
    skipped = list(dict.fromkeys(tuple(entry.items()) for one in found for entry in one.skipped))
    if not tables:
        reasons = "; ".join(sorted({dict(s)["reason"] for s in skipped})) or "no run is held out"
        raise BayesScalingError(f"backtest: nothing could be scored: {reasons}")
    return Backtest(
        pd.concat(tables, ignore_index=True),
        pd.DataFrame([row for one in found for row in one.fits]),
        pd.DataFrame(weights),
        pd.DataFrame(map(dict, skipped), columns=["model", *_KEY, "cutoff", "reason"]),
        route_pairs(job.models, runs),
    )


_KEY = ("benchmark", "metric", "mixture")


def _each[R](
    work: Callable[[_Origin], R],
    origins: Sequence[_Origin],
    helpers: Executor | None,
    tell: Callable[[str], None],
) -> Iterator[R]:
    """Yield what work gives for each origin, in their order, here or by helpers."""
    submitted = [] if helpers is None else [submit(helpers, work, origin) for origin in origins]
    for place, origin in enumerate(origins):
        tell(f"{origin.key['benchmark']} below {origin.key['cutoff']:.2g} FLOPs")
        yield submitted[place].result() if submitted else work(origin)


def _origins(runs: Runs, cutoff: float) -> Iterator[_Origin]:
    """Yield each series with runs on both sides of a cut-off."""
    for series, rows in runs.series():
        flops = rows.table["flops"]
        if (flops <= cutoff).any() and (flops > cutoff).any():
            key = {**dict(zip(_KEY, series, strict=True)), "cutoff": cutoff}
            yield _Origin(key, rows.below(cutoff), rows.above(cutoff))


@dataclass
class _Scored:
    """What became of one origin."""

    tables: list[pd.DataFrame] = field(default_factory=list)
    fits: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class _Forecast:
    """Log densities by model of the scores of one origin, for the weights of the stack."""

    ahead: pd.DataFrame
    densities: dict[str, np.ndarray]
    scored: _Scored


@dataclass(frozen=True)
class _Job:
    """How each origin is fitted and scored."""

    models: Mapping[str, ScalingModel]
    store: FitStore
    settings: Mapping[str, Any]
    loo: bool
    refit: bool
    loss: str | None  # of the point fits; None for none

    def _fit_all(self, origin: _Origin, scored: _Scored) -> dict[str, Fit]:
        """Return the fits of all models that can be fitted to the runs below the cut-off."""
        fits = {}
        for name, model in self.models.items():
            try:
                fits[name] = self.store.fit(origin.fitted, model, **self.settings)
            except (BayesScalingError, RuntimeError) as error:  # RuntimeError: the sampler's
                reason = str(error).splitlines()[0]
                scored.skipped.append({"model": name, **origin.key, "reason": reason})
        return fits

    def score(self, origin: _Origin, share: Mapping[str, float]) -> _Scored:
        """Return the scores of each model, of their mixture and of the point fits."""
        found = _Scored()
        if self.loss is not None:
            found.tables.extend(_point_scores(origin, found, self.loss))
        fits = self._fit_all(origin, found)
        forecasts = {name: fit.forecast_runs(origin.ahead) for name, fit in fits.items()}
        densities = {name: log_density(fit, forecasts[name]) for name, fit in fits.items()}
        found.fits.extend(_fit_rows(origin, fits, loo=self.loo, refit=self.refit))
        for name, fit in fits.items():
            family = "two_stage" if fit.model.two_stage else "direct"
            found.tables.append(_table(forecasts[name], densities[name], origin, name, family))
        used = {name: share[name] for name in fits if share.get(name, 0) > 0}
        if used:
            mixture = mix({name: forecasts[name] for name in used}, used)
            density = _mixed_density(densities, used)
            found.tables.append(_table(mixture, density, origin, STACKED, STACKED))
        return found

    def forecast_past(self, origin: _Origin) -> _Forecast:
        """Return log densities of the scores forecast at an origin within the fitted runs."""
        scored = _Scored()
        densities = {
            name: log_density(fit, fit.forecast_runs(origin.ahead))
            for name, fit in self._fit_all(origin, scored).items()
        }
        return _Forecast(origin.ahead.table, densities, scored)


@dataclass(frozen=True)
class _Past:
    """Log densities of past scores by model, and what run and benchmark each score is of."""

    densities: Mapping[str, np.ndarray] = field(default_factory=dict)
    clusters: Clusters | None = None

    @classmethod
    def of(cls, models: Mapping[str, ScalingModel], parts: Sequence[_Forecast]) -> Self:
        """Pool forecasts over series, because no single ladder has enough runs to tell laws apart.

        A model takes part if it could be fitted to every series that any could.
        """
        parts = [part for part in parts if part.densities]
        complete = {
            name: np.concatenate([part.densities[name] for part in parts])
            for name in models
            if parts and all(name in part.densities for part in parts)
        }
        if not complete:
            return cls()
        return cls(complete, Clusters.of(pd.concat([part.ahead for part in parts])))

    def weights(self, models: Collection[str], seed: int) -> dict[str, float]:
        """Return the posterior mean of the weights; without a past, that of the flat prior."""
        if not self.densities:
            return dict.fromkeys(models, 1 / len(models))
        return stacking_weights(self.densities, self.clusters, seed=seed)

    @property
    def worth(self) -> dict[str, float]:
        """How many scores there are, and how many count as one."""
        if self.clusters is None:
            return {"past_scores": 0, "design_effect": np.nan}
        effect = past_design_effect(self.densities, self.clusters)
        return {"past_scores": len(self.clusters.run), "design_effect": effect}


def log_density(fit: Fit, forecast: xr.Dataset) -> np.ndarray:
    """Return the log predictive density of each held-out score of a forecast."""
    names = ("flops", *fit.model.law.columns)
    outcomes = xr.Dataset(
        {name: ("row", forecast[name].to_numpy()) for name in dict.fromkeys(names)}
        | {
            "score": ("row", forecast["observed"].to_numpy()),
            "n_items": ("row", forecast["n_items"].to_numpy()),
        },
        # Each row stands for itself: the marginal density of one score, not of a whole run.
        coords={name: ("row", np.arange(forecast.sizes["budget"])) for name in ("run", "training")},
    )
    density = predictive_density(fit, outcomes)
    n = density.sizes["chain"] * density.sizes["draw"]
    return np.asarray(logsumexp(density.to_numpy(), axis=(0, 1)) - np.log(n))


def _mixed_density(densities: Mapping[str, np.ndarray], share: Mapping[str, float]) -> np.ndarray:
    total = sum(share.values())
    terms = [densities[name] + np.log(weight / total) for name, weight in share.items()]
    return np.asarray(logsumexp(terms, axis=0))


def _fit_rows(
    origin: _Origin, fits: Mapping[str, Fit], *, loo: bool, refit: bool
) -> Iterator[dict[str, Any]]:
    """Yield a row on each fit: how it converged, and its leave-one-out score."""
    compared = loo and len(fits) > 1
    table = comparison.compare(fits, refit=refit).table if compared else None
    for name, fit in fits.items():
        row = {
            "model": name,
            **origin.key,
            "likelihood": fit.model.likelihood_name,
            "floor": fit.model.floor,
            **fit.diagnostics.to_dict(),
            "problems": "; ".join(fit.diagnostics.problems()),
        }
        if table is not None:
            columns = {"elpd": "elpd_loo", "se": "se", "bad_k": "bad_k", "weight": "weight"}
            row |= {new: float(table[old][name]) for old, new in columns.items()}
        yield row


def _table(
    forecast: xr.Dataset, density: np.ndarray, origin: _Origin, name: str, family: str
) -> pd.DataFrame:
    scores = score_forecast(forecast, _score_names(origin.ahead)).assign(elpd=density)
    return _labelled(scores, origin, name, family)


def _score_names(runs: Runs) -> list[str]:
    """Return a name for each score, the same at every cut-off and for every model."""
    rows = runs.table[[*_KEY, "run", "k"]].itertuples(index=False)
    return [" | ".join(map(str, row)) for row in rows]


def _labelled(scores: pd.DataFrame, origin: _Origin, name: str, family: str) -> pd.DataFrame:
    labels = {"model": name, "family": family, **origin.key}
    distance = scores["flops"] / origin.fitted.table["flops"].max()
    return scores.assign(**labels, distance=distance)


def _point_scores(origin: _Origin, scored: _Scored, loss: str) -> Iterator[pd.DataFrame]:
    """Yield the scores of the published point fits, which have no intervals."""
    ahead = origin.ahead.table
    for name, baseline in point_fits(loss).items():
        try:
            median = baseline(origin.fitted)(ahead)
        except BayesScalingError as error:
            scored.skipped.append({"model": name, **origin.key, "reason": str(error)})
            continue
        scores = ahead[["run", "training", "flops"]].assign(observed=ahead["score"], median=median)
        scores["crps"] = (scores["median"] - scores["observed"]).abs()
        missing = ["q05", "q25", "q75", "q95", "elpd", "pit"]
        yield _labelled(scores.assign(**dict.fromkeys(missing, np.nan)), origin, name, "point")
