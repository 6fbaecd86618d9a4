"""LadderFit: one posterior over all benchmarks of a ladder, and its joint forecasts."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from scipy.special import logsumexp
from scipy.stats import norm

from bayes_scaling._io.netcdf import only_numbers, read_tree, write_tree
from bayes_scaling.errors import PACKAGE, BayesScalingError, ConvergenceWarning, ModelError
from bayes_scaling.fitting.forecasts import QUANTILES, generator
from bayes_scaling.fitting.questions import Forecaster
from bayes_scaling.fitting.sampling_record import attempt_table
from bayes_scaling.inference.diagnostics import Diagnostics, diagnose
from bayes_scaling.inference.record import Record
from bayes_scaling.inference.samplers import sample
from bayes_scaling.modelling.bound_ladder import BoundLadder
from bayes_scaling.modelling.ladder_model import LadderModel
from bayes_scaling.modelling.ladder_observations import by_run_and_benchmark
from bayes_scaling.modelling.likelihoods import common_spread
from bayes_scaling.modelling.priors import create_variable
from bayes_scaling.runs import BudgetLike, Budgets, Runs

_DRAWS = ("chain", "draw")
_INTERVAL = {"median": 0.5, "q05": 0.05, "q95": 0.95}
# Raised whenever the draws in older files would mean something else to this version.
_FORMAT = 2
# Prior draws of what goes through the loss: enough for its quantiles to two digits.
_PRIOR_DRAWS = 20_000


@dataclass(frozen=True)
class LadderFit(Forecaster):
    """A posterior of a ladder model.

    Make one with :func:`fit_ladder` or :meth:`load`.

    Attributes
    ----------
    bound : BoundLadder
        The model, bound to the runs.
    posterior, sample_stats : xarray.Dataset
        Draws and statistics of the sampler, dimensions (chain, draw); parameters of benchmarks
        have the dimension benchmark.
    seed : int
        Seed of the draws, and of what is simulated from them.
    sampler : str
        The sampler that made the draws.
    """

    bound: BoundLadder
    posterior: xr.Dataset
    sample_stats: xr.Dataset
    seed: int = 0
    sampler: str = "fast"

    def __repr__(self) -> str:
        state = "NOT CONVERGED" if self.diagnostics.problems() else "converged"
        return f"<LadderFit of {repr(self.bound)[len('<BoundLadder of ') : -1]}, {state}>"

    @property
    def runs(self) -> Runs:
        """The runs as given."""
        return self.bound.runs

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Divergences, R-hat and effective sample sizes."""
        return diagnose(self.posterior, self.sample_stats)

    @property
    def attempts(self) -> pd.DataFrame:
        """One row an attempt to sample, in order: settings, diagnostics, and whether it is kept."""
        return attempt_table(self.sample_stats)

    @property
    def usual_ratio(self) -> float | None:
        """Median tokens per parameter of the scores, where the model reads them; else None."""
        return self.runs.usual_ratio if self.bound.has_ratios else None

    # ---- forecasts -------------------------------------------------------------------------

    def forecast(
        self,
        budgets: Budgets | None = None,
        /,
        *,
        seed: int | None = None,
        **asked: BudgetLike | None,
    ) -> xr.Dataset:
        """Return the joint posterior of the scores of future runs on all benchmarks.

        Parameters
        ----------
        budgets : Budgets, optional
            Future runs.
        seed : int, optional
            Seed of simulated scores; by default the fit's.
        **asked
            Future runs, in place of `budgets`: flops, or params and tokens, and
            tokens_per_param; see :meth:`Budgets.of`.

        Returns
        -------
        xarray.Dataset
            `curve` and `score` (chain, draw, budget, benchmark), accuracies: the mean at the
            median loss of a budget, and the measured accuracy of one future run on the fitted
            test sets. In one draw a run has one loss and one luck on all benchmarks, so that
            ``forecast["score"].mean("benchmark")`` is the posterior of an average. `loss`
            (chain, draw, budget) in nats, if the model has one, is that of the run.

        Raises
        ------
        ModelError
            If the model needs params and tokens and they are not given, or a new test set is
            asked for.

        Warns
        -----
        ConvergenceWarning
            If the draws should not be trusted.
        """
        self.warn_if_not_converged()
        given = Budgets.of(budgets, **asked)  # type: ignore[arg-type]
        if given.new_test_set:
            raise ModelError(
                "a ladder model forecasts scores on the fitted test sets; leave n_items out, or "
                "fit one benchmark with fit_runs"
            )
        self._check_inputs(given.inputs)
        seed = self.seed if seed is None else seed
        return self._simulate(given.inputs, self._items(given.inputs), seed)

    def _check_inputs(self, inputs: xr.Dataset) -> None:
        needed = ("flops", *(("params", "tokens") if self.bound.has_ratios else ()))
        missing = [name for name in needed if name not in inputs]
        if missing:
            raise ModelError(
                f"the ladder model needs {' and '.join(missing)} to forecast; give them, or "
                "tokens_per_param beside flops"
            )

    def _items(self, inputs: xr.Dataset) -> xr.DataArray:
        known = self.bound.observations["n_items"].where(self.bound.observations["n_items"] > 0)
        usual: xr.DataArray = known.median("run").fillna(0).round()
        return usual.broadcast_like(inputs["flops"])

    def _simulate(
        self,
        inputs: xr.Dataset,
        items: xr.DataArray,
        seed: int,
        observed: xr.DataArray | None = None,
    ) -> xr.Dataset:
        """Return curves and simulated scores, and the log density of observed scores."""
        bound, posterior = self.bound, self.posterior
        median = bound.curve(posterior, inputs, generator(b"curve", seed))
        rng = generator(b"ladder", seed)
        shape = [posterior.sizes[d] for d in _DRAWS] + [inputs.sizes["budget"]]
        residual, luck = (
            xr.DataArray(rng.standard_normal(shape), dims=(*_DRAWS, "budget")) for _ in range(2)
        )
        made = bound.curve(posterior, inputs, generator(b"curve", seed), residual)
        own, common = common_spread(made["curve"], items, posterior, np)
        noise = own.copy(data=rng.standard_normal(own.shape))
        score = (made["curve"] + np.sqrt(own) * noise + common * luck).clip(0, 1)
        result = made.assign(curve=median["curve"], score=score)
        if observed is not None:
            spread = np.sqrt(own + common**2)
            each = xr.apply_ufunc(norm.logpdf, observed, made["curve"], spread)
            result["log_density"] = xr.apply_ufunc(
                logsumexp, each, input_core_dims=[_DRAWS], kwargs={"axis": (-2, -1)}
            ) - np.log(score.sizes["chain"] * score.sizes["draw"])
        coords = {name: ("budget", values.to_numpy()) for name, values in inputs.data_vars.items()}
        order = (*_DRAWS, "budget", "benchmark")
        result = result.transpose(*order, missing_dims="ignore").assign_coords(coords)
        result["curve"].attrs["description"] = "mean accuracy; spread is uncertainty about the law"
        result["score"].attrs["description"] = "measured accuracy of one future run"
        return result.set_xindex("flops")

    def forecast_runs(self, runs: Runs) -> xr.Dataset:
        """Return the forecast of the scores of given runs, with the measured ones.

        Parameters
        ----------
        runs : Runs
            Runs of the same ladder, on benchmarks that were fitted.

        Returns
        -------
        xarray.Dataset
            As :meth:`forecast`, with `observed` and its `log_density` (budget, benchmark), NaN
            where a run was not scored, and coordinates `run` of budget and `n_items` of both.

        Raises
        ------
        ModelError
            If a benchmark was not fitted.
        """
        self.warn_if_not_converged()
        table, fitted = runs.table, self.bound.observations["benchmark"].to_numpy()
        unknown = sorted(set(table["benchmark"]) - set(fitted))
        if unknown:
            raise ModelError(f"benchmarks that were not fitted: {', '.join(unknown)}")
        first = table.drop_duplicates("run").sort_values("flops", kind="stable")
        names = first["run"].to_numpy(str)
        columns: dict[str, Any] = {name: first[name].to_numpy(float) for name in self._columns()}
        inputs = Budgets.of(flops=first["flops"].to_numpy(float), **columns).inputs
        wide = {
            name: by_run_and_benchmark(table, name, list(first["run"])).reindex(columns=fitted)
            for name in ("score", "n_items")
        }
        cells = {
            name: xr.DataArray(
                values.to_numpy(float),
                dims=("budget", "benchmark"),
                coords={"benchmark": fitted, "budget": inputs["budget"]},
            )
            for name, values in wide.items()
        }
        items, observed = cells["n_items"].fillna(0), cells["score"]
        result = self._simulate(inputs, items, self.seed, observed).assign(observed=observed)
        return result.assign_coords(run=("budget", names), n_items=items)

    def _columns(self) -> tuple[str, ...]:
        return ("params", "tokens") if self.bound.has_ratios else ()

    def forecast_table(self, forecast: xr.Dataset) -> pd.DataFrame:
        """Return quantiles of the score of each benchmark, and of their average.

        Parameters
        ----------
        forecast : xarray.Dataset
            From :meth:`forecast` or :meth:`forecast_runs`.

        Returns
        -------
        pandas.DataFrame
            One row per budget and benchmark, the average over benchmarks last of each budget:
            flops, benchmark, median, q05, q25, q75, q95.
        """
        score = forecast["score"].drop_vars("n_items", errors="ignore")
        average = score.mean("benchmark").expand_dims(benchmark=["average"])
        both = xr.concat([score, average], "benchmark")
        quantiles = both.quantile(list(QUANTILES.values()), dim=_DRAWS)
        rows = [
            {
                "flops": float(cost),
                "benchmark": str(name),
                **dict(zip(QUANTILES, column.sel(benchmark=name).to_numpy().tolist(), strict=True)),
            }
            for cost, column in zip(
                forecast["flops"].to_numpy(), quantiles.transpose("budget", ...), strict=True
            )
            for name in both["benchmark"].to_numpy()
        ]
        return pd.DataFrame(rows)

    # ---- the routes ------------------------------------------------------------------------

    def routes(self) -> pd.DataFrame:
        """Return which share of each benchmark's slope goes through the loss, beside the prior.

        0 is the direct route, 1 the route through the loss. On ladders of one ratio of tokens to
        parameters the loss and the budget say nearly the same, so the answer may be the prior:
        `prior_sd` is the sd before, and `learned` how much of its variance the runs have taken.

        Returns
        -------
        pandas.DataFrame
            One row per benchmark, and their mean last: benchmark, median, q05, q95, sd, prior_sd,
            and learned (1 − sd²/prior_sd²; near 0, or below, where the answer is the prior).

        Raises
        ------
        ModelError
            If the model has no loss.
        """
        if not self.bound.has_loss:
            raise ModelError("the model has no loss, so nothing of it goes through one")
        self.warn_if_not_converged()
        share, prior = self.posterior["through"], self._prior_through()
        mean, prior_mean = share.mean("benchmark"), prior.mean(axis=1)
        names = share["benchmark"].to_numpy().tolist()
        parts = [(name, share.sel(benchmark=name), prior[:, 0]) for name in names]
        parts.append(("mean", mean, prior_mean))
        return pd.DataFrame([_route(*part) for part in parts])

    def _prior_through(self) -> np.ndarray:
        """Return draws of the shares from their prior, by draw and benchmark."""
        names = self.posterior["benchmark"].to_numpy()
        with pm.Model(coords={"benchmark": names}):
            share = create_variable("through", self.bound.priors["through"], dims=("benchmark",))
            drawn = pm.draw(share, _PRIOR_DRAWS, random_seed=self.seed, mode="FAST_COMPILE")
        return np.asarray(drawn)

    # ---- files -----------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the fit to one NetCDF file, with all that is needed to forecast again."""
        model = {
            "spec": json.dumps(self.bound.model.to_dict()),
            "seed": self.seed,
            "sampler": self.sampler,
        }
        stats = Record.read(self.sample_stats).attach(only_numbers(self.sample_stats))
        written = {"bayes_scaling": version("bayes-scaling"), "kind": "ladder", "format": _FORMAT}
        tree = xr.DataTree.from_dict(
            {
                "/": xr.Dataset(attrs=written),
                "posterior": self.posterior,
                "sample_stats": stats,
                "runs": self.runs.to_xarray(),
                "model": xr.Dataset(attrs=model),
            }
        )
        write_tree(Path(path), tree)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a fit written by :meth:`save`.

        Raises
        ------
        BayesScalingError
            If the file is not a saved ladder fit, or of a version whose draws meant something
            else.
        """
        try:
            tree = read_tree(path)
            if tree.attrs.get("kind") != "ladder":
                raise ValueError("it holds no ladder model")
            if int(tree.attrs.get("format", 1)) != _FORMAT:
                raise ValueError(
                    f"it was saved by version {tree.attrs['bayes_scaling']}, in which levels meant "
                    "something else; fit it again"
                )
            spec = tree["model"].attrs
            model = LadderModel.from_dict(json.loads(spec["spec"]))
            bound = model.on(Runs.from_xarray(tree["runs"].to_dataset()))
            posterior, stats = (tree[n].to_dataset() for n in ("posterior", "sample_stats"))
            return cls(bound, posterior, stats, int(spec["seed"]), str(spec["sampler"]))
        except (OSError, KeyError, ValueError) as error:
            raise BayesScalingError(f"{path} is not a saved ladder fit: {error}") from error

    def warn_if_not_converged(self) -> None:
        """Warn if the draws should not be trusted."""
        if problems := self.diagnostics.problems():
            warnings.warn(
                f"the ladder model has not converged: {'; '.join(problems)}. "
                "Do not use these draws as they stand: raise tune and draws, or leave out "
                "benchmarks on which no run is above chance.",
                ConvergenceWarning,
                skip_file_prefixes=PACKAGE,
            )


def _route(name: str, share: xr.DataArray, prior: np.ndarray) -> dict[str, object]:
    quantiles = {key: float(share.quantile(q)) for key, q in _INTERVAL.items()}
    sd, before = float(share.std()), float(prior.std())
    learned = 1 - (sd / before) ** 2
    return {"benchmark": name, **quantiles, "sd": sd, "prior_sd": before, "learned": learned}


def fit_ladder(
    runs: Runs,
    model: LadderModel | None = None,
    *,
    seed: int = 0,
    **settings: Any,
) -> LadderFit:
    """Fit all benchmarks of a ladder in one posterior.

    Parameters
    ----------
    runs : Runs
        One mixture, any number of benchmarks, one metric of each. Scores may be missing.
    model : LadderModel, optional
        By default through the loss on the runs' own mixture, and direct if runs have no loss.
    seed : int
        Seed of the draws, and of what is simulated from them.
    **settings
        sampler, draws, tune, chains, cores and progress of
        :func:`bayes_scaling.inference.samplers.sample`. Compiling takes up to a minute, once for
        each number of benchmarks; sampling takes one to a few minutes.

    Returns
    -------
    LadderFit

    Raises
    ------
    ModelError
        If the runs are not one ladder, or the loss has to be named.

    Warns
    -----
    ConvergenceWarning
        If the draws should not be trusted.

    Examples
    --------
    Compiling takes most of a minute, so the fit is left out where examples are tested.

    >>> from bayes_scaling import fit_ladder, load_dataset
    >>> runs = load_dataset(mixture="dclm").select(["piqa", "sciq"], "acc", tokens_per_param=20)
    >>> fit = fit_ladder(runs.below(6e21), draws=200, tune=300)  # doctest: +SKIP
    >>> fit.forecast(flops=1e22)["score"].dims  # doctest: +SKIP
    ('chain', 'draw', 'budget', 'benchmark')
    """
    if model is None:
        model = LadderModel(loss="auto" if runs.losses else None)
    bound = model.on(runs)
    samples = sample(bound, seed=seed, **settings)
    fit = LadderFit(bound, samples.posterior, samples.sample_stats, seed, samples.sampler)
    fit.warn_if_not_converged()
    return fit
