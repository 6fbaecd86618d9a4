"""Fit: a posterior with the runs and the model that made it."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import arviz as az
import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from bayes_scaling import forecast as forecasting
from bayes_scaling._netcdf import read_tree, write_tree
from bayes_scaling.diagnostics import Diagnostics, diagnose
from bayes_scaling.errors import BayesScalingError, ConvergenceWarning, ModelError
from bayes_scaling.forecast import BudgetLike
from bayes_scaling.laws.base import TwoStageLaw
from bayes_scaling.model import ScalingModel, load_model
from bayes_scaling.runs import Runs
from bayes_scaling.sampling import sample_posterior, sample_prior


@dataclass(frozen=True)
class Fit:
    """A posterior of one model for one series of runs.

    Make one with :func:`fit_runs` or :meth:`load`.

    Attributes
    ----------
    model : ScalingModel
        As fitted, its likelihood settled.
    runs : Runs
        The runs as given, before any filter.
    posterior : xarray.Dataset
        Draws of sampled and textbook parameters, dimensions (chain, draw).
    sample_stats : xarray.Dataset
        Statistics of the sampler, dimensions (chain, draw).
    """

    model: ScalingModel
    runs: Runs
    posterior: xr.Dataset
    sample_stats: xr.Dataset
    seed: int = field(default=0)

    @cached_property
    def observations(self) -> xr.Dataset:
        """What the model saw of the runs; see :func:`bayes_scaling.observations.observe`."""
        return self.model.prepare(self.runs)[1]

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Divergences, R-hat and effective sample sizes."""
        return diagnose(self.posterior, self.sample_stats)

    @cached_property
    def _fitted_curve(self) -> xr.DataArray:
        seen = self.observations
        rng = forecasting.generator(b"curve", self.seed)
        return self.model.curve(self.posterior, seen, seen, rng).transpose("chain", "draw", "row")

    def describe(self) -> str:
        """Return in one line what was fitted to what, and whether it converged."""
        seen = self.observations
        problems = self.diagnostics.problems()
        left_out = len(self.runs) - seen.sizes["row"]
        return (
            f"{self.model.law_name} ({self.model.likelihood_name}, {self.model.floor} floor) on "
            f"{seen.attrs['benchmark']} {seen.attrs['metric']}, {seen.attrs['mixture']}: "
            f"{seen.sizes['row']} scores"
            + (f" ({left_out} within 5 points of chance left out)" if left_out else "")
            + ("; NOT CONVERGED: " + "; ".join(problems) if problems else "; converged")
        )

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
        self._warn()
        table: pd.DataFrame = az.summary(self.posterior, **kwargs)
        return table

    def parameters(self) -> pd.DataFrame:
        """Return mean, sd and 90% interval of every scalar parameter, sampled and textbook."""
        dims = ("chain", "draw")
        scalars = self.posterior[[k for k, v in self.posterior.items() if v.ndim == 2]]
        low, high = (scalars.quantile(q, dim=dims) for q in (0.05, 0.95))
        columns = {
            "mean": scalars.mean(dims),
            "sd": scalars.std(dims, ddof=1),
            "q05": low,
            "q95": high,
        }
        return pd.DataFrame(
            {
                name: {str(v): float(values[v]) for v in scalars.data_vars}
                for name, values in columns.items()
            }
        )

    def forecast(
        self,
        *,
        flops: BudgetLike | None = None,
        params: BudgetLike | None = None,
        tokens: BudgetLike | None = None,
        k: BudgetLike | None = None,
        tokens_per_param: float | None = None,
        n_items: BudgetLike | None = None,
        seed: int | None = None,
    ) -> xr.Dataset:
        """Return the posterior of curve and score at budgets not seen.

        Parameters
        ----------
        flops, params, tokens, k, tokens_per_param
            Future runs; see :func:`bayes_scaling.forecast.budgets`.
        n_items : float or sequence of float, optional
            Test items of the future runs; by default as in the fitted runs.
        seed : int, optional
            Seed of simulated scores; by default the fit's.

        Returns
        -------
        xarray.Dataset
            `curve` and `score` (chain, draw, budget); see
            :func:`bayes_scaling.forecast.forecast`.

        Raises
        ------
        ModelError
            If an input of the law is missing or not positive.

        Warns
        -----
        ConvergenceWarning
            If the draws should not be trusted.
        """
        self._warn()
        inputs = forecasting.budgets(
            flops=flops, params=params, tokens=tokens, k=k, tokens_per_param=tokens_per_param
        )
        return forecasting.forecast(
            self.model,
            self.posterior,
            self.observations,
            inputs,
            n_items=n_items,
            seed=self.seed if seed is None else seed,
        )

    def forecast_runs(self, runs: Runs) -> xr.Dataset:
        """Return the forecast of the scores of given runs, with their own item counts.

        As :meth:`forecast`, with `observed` (budget), the measured scores, beside it.
        """
        self._warn()
        table = runs.table
        names = dict.fromkeys(("flops", *self.model.law.inputs))
        inputs = xr.Dataset({name: ("budget", table[name].to_numpy(float)) for name in names})
        result = forecasting.forecast(
            self.model,
            self.posterior,
            self.observations,
            inputs.assign_coords(budget=range(len(table))),
            n_items=table["n_items"].fillna(0).to_numpy(float),
            seed=self.seed,
        )
        return result.assign_coords(run=("budget", table["run"].to_numpy(str))).assign(
            observed=("budget", table["score"].to_numpy(float))
        )

    def prior(self, draws: int = 1000) -> xr.Dataset:
        """Return draws from the prior, dimensions (chain, draw)."""
        return sample_prior(self.model, self.observations, draws=draws, seed=self.seed)

    def log_likelihood(self) -> xr.DataArray:
        """Return the pointwise log likelihood of the observed scores.

        Dimensions (chain, draw) and `row`, or `run` where a run's rows are dependent.
        """
        seen = self.observations
        curve = self._fitted_curve
        density = self.model.likelihood.log_density(
            seen["score"], seen["n_items"], curve, self.posterior
        )
        return density.rename("score").transpose("chain", "draw", ...)

    def loss_log_likelihood(self) -> xr.DataArray:
        """Return the pointwise log likelihood of a two-stage model's observed losses.

        Dimensions as of :meth:`log_likelihood`.
        """
        if not isinstance(self.model.law, TwoStageLaw):
            raise ModelError(f"{self.model.law_name} is a direct law and has no loss stage")
        seen = self.observations
        residual = np.log(seen["loss"]) - self.model.log_loss(self.posterior, seen, seen)
        density = xr.apply_ufunc(
            scipy.stats.norm.logpdf, residual, 0.0, self.posterior["loss_scatter"]
        )
        return density.rename("loss").transpose("chain", "draw", ...)

    def to_arviz(self) -> xr.DataTree:
        """Return the fit as the DataTree that ArviZ's functions take.

        Groups: posterior, sample_stats, prior, posterior_predictive, log_likelihood,
        observed_data, constant_data.
        """
        seen = self.observations
        curve = self._fitted_curve
        rng = forecasting.generator(b"posterior_predictive", self.seed)
        densities = [self.log_likelihood()]
        if self.model.two_stage:
            densities.append(self.loss_log_likelihood())
        replicated = self.model.likelihood.draw(seen["n_items"], curve, self.posterior, rng)
        return xr.DataTree.from_dict(
            {
                "posterior": self.posterior,
                "sample_stats": self.sample_stats,
                "prior": self.prior(),
                "posterior_predictive": xr.Dataset({"score": replicated, "curve": curve}),
                "log_likelihood": xr.merge(densities),
                "observed_data": seen[["score"]],
                "constant_data": seen.drop_vars("score"),
            }
        )

    def save(self, path: str | Path) -> Path:
        """Write the fit to one NetCDF file, with all that is needed to forecast again.

        The file is complete or absent: it is written beside its place and then moved there.
        """
        path = Path(path)
        tree = xr.DataTree.from_dict(
            {
                "/": xr.Dataset(attrs={"bayes_scaling": version("bayes-scaling")}),
                "posterior": _plain(self.posterior),
                "sample_stats": _plain(self.sample_stats),
                "runs": self.runs.to_xarray(),
                "model": xr.Dataset(
                    attrs={"spec": json.dumps(self.model.to_dict()), "seed": self.seed}
                ),
            }
        )
        write_tree(path, tree)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a fit written by :meth:`save`; no code in the file is run.

        Raises
        ------
        BayesScalingError
            If the file is not a saved fit.
        """
        try:
            tree = read_tree(path)
            spec = tree["model"].attrs
            return cls(
                ScalingModel.from_dict(json.loads(spec["spec"])),
                Runs.from_xarray(tree["runs"].to_dataset()),
                tree["posterior"].to_dataset(),
                tree["sample_stats"].to_dataset(),
                int(spec["seed"]),
            )
        except (OSError, KeyError, ValueError) as error:
            raise BayesScalingError(f"{path} is not a saved fit: {error}") from error

    def _warn(self) -> None:
        if problems := self.diagnostics.problems():
            warnings.warn(
                f"{self.model.law_name} has not converged: {'; '.join(problems)}. "
                "Do not use these draws as they stand: raise tune and draws, or simplify the law.",
                ConvergenceWarning,
                stacklevel=3,
            )


def _plain(dataset: xr.Dataset) -> xr.Dataset:
    """Return what NetCDF can hold of a dataset: numbers and their attributes."""
    numbers = {k: v for k, v in dataset.data_vars.items() if v.dtype.kind in "biuf"}
    return xr.Dataset(numbers, coords=dataset.coords)


def fit_runs(
    runs: Runs,
    model: ScalingModel | str = "power_law",
    *,
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
    model : ScalingModel or str
        A model, or the name or TOML file of one (see :func:`load_model`).
    draws, tune, chains, cores, seed, progress
        For :func:`bayes_scaling.sampling.sample_posterior`.

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
    """
    given = model if isinstance(model, ScalingModel) else load_model(model)
    settled, observations = given.prepare(runs)
    posterior, sample_stats, diagnostics = sample_posterior(
        settled,
        observations,
        draws=draws,
        tune=tune,
        chains=chains,
        cores=cores,
        seed=seed,
        progress=progress,
    )
    fit = Fit(settled, runs, posterior, sample_stats, seed)
    # The sampler has computed them; a copy of the fit with other draws computes its own.
    vars(fit)["diagnostics"] = diagnostics
    fit._warn()
    return fit
