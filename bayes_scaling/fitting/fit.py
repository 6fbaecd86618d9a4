"""Fit: a posterior with the runs and the model that made it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import arviz as az
import pandas as pd
import xarray as xr

from bayes_scaling.errors import PACKAGE, ConvergenceWarning
from bayes_scaling.fitting.checks import FitChecks
from bayes_scaling.fitting.densities import loss_density
from bayes_scaling.fitting.display import as_html, one_line, parameter_table
from bayes_scaling.fitting.files import read_fit, write_fit
from bayes_scaling.fitting.forecasts import forecast_budgets, generator, tabulate
from bayes_scaling.fitting.outcomes import check_table
from bayes_scaling.fitting.questions import Forecaster
from bayes_scaling.fitting.sampling_record import attempt_table, mode_table
from bayes_scaling.fitting.tree import build_tree
from bayes_scaling.inference.diagnostics import Diagnostics, diagnose
from bayes_scaling.inference.samplers import Sampler, sample
from bayes_scaling.laws import ScalingLaw
from bayes_scaling.modelling.bound import BoundModel
from bayes_scaling.modelling.default_law import choose_default
from bayes_scaling.modelling.model import ModelLike, ScalingModel, as_model
from bayes_scaling.runs import BudgetLike, Budgets, Runs


@dataclass(frozen=True)
class Fit(Forecaster):
    """A posterior of one model for one series of runs.

    Make one with :func:`fit_runs` or :meth:`load`.

    Attributes
    ----------
    bound : BoundModel
        The model, bound to the runs.
    posterior : xarray.Dataset
        Draws of sampled and textbook parameters, dimensions (chain, draw).
    sample_stats : xarray.Dataset
        Statistics of the sampler, dimensions (chain, draw).
    seed : int
        Seed of the draws, and of what is simulated from them.
    sampler : str
        The sampler that made the draws.

    Examples
    --------
    >>> from bayes_scaling import fit_runs, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> fit = fit_runs(runs.below(6e21))
    >>> fit
    <Fit of drifting_power_law_ceiling to arc_easy acc on dclm: 46 scores, converged>
    """

    bound: BoundModel
    posterior: xr.Dataset
    sample_stats: xr.Dataset
    seed: int = 0
    sampler: str = "fast"

    @property
    def model(self) -> ScalingModel:
        """The model as fitted, with nothing left "auto"."""
        return self.bound.model

    @property
    def runs(self) -> Runs:
        """The runs as given, before any filter."""
        return self.bound.runs

    @property
    def observations(self) -> xr.Dataset:
        """What the model saw of the runs, dimension `row`."""
        return self.bound.observations

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Divergences, R-hat and effective sample sizes."""
        return diagnose(self.posterior, self.sample_stats)

    @property
    def attempts(self) -> pd.DataFrame:
        """One row an attempt to sample, in order: settings, diagnostics, and whether it is kept."""
        return attempt_table(self.sample_stats)

    @property
    def modes(self) -> pd.DataFrame:
        """One row a mode: weight (NaN where chains mix), its se, log density, parameters there."""
        return mode_table(self.sample_stats)

    @cached_property
    def fitted_curve(self) -> xr.DataArray:
        """Mean accuracy at the fitted runs, dimensions (chain, draw, row).

        For a two-stage law it uses the runs' own losses.
        """
        rng = generator(b"curve", self.seed)
        return self.bound.curve(self.posterior, self.observations, rng).transpose(
            "chain", "draw", "row"
        )

    # ---- in words --------------------------------------------------------------------------

    def __repr__(self) -> str:
        seen = self.observations
        state = "NOT CONVERGED" if self.diagnostics.problems() else "converged"
        return (
            f"<Fit of {self.model.law_name} to {seen.attrs['benchmark']} {seen.attrs['metric']} "
            f"on {seen.attrs['mixture']}: {seen.sizes['row']} scores, {state}>"
        )

    def _repr_html_(self) -> str:
        failed = [check.sentence for check in self._checks.quick_failures]
        return as_html(self.describe(), self.parameters(), self.diagnostics.problems(), failed)

    def describe(self) -> str:
        """Return in one line what was fitted to what, whether it converged, and what it fails.

        Only checks of residuals are looked at, and only of draws that can be trusted: those of
        priors have to compile them. :meth:`checks` has all.
        """
        failed = ", ".join(check.check for check in self._checks.quick_failures)
        return one_line(self, failed)

    def summary(self, **kwargs: Any) -> pd.DataFrame:
        """Return ArviZ's summary of every parameter.

        Parameters
        ----------
        **kwargs
            For :func:`arviz.summary`.

        Warns
        -----
        ConvergenceWarning
            If the draws should not be trusted.
        """
        self.warn_if_not_converged()
        table: pd.DataFrame = az.summary(self.posterior, **kwargs)
        return table

    def parameters(self) -> pd.DataFrame:
        """Return mean, sd and 90% interval of every scalar parameter, sampled and textbook.

        Returns
        -------
        pandas.DataFrame
            One row per parameter: mean, sd, q05, q95, in the parameter's unit.
        """
        return parameter_table(self.posterior)

    # ---- checks ----------------------------------------------------------------------------

    @cached_property
    def _checks(self) -> FitChecks:
        return FitChecks(self)

    def checks(self) -> pd.DataFrame:
        """Return what convergence, residuals and priors say against the model, a row a check.

        The first call takes about a second, later ones none.

        Returns
        -------
        pandas.DataFrame
            Columns check, value, low, high, p, passed, direction and sentence; see
            :class:`bayes_scaling.fitting.checks.Check`.

        Examples
        --------
        >>> from bayes_scaling import fit_runs, load_dataset
        >>> runs = load_dataset(mixture="dclm").select("lambada_openai", "acc", tokens_per_param=20)
        >>> checks = fit_runs(runs.below(6e21)).checks().set_index("check")
        >>> bool(checks.loc["neighbours", "passed"])
        True
        """
        return check_table(self._checks.all)

    def conflicts(self) -> pd.DataFrame:
        """Return how far each parameter's posterior mean lies from its prior mean.

        See :func:`bayes_scaling.fitting.sensitivity.prior_conflicts` for the columns.
        """
        return self._checks.conflicts.copy()

    def cautions(self) -> list[str]:
        """Return sentences of failed checks that bear on forecasts of larger runs.

        They say that scores leave the curve at the end of the ladder, so that a forecast is
        likely too low or too high, or that it depends on the priors.
        """
        return self._checks.cautions()

    # ---- forecasts -------------------------------------------------------------------------

    def forecast(
        self,
        budgets: Budgets | None = None,
        /,
        *,
        seed: int | None = None,
        **asked: BudgetLike | None,
    ) -> xr.Dataset:
        """Return the posterior of curve and score at new budgets.

        Parameters
        ----------
        budgets : Budgets, optional
            Future runs.
        seed : int, optional
            Seed of simulated scores; by default the fit's.
        **asked
            Future runs, in place of `budgets`: flops, params, tokens, k, tokens_per_param,
            n_items and covariates by name; see :meth:`Budgets.of`.

        Returns
        -------
        xarray.Dataset
            `curve` and `score` (chain, draw, budget), accuracies; see
            :func:`bayes_scaling.fitting.forecasts.forecast_budgets`.

        Raises
        ------
        ModelError
            If an input of the law is missing or not positive.

        Warns
        -----
        ConvergenceWarning
            If the draws should not be trusted.

        Examples
        --------
        >>> from bayes_scaling import fit_runs, load_dataset
        >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
        >>> forecast = fit_runs(runs.below(6e21)).forecast(flops=[1e22, 1e23])
        >>> forecast["score"].sel(flops=1e23).dims
        ('chain', 'draw')
        """
        self.warn_if_not_converged()
        given = Budgets.of(budgets, **asked)  # type: ignore[arg-type]
        seed = self.seed if seed is None else seed
        return forecast_budgets(self.bound, self.posterior, given, seed=seed)

    def forecast_runs(self, runs: Runs) -> xr.Dataset:
        """Return the forecast of given runs, with their scores as `observed` (budget)."""
        self.warn_if_not_converged()
        table = runs.table
        budgets = Budgets.of_runs(runs, self.model.law.columns)
        result = forecast_budgets(self.bound, self.posterior, budgets, seed=self.seed)
        names = {name: ("budget", table[name].to_numpy(str)) for name in ("run", "training")}
        observed = ("budget", table["score"].to_numpy(float))
        return result.assign_coords(names).assign(observed=observed)

    def forecast_table(
        self, held_out: Runs | None = None, budgets: Budgets | None = None
    ) -> pd.DataFrame:
        """Return quantiles of the score of held-out runs, and of runs at further budgets.

        Parameters
        ----------
        held_out : Runs, optional
            Runs that were not fitted.
        budgets : Budgets, optional
            Further budgets.

        Returns
        -------
        pandas.DataFrame
            One row per budget, held-out runs first: run, FLOPs and the law's inputs, observed (NaN
            where there is none), median, q05, q25, q75 and q95.
        """
        parts = []
        if held_out is not None and len(held_out):
            parts.append(self.forecast_runs(held_out))
        if budgets is not None:
            parts.append(self.forecast(budgets))
        return tabulate(parts, self.model.law.columns)

    # ---- ArviZ and PyMC --------------------------------------------------------------------

    def prior(self, draws: int = 1000) -> xr.Dataset:
        """Return draws from the prior, dimensions (chain, draw)."""
        return self.bound.prior(draws, self.seed)

    def log_likelihood(self) -> xr.DataArray:
        """Return the pointwise log likelihood of the observed scores.

        Dimensions (chain, draw) and `row`, or `run` where a run's rows are dependent. For a
        two-stage model it is conditional on the runs' own losses.
        """
        seen = self.observations
        density = self.bound.likelihood.log_density(
            seen["score"], seen["n_items"], self.fitted_curve, self.posterior
        )
        return density.rename("score").transpose("chain", "draw", ...)

    def loss_log_likelihood(self) -> xr.DataArray:
        """Return the pointwise log likelihood of a two-stage model's observed log losses.

        Dimensions (chain, draw, row).

        Raises
        ------
        ModelError
            If the law is a direct one.
        """
        return loss_density(self)

    def to_arviz(self) -> xr.DataTree:
        """Return the fit as the DataTree that ArviZ's functions take.

        Returns
        -------
        xarray.DataTree
            Groups posterior, sample_stats, prior, prior_predictive, posterior_predictive,
            log_likelihood, log_prior, observed_data and constant_data. `score` is an accuracy
            in [0, 1] in all of them, and `row` is labelled by run. The log likelihood is that
            of a score given its budget; a two-stage law's loss is integrated out. Leave-one-out
            by :func:`arviz.loo` then leaves out a run's score but not its loss;
            :func:`bayes_scaling.compare` leaves out both.

        Raises
        ------
        ModelError
            If the law has two stages and its scores are dependent within a run.

        Examples
        --------
        >>> import arviz as az
        >>> from bayes_scaling import fit_runs, load_dataset
        >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
        >>> int(az.loo(fit_runs(runs.below(6e21)).to_arviz()).n_data_points)
        46
        """
        return build_tree(self)

    # ---- files -----------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the fit to one NetCDF file, with all that is needed to forecast again.

        The file is complete or absent: it is written beside its place and then moved there.
        """
        return write_fit(self, Path(path))

    @classmethod
    def load(cls, path: str | Path, *, law: ScalingLaw | None = None) -> Self:
        """Read a fit written by :meth:`save`; no code in the file is run.

        Parameters
        ----------
        path : path
            The file.
        law : ScalingLaw, optional
            The law, if it is your own and not registered.

        Raises
        ------
        BayesScalingError
            If the file is not a saved fit, or the law is not the one that was fitted.
        """
        return cls(*read_fit(Path(path), law))

    def warn_if_not_converged(self) -> None:
        """Warn if the draws should not be trusted."""
        if problems := self.diagnostics.problems():
            warnings.warn(
                f"{self.model.law_name} has not converged: {'; '.join(problems)}. "
                "Do not use these draws as they stand: raise tune and draws, or simplify the law.",
                ConvergenceWarning,
                skip_file_prefixes=PACKAGE,
            )


def fit_runs(
    runs: Runs,
    model: ModelLike | None = None,
    *,
    sampler: Sampler = "fast",
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    cores: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Fit:
    """Fit a model to one series of runs.

    Parameters
    ----------
    runs : Runs
        One benchmark, metric and mixture.
    model : ScalingModel, ScalingLaw or str, optional
        A model; a law, which is fitted with its default priors; or the name or TOML file of a
        model (see :func:`load_model`). The default depends on the runs; see
        :func:`bayes_scaling.modelling.default_law.choose_default`.
    sampler : {"fast", "nutpie", "pymc", "numpyro"}
        What samples the posterior; see :func:`bayes_scaling.inference.samplers.sample`.
    draws, tune, chains, cores, seed, progress
        As for that function.

    Returns
    -------
    Fit

    Raises
    ------
    ModelError, RunsError
        If the runs cannot be fitted by the model.

    Warns
    -----
    ConvergenceWarning
        If the draws should not be trusted.
    SamplerWarning
        If the fast sampler cannot be used with the installed versions of other libraries.

    Examples
    --------
    >>> from bayes_scaling import fit_runs, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> fit_runs(runs.below(6e21), "power_law_ceiling").sampler
    'fast'
    """
    bound = as_model(choose_default(runs)[0] if model is None else model).on(runs)
    samples = sample(
        bound,
        sampler,
        draws=draws,
        tune=tune,
        chains=chains,
        cores=cores,
        seed=seed,
        progress=progress,
    )
    fit = Fit(bound, samples.posterior, samples.sample_stats, seed, samples.sampler)
    # The sampler has computed them; a copy of the fit with other draws computes its own.
    vars(fit)["diagnostics"] = samples.diagnostics
    fit.warn_if_not_converged()
    return fit
