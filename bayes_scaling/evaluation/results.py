"""Backtest: scores of forecasts of held-out runs, and the tables made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bayes_scaling.evaluation.intervals import INTERVALS, paired_differences, score_intervals
from bayes_scaling.evaluation.routes import RoutePair, compare_routes
from bayes_scaling.evaluation.scoring import aggregate
from bayes_scaling.evaluation.uncertainty import Clusters
from bayes_scaling.evaluation.verdicts import STACKED, judge

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
        (:func:`~bayes_scaling.evaluation.stacking.past_design_effect`). Where there are none, as
        on ladders of few runs, all models weigh the same.
    skipped : pandas.DataFrame
        What could not be fitted (model, series, cutoff), and the reason.
    pairs : tuple of RoutePair
        Models that differ in nothing but the route: direct, or through a loss.
    """

    scores: pd.DataFrame
    fits: pd.DataFrame
    weights: pd.DataFrame
    skipped: pd.DataFrame
    pairs: tuple[RoutePair, ...] = ()

    def joined(self, other: Backtest) -> Backtest:
        """Return both in one, to be compared: other models, scored on the same runs."""
        scores, fits, weights, skipped = (
            pd.concat([getattr(self, name), getattr(other, name)], ignore_index=True)
            for name in ("scores", "fits", "weights", "skipped")
        )
        return Backtest(scores, fits, weights, skipped, (*self.pairs, *other.pairs))

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

    def by_loo(self) -> pd.DataFrame:
        """Return a row for each model: how well it predicts fitted runs that are left out.

        Returns
        -------
        pandas.DataFrame
            Largest elpd first: model, elpd (sum of the leave-one-out log densities of the series
            and cut-offs that all models were fitted to), fits (how many these are), best_on (on
            how many of them the model has the largest), weight (mean of its stacking weights by
            leave-one-out) and bad_k (scores whose Pareto k was too large: refitted if asked for).
            Empty if :func:`bayes_scaling.backtest` was not asked for it.
        """
        if "elpd_loo" not in self.fits:
            return pd.DataFrame(columns=["model", "elpd", "fits", "best_on", "weight", "bad_k"])
        key = ["benchmark", "metric", "mixture", "cutoff"]
        known = self.fits.dropna(subset="elpd_loo")
        models = known.groupby(key)["model"].transform("nunique")
        shared = known[models == known["model"].nunique()]
        best = shared["elpd_loo"] == shared.groupby(key)["elpd_loo"].transform("max")
        groups = shared.assign(best_on=best).groupby("model")
        table = groups.agg(
            elpd=("elpd_loo", "sum"),
            fits=("elpd_loo", "size"),
            best_on=("best_on", "sum"),
            weight=("weight", "mean"),
            bad_k=("bad_k", "sum"),
        )
        return table.sort_values("elpd", ascending=False).reset_index()

    def weights_ahead(self, seed: int = 0) -> dict[str, float]:
        """Return weights of a stacked forecast beyond all runs that these forecasts are of.

        All scores are the past then: :class:`bayes_scaling.StackedFit` takes the weights with fits
        of all runs. Those of :attr:`weights` are for the scores here, and know none of them.

        Parameters
        ----------
        seed : int
            Seed of the sampler.

        Returns
        -------
        dict
            Weight of each model that forecast every score, adding up to 1; empty if there are fewer
            than two. See :func:`~bayes_scaling.evaluation.stacking.stacking_weights`.
        """
        from bayes_scaling.evaluation.stacking import stacking_weights  # PyMC takes seconds

        models = self.scores[self.scores["elpd"].notna() & (self.scores["family"] != STACKED)]
        score = ["benchmark", "metric", "mixture", "cutoff", "run", "training", "flops", "observed"]
        wide = models.pivot_table("elpd", score, "model", sort=False).dropna(axis=1)
        densities = {str(name): wide[name].to_numpy() for name in wide}
        return stacking_weights(densities, Clusters.of(wide.reset_index()), seed=seed)

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

    def routes(self, score: str = "crps", by: Sequence[str] = ()) -> pd.DataFrame:
        """Return whether it helps to go through the loss, one row for each pair of models.

        Parameters
        ----------
        score : {"crps", "mae", "cover50", "cover90"}
            The score.
        by : sequence of str
            Columns to compare within, such as "benchmark", "cutoff" or "distance" (compute over
            the largest fitted, in bands).

        Returns
        -------
        pandas.DataFrame
            See :func:`~bayes_scaling.evaluation.routes.compare_routes`.
        """
        return compare_routes(self.scores, self.pairs, score, by)

    def verdicts(self) -> list[str]:
        """Return what the tables say, in plain words.

        They say whose means are over fewer benchmarks, how the stacked forecast compares with
        the best single law and where it loses to the best point fit, how often its intervals hold,
        where leave-one-out and held-out runs disagree, what has not converged, and what was left
        out. Each mixture and cut-off has sentences of its own.
        """
        return judge(self)
