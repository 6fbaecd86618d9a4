"""Fair comparison of fits by leave-one-out cross-validation, and their mixture between the runs.

Every model is scored on one outcome, the accuracy of a run given its budget. For a two-stage
model that density integrates the run's loss out, while the importance weights that leave the
run out drop its loss and its accuracy together.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import PACKAGE, ExtrapolationWarning, ModelError
from bayes_scaling.evaluation.stacked import StackedFit
from bayes_scaling.fitting.densities import predictive_density
from bayes_scaling.fitting.fit import Fit, fit_runs
from bayes_scaling.runs import BudgetLike, Budgets, Runs

Method = Literal["stacking", "bb-pseudo-bma", "pseudo-bma"]


def loo(fit: Fit, *, refit: bool = True) -> Any:
    """Return the leave-one-out elpd of a fit's scores given their budgets.

    Parameters
    ----------
    fit : Fit
        The fit.
    refit : bool
        Whether observations whose Pareto k is too large are left out by refitting the model.

    Returns
    -------
    arviz_stats.ELPDDataLOO
        With pointwise values; `pareto_k` is that of the importance sampling, also for
        observations that were refitted.

    References
    ----------
    Vehtari, Gelman and Gabry 2017 (arXiv:1507.04544).

    Examples
    --------
    >>> from bayes_scaling import fit_runs, load_dataset, loo
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> int(loo(fit_runs(runs.below(6e21))).n_data_points)
    46
    """
    target = predictive_density(fit, fit.observations)
    tree = xr.DataTree.from_dict(
        {"posterior": fit.posterior, "log_likelihood": target.to_dataset(name="score")}
    )
    weighting: dict[str, Any] = {}
    if fit.model.two_stage:
        joint = fit.log_likelihood() + fit.loss_log_likelihood()
        log_weights, pareto_k = joint.azstats.psislw(dim=["chain", "draw"])
        weighting = {"log_weights": log_weights, "pareto_k": pareto_k}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # large Pareto k are refitted, or reported by the caller
        first = az.loo(tree, pointwise=True, **weighting)
        if not refit:
            return first
        exact = az.reloo(_Refitter(fit, tree), loo_orig=first, pointwise=True)
    exact.pareto_k = first.pareto_k
    return exact


class _Refitter(az.SamplingWrapper):
    """Leave one observation out and fit again, for :func:`arviz.reloo`."""

    def __init__(self, fit: Fit, tree: xr.DataTree) -> None:
        super().__init__(model=fit.model, idata_orig=tree)
        self.fit = fit

    def sel_observations(self, idx: Any) -> tuple[Runs, xr.Dataset]:
        """Return the runs without an observation, and that observation."""
        seen, table = self.fit.observations, self.fit.runs.table
        place, unit = int(np.atleast_1d(idx)[0]), self.fit.bound.likelihood.unit
        if unit == "row":
            out = np.arange(seen.sizes["row"]) == place
        else:
            out = seen[unit].to_numpy() == np.unique(seen[unit])[place]
        lost = table["run"].isin(seen["run"].to_numpy()[out])
        if "k" in seen:
            lost &= table["k"].isin(seen["k"].to_numpy()[out])
        return Runs.from_frame(table[~lost], covariates=self.fit.runs.covariates), seen.isel(
            row=np.flatnonzero(out)
        )

    def sample(self, modified_observed_data: Runs) -> Fit:
        """Fit the remaining runs."""
        sizes = self.fit.posterior.sizes
        return fit_runs(
            modified_observed_data,
            self.fit.model,
            sampler=cast(Any, self.fit.sampler),
            draws=sizes["draw"],
            chains=sizes["chain"],
            seed=self.fit.seed,
        )

    def get_inference_data(self, fitted_model: Fit) -> Fit:
        """Return the fit itself: the density is evaluated from it."""
        return fitted_model

    def log_likelihood__i(self, excluded_obs: xr.Dataset, idata__i: Fit) -> xr.DataArray:
        """Return the log density of the observation left out."""
        return predictive_density(idata__i, excluded_obs).squeeze(drop=True)


@dataclass(frozen=True)
class Comparison:
    """Leave-one-out scores and weights of several fits of one series.

    Attributes
    ----------
    fits : mapping of str to Fit
        The fits by name.
    elpd : mapping of str to ELPDDataLOO
        Pointwise leave-one-out results by name.
    table : pandas.DataFrame
        ArviZ's comparison, best first: elpd, its standard error, differences and weights, and
        `bad_k`, the number of observations whose Pareto k was too large.
    """

    fits: Mapping[str, Fit]
    elpd: Mapping[str, Any]
    table: pd.DataFrame

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each fit; they add up to 1."""
        weights = self.table["weight"].astype(float).clip(lower=0)
        return {str(name): float(w) for name, w in (weights / weights.sum()).items()}

    def interpolate(
        self, budgets: Budgets | None = None, /, **asked: BudgetLike | None
    ) -> xr.Dataset:
        """Return the mixture of the fits' forecasts by their weights, between the fitted runs.

        Arguments and result are those of :meth:`Fit.forecast`. Leave-one-out weights measure
        interpolation. For larger runs, :func:`backtest` finds weights from past forecasts, and
        :class:`StackedFit` applies them.

        Warns
        -----
        ExtrapolationWarning
            If a budget lies outside the fitted runs.
        """
        given = Budgets.of(budgets, **asked)  # type: ignore[arg-type]
        self._warn_of_extrapolation(given)
        return StackedFit(self.fits, self.weights).forecast(given)

    def _warn_of_extrapolation(self, budgets: Budgets) -> None:
        fitted = next(iter(self.fits.values())).runs.table
        outside = []
        read = {"flops"}.union(*(fit.model.law.columns for fit in self.fits.values()))
        for name in sorted(read & set(map(str, budgets.inputs.data_vars))):
            asked, low, high = budgets.inputs[name], fitted[name].min(), fitted[name].max()
            if ((asked < low) | (asked > high)).any():
                outside.append(f"{name} is not within {low:.3g} to {high:.3g}")
        if outside:
            warnings.warn(
                f"a budget lies outside the fitted runs ({'; '.join(outside)}). Leave-one-out "
                "weights measure interpolation, not how well laws extrapolate; use "
                "backtest(...).weights, which come from past forecasts, with StackedFit(...)",
                ExtrapolationWarning,
                skip_file_prefixes=PACKAGE,
            )


def compare(
    fits: Mapping[str, Fit], *, method: Method = "stacking", refit: bool = True
) -> Comparison:
    """Compare fits of one series by leave-one-out cross-validation.

    Parameters
    ----------
    fits : mapping of str to Fit
        Two or more fits of the same scores of the same runs.
    method : {"stacking", "bb-pseudo-bma", "pseudo-bma"}
        How weights are found; see :func:`arviz.compare`.
    refit : bool
        Whether observations with a large Pareto k are left out by refitting.

    Returns
    -------
    Comparison

    Raises
    ------
    ModelError
        If the fits are of different runs, metrics or outcomes.

    Examples
    --------
    >>> from bayes_scaling import compare, fit_runs, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> fits = {law: fit_runs(runs.below(6e21), law) for law in ("power_law", "power_law_ceiling")}
    >>> round(sum(compare(fits).weights.values()), 3)
    1.0
    """
    check_comparable(fits)
    results = {name: loo(fit, refit=refit) for name, fit in fits.items()}
    table = az.compare(results, method=method, round_to="none")
    table["bad_k"] = [
        int((results[name].pareto_k > results[name].good_k).sum()) for name in table.index
    ]
    return Comparison(dict(fits), results, table)


def check_comparable(fits: Mapping[str, Fit]) -> None:
    """Raise a ModelError unless the fits are of the same outcome of the same runs."""
    if len(fits) < 2:
        raise ModelError("compare needs at least two fits")
    names = list(fits)
    first = fits[names[0]]
    for name in names[1:]:
        ours, theirs = first.observations, fits[name].observations
        for what in ("benchmark", "metric", "mixture"):
            if ours.attrs[what] != theirs.attrs[what]:
                raise ModelError(
                    f"{names[0]} and {name} differ in {what} ({ours.attrs[what]}, "
                    f"{theirs.attrs[what]}); compare fits of one series"
                )
        if not _same_rows(ours, theirs):
            raise ModelError(
                f"{names[0]} and {name} were fitted to different runs "
                f"({ours.sizes['row']} and {theirs.sizes['row']} scores); fit both to the same "
                "runs, with the same treatment of scores near chance"
            )
        kinds = [f.bound.likelihood for f in (first, fits[name])]
        if kinds[0].needs_items != kinds[1].needs_items or kinds[0].unit != kinds[1].unit:
            raise ModelError(
                f"{names[0]} ({kinds[0].name}) and {name} ({kinds[1].name}) are scored on "
                "different outcomes, counts or shares; give both the same likelihood"
            )


def _same_rows(ours: xr.Dataset, theirs: xr.Dataset) -> bool:
    return all(np.array_equal(ours[v], theirs[v]) for v in ("run", "score", "n_items"))
