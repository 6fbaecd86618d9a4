"""Rolling origin: fit below each cut-off, score the forecasts of the larger runs above it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import logsumexp

from bayes_scaling.errors import BayesScalingError
from bayes_scaling.evaluation import comparison
from bayes_scaling.evaluation.baselines import point_fits
from bayes_scaling.evaluation.intervals import INTERVALS, paired_differences, score_intervals
from bayes_scaling.evaluation.scoring import aggregate, score_forecast
from bayes_scaling.evaluation.stacking import past_design_effect, stacking_weights
from bayes_scaling.evaluation.uncertainty import Clusters
from bayes_scaling.evaluation.verdicts import STACKED, judge
from bayes_scaling.fitting.densities import predictive_density
from bayes_scaling.fitting.fit import Fit
from bayes_scaling.fitting.store import FitStore
from bayes_scaling.modelling.model import ModelLike, ScalingModel, as_model
from bayes_scaling.runs import Runs

# Weights of the stacked forecast come from forecasts of the runs in the last factor of 6 of
# compute below a cut-off: about as far ahead as users look, and within the fitted runs.
_LOOK_BACK = 6.0
# Mean scores that tables show, in their order.
SCORES = ("mre", "mae", "rmse", "r2", "elpd", "crps", "cover50", "cover90")


@dataclass(frozen=True)
class Backtest:
    """Scores of forecasts of held-out runs.

    Attributes
    ----------
    scores : pandas.DataFrame
        One row per model × held-out score: model, family ("direct", "two_stage", "point",
        "stacked"), benchmark, metric, mixture, cutoff, run, flops, distance (flops over the
        largest fitted), observed, median, q05, q25, q75, q95, elpd (log density; for counts log
        mass), crps (for a point fit the absolute error) and pit.
    fits : pandas.DataFrame
        One row per fit: model, series, cutoff, its likelihood and floor, diagnostics, and, where
        asked for, elpd_loo, se, bad_k and the stacking weight by leave-one-out.
    weights : pandas.DataFrame
        Weight of each model in the stacked forecast, one row per cut-off. Weights come from
        forecasts within the fitted runs, pooled over series: `past_scores` says how many, and
        `design_effect` how many of them count as one
        (:func:`~bayes_scaling.evaluation.stacking.past_design_effect`).
    skipped : pandas.DataFrame
        What could not be fitted (model, series, cutoff), and the reason.
    """

    scores: pd.DataFrame
    fits: pd.DataFrame
    weights: pd.DataFrame
    skipped: pd.DataFrame

    def summary(self, by: Sequence[str] = ("model", "family")) -> pd.DataFrame:
        """Return mean scores by model; each benchmark and cut-off counts the same.

        Mixtures are never averaged: if there are several, each has rows of its own.

        Columns are those of :func:`~bayes_scaling.evaluation.scoring.aggregate`; `rmse`, `r2`,
        `elpd` and `n` are over all scores pooled. `benchmarks` counts those that a model could
        be fitted to. `mae`, `crps`, `cover50` and `cover90` have 90% intervals, clustered by run
        and benchmark, such as `crps_low` and `crps_high`
        (:func:`~bayes_scaling.evaluation.intervals.score_intervals`). They are NaN below three
        runs or three benchmarks.
        """
        by = list(by)
        if "mixture" not in by and len(set(self.scores["mixture"])) > 1:
            by = [*by, "mixture"]
        cell = [*by, *(k for k in ("benchmark", "metric", "cutoff") if k not in by)]
        cells = aggregate(self.scores, cell)
        means = ["mre", "mae", "crps", "cover50", "cover90", "width50", "width90"]
        groups = cells.groupby(by, sort=False)
        table = groups[means].mean()
        pooled = aggregate(self.scores, by).set_index(by)
        table[["rmse", "r2", "elpd", "n"]] = pooled[["rmse", "r2", "elpd", "n"]]
        table["benchmarks"] = groups["benchmark"].nunique()
        return table.join(score_intervals(self.scores, by, cell)).reset_index()

    def by_model(self) -> pd.DataFrame:
        """Return a row for each model: mean scores over benchmarks, and stacking weight.

        Returns
        -------
        pandas.DataFrame
            Smallest CRPS first: model, family, the columns of :meth:`summary`, and `weight`, the
            mean over cut-offs.
        """
        table = self.summary()
        table["weight"] = table["model"].map(self.weights.mean().to_dict())
        first = ["model", "family", *SCORES, "weight", "width50", "width90", "n", "benchmarks"]
        order = [*first, *(name for name in table if name not in first)]
        return table[order].sort_values("crps", ignore_index=True)

    def by_benchmark(self) -> pd.DataFrame:
        """Return a row for each model × benchmark, with leave-one-out scores and diagnostics.

        It has no intervals. The forecasts of all runs of one benchmark come from one curve, so
        one benchmark does not show how much scores differ between benchmarks.
        """
        key = ["model", "benchmark", "metric", "mixture", "cutoff"]
        table = self.summary([*key, "family"]).drop(columns=["benchmarks", *INTERVALS])
        if self.fits.empty:
            return table
        return table.merge(self.fits, on=key, how="left")

    def differences(self, reference: str | None = None, score: str = "crps") -> pd.DataFrame:
        """Return how much larger the mean score of each model is than that of one of them.

        Parameters
        ----------
        reference : str, optional
            The model that the others are compared with; by default the stacked forecast, or where
            there is none the model with the smallest mean.
        score : {"crps", "mae", "cover50", "cover90"}
            The score.

        Returns
        -------
        pandas.DataFrame
            One row per other model (and mixture, if there are several), smallest difference first.
            See :func:`~bayes_scaling.evaluation.intervals.paired_differences`.

        Raises
        ------
        ModelError
            If the reference has no scores.
        """
        models = self.summary(["model"]).sort_values(score)["model"].tolist()
        usual = STACKED if STACKED in models else models[0]
        return paired_differences(self.scores, usual if reference is None else reference, score)

    def verdicts(self) -> list[str]:
        """Return what the tables say, in plain words.

        They say whose means are over fewer benchmarks, how the stacked forecast compares with
        the best single law and where it loses to the best point fit, how often its intervals hold,
        where leave-one-out and held-out runs disagree, what has not converged, and what was left
        out. Each mixture and cut-off has sentences of its own.
        """
        return judge(self)


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
    store: FitStore | None = None,
    on_fit: Callable[[str], None] | None = None,
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
    store : FitStore, optional
        Where finished fits are kept.
    on_fit : callable, optional
        Called with what is about to be fitted.
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
        If nothing could be fitted.
    """
    given = {name: as_model(model) for name, model in models.items()}
    job = _Job(given, store or FitStore(None), on_fit or (lambda _: None), settings)
    tables: list[pd.DataFrame] = []
    weights: list[dict[str, Any]] = []
    for cutoff in cutoffs:
        past = job.past_densities(runs, cutoff) if stack and len(models) > 1 else _Past()
        share = past.weights(settings.get("seed", 0))
        if share:
            weights.append({"cutoff": cutoff, **past.worth, **share})
        for origin in _origins(runs, cutoff):
            if baselines:
                tables.extend(_point_scores(origin, job, loss))
            tables.extend(job.score(origin, share, loo=loo))
    if not tables:
        reasons = "; ".join(sorted({s["reason"] for s in job.skipped})) or "no run is held out"
        raise BayesScalingError(f"backtest: nothing could be scored: {reasons}")
    return Backtest(
        pd.concat(tables, ignore_index=True),
        pd.DataFrame(job.fits),
        pd.DataFrame(weights),
        pd.DataFrame(job.skipped, columns=["model", *_KEY, "cutoff", "reason"]),
    )


_KEY = ("benchmark", "metric", "mixture")


def _origins(runs: Runs, cutoff: float) -> Iterator[_Origin]:
    """Yield each series with runs on both sides of a cut-off."""
    for series, rows in runs.series():
        flops = rows.table["flops"]
        if (flops <= cutoff).any() and (flops > cutoff).any():
            key = {**dict(zip(_KEY, series, strict=True)), "cutoff": cutoff}
            yield _Origin(key, rows.below(cutoff), rows.above(cutoff))


class _Job:
    """The fits of one backtest, and what became of them."""

    def __init__(
        self,
        models: Mapping[str, ScalingModel],
        store: FitStore,
        on_fit: Callable[[str], None],
        settings: dict[str, Any],
    ) -> None:
        self.models, self.store, self.on_fit, self.settings = models, store, on_fit, settings
        self.fits: list[dict[str, Any]] = []
        self.skipped: list[dict[str, Any]] = []

    def fit_all(self, origin: _Origin) -> dict[str, Fit]:
        """Return the fits of all models that can be fitted to the runs below the cut-off."""
        fits = {}
        for name, model in self.models.items():
            self.on_fit(f"{name}: {origin.key['benchmark']} below {origin.key['cutoff']:.2g} FLOPs")
            try:
                fits[name] = self.store.fit(origin.fitted, model, **self.settings)
            except (BayesScalingError, RuntimeError) as error:  # RuntimeError: the sampler's
                self.skip(name, origin, str(error).splitlines()[0])
        return fits

    def skip(self, name: str, origin: _Origin, reason: str) -> None:
        """Record what could not be fitted, once."""
        entry = {"model": name, **origin.key, "reason": reason}
        if entry not in self.skipped:
            self.skipped.append(entry)

    def score(
        self, origin: _Origin, share: Mapping[str, float], *, loo: bool
    ) -> Iterator[pd.DataFrame]:
        """Yield the scores of each model, and of their mixture, at one origin."""
        fits = self.fit_all(origin)
        forecasts = {name: fit.forecast_runs(origin.ahead) for name, fit in fits.items()}
        densities = {name: log_density(fit, forecasts[name]) for name, fit in fits.items()}
        self.fits.extend(_fit_rows(origin, fits, loo=loo))
        for name, fit in fits.items():
            family = "two_stage" if fit.model.two_stage else "direct"
            yield _table(forecasts[name], densities[name], origin, name, family)
        used = {name: share[name] for name in fits if share.get(name, 0) > 0}
        if used:
            mixture = comparison.mix({name: forecasts[name] for name in used}, used)
            density = _mixed_density(densities, used)
            yield _table(mixture, density, origin, STACKED, STACKED)

    def past_densities(self, runs: Runs, cutoff: float) -> _Past:
        """Return log densities of the scores forecast within the runs below a cut-off.

        They are pooled over series, because no single ladder has enough runs to tell laws
        apart. A model takes part if it could be fitted to every series that any could.
        """
        densities: dict[str, list[np.ndarray]] = {name: [] for name in self.models}
        ahead = []
        for origin in _origins(runs.below(cutoff), cutoff / _LOOK_BACK):
            fits = self.fit_all(origin)
            for name, fit in fits.items():
                densities[name].append(log_density(fit, fit.forecast_runs(origin.ahead)))
            ahead += [origin.ahead.table] if fits else []
        complete = {
            n: np.concatenate(d) for n, d in densities.items() if d and len(d) == len(ahead)
        }
        return _Past(complete, Clusters.of(pd.concat(ahead))) if complete else _Past()


@dataclass(frozen=True)
class _Past:
    """Log densities of past scores by model, and what run and benchmark each score is of."""

    densities: Mapping[str, np.ndarray] = field(default_factory=dict)
    clusters: Clusters | None = None

    def weights(self, seed: int) -> dict[str, float]:
        return stacking_weights(self.densities, self.clusters, seed=seed)

    @property
    def worth(self) -> dict[str, float]:
        """How many scores there are, and how many count as one."""
        if self.clusters is None:
            return {}
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


def _fit_rows(origin: _Origin, fits: Mapping[str, Fit], *, loo: bool) -> Iterator[dict[str, Any]]:
    """Yield a row on each fit: how it converged, and its leave-one-out score."""
    table = comparison.compare(fits).table if loo and len(fits) > 1 else None
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


def _point_scores(origin: _Origin, job: _Job, loss: str) -> Iterator[pd.DataFrame]:
    """Yield the scores of the published point fits, which have no intervals."""
    ahead = origin.ahead.table
    for name, baseline in point_fits(loss).items():
        try:
            median = baseline(origin.fitted)(ahead)
        except BayesScalingError as error:
            job.skip(name, origin, str(error))
            continue
        scores = ahead[["run", "training", "flops"]].assign(observed=ahead["score"], median=median)
        scores["crps"] = (scores["median"] - scores["observed"]).abs()
        missing = ["q05", "q25", "q75", "q95", "elpd", "pit"]
        yield _labelled(scores.assign(**dict.fromkeys(missing, np.nan)), origin, name, "point")
