"""BoundModel: a model bound to one series of runs, which has a `pm.Model`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import pymc as pm
import xarray as xr
from pymc_extras.prior import Prior
from scipy.special import betaln

from bayes_scaling.errors import ModelError
from bayes_scaling.laws import LOSS_LEVEL, Parameter, ScalingLaw, TwoStageLaw
from bayes_scaling.modelling.builder import build_model
from bayes_scaling.modelling.likelihoods import (
    BINOMIAL_SHARE,
    Likelihood,
    draw_luck,
    get_likelihood,
)
from bayes_scaling.modelling.link import accuracy, curve_sd, neg_log_quality
from bayes_scaling.modelling.observations import centre_of, choose_loss, enter, observe
from bayes_scaling.modelling.priors import centred_on, hyperparameters, start_within
from bayes_scaling.runs import Runs

if TYPE_CHECKING:
    from bayes_scaling.modelling.model import Floor, ScalingModel

_IMPROPER = ("Flat", "HalfFlat")


@dataclass(frozen=True, repr=False)
class BoundModel:
    """A scaling model bound to one series of runs.

    Make one with :meth:`ScalingModel.on`.

    Attributes
    ----------
    model : ScalingModel
        The model with every "auto" option settled and the floor's prior centred.
    runs : Runs
        The runs as given, before any filter.
    observations : xarray.Dataset
        What the model sees of them; see :func:`bayes_scaling.modelling.observations.observe`.

    Examples
    --------
    >>> from bayes_scaling import load_dataset, load_model
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> bound = load_model("power_law").on(runs.below(6e21))
    >>> [variable.name for variable in bound.pymc.free_RVs]
    ['level', 'exponent', 'scatter', 'binomial_share']
    """

    model: ScalingModel
    runs: Runs
    observations: xr.Dataset
    hierarchical: ClassVar[bool] = False  # see Target

    def __repr__(self) -> str:
        seen = self.observations
        return (
            f"<BoundModel of {self.model.law_name} on {seen.attrs['benchmark']} "
            f"{seen.attrs['metric']}, {seen.attrs['mixture']}: {seen.sizes['row']} scores>"
        )

    @property
    def law(self) -> ScalingLaw:
        """The law."""
        return self.model.law

    @cached_property
    def likelihood(self) -> Likelihood:
        """How scores scatter round the curve."""
        return get_likelihood(self.model.likelihood_name).suited(self.observations["score"])

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Sampled parameters, in the order of creation.

        The share of binomial noise is one of them only where some item count is known.
        """
        counted = bool((self.observations["n_items"] > 0).any())
        return tuple(p for p in self.model.parameters if counted or p != BINOMIAL_SHARE)

    @property
    def n_parameters(self) -> int:
        """How many parameters runs have to tell of.

        A vector counts as one: its scale is learned. The share of binomial noise moves no curve.
        """
        return sum(p != BINOMIAL_SHARE for p in self.parameters)

    @property
    def n_numbers(self) -> int:
        """How many numbers the runs give: a score each, and a loss if the law goes through it.

        Several samples k of one run are one score.
        """
        runs = len(np.unique(self.observations["run"]))
        return 2 * runs if self.model.two_stage else runs

    def structure(self) -> tuple[Any, ...]:
        """Return what machine code depends on: everything but numbers."""
        form = type(self.likelihood).__name__
        return (*self.model.structure(), form, BINOMIAL_SHARE in self.parameters)

    @property
    def priors(self) -> dict[str, Prior]:
        """The priors of the sampled parameters."""
        return {p.name: self.model.priors[p.name] for p in self.parameters}

    # ---- PyMC ------------------------------------------------------------------------------

    @cached_property
    def pymc(self) -> pm.Model:
        """The PyMC model.

        Coordinates of `row` are the names of the runs; all numbers are `pm.Data`; chains start
        at :meth:`starts`. Textbook constants are deterministics.
        """
        return build_model(self)

    def graph(self, **kwargs: Any) -> Any:
        """Return a drawing of the model, a `graphviz.Digraph`.

        Parameters
        ----------
        **kwargs
            For :func:`pymc.model_to_graphviz`. The Python package graphviz is needed.
        """
        return pm.model_to_graphviz(self.pymc, **kwargs)

    def sample(self, **kwargs: Any) -> Any:
        """Sample the posterior by :func:`pymc.sample` and return its result.

        :func:`bayes_scaling.fit_runs` samples the same posterior faster, and returns a
        :class:`Fit` that forecasts.

        Parameters
        ----------
        **kwargs
            For :func:`pymc.sample`. The target acceptance is 0.95 if none is given: posteriors
            of few runs are skewed.
        """
        return pm.sample(model=self.pymc, **{"target_accept": 0.95, **kwargs})

    def prior(self, draws: int = 1000, seed: int = 0) -> xr.Dataset:
        """Draw parameters from the prior.

        Parameters
        ----------
        draws : int
            Number of draws.
        seed : int
            Seed of the draws.

        Returns
        -------
        xarray.Dataset
            Sampled and textbook parameters, dimensions (chain, draw), one chain.
        """
        with build_model(self) as model, _unannounced():
            names = [v.name for v in (*model.free_RVs, *model.deterministics)]
            model.potentials.clear()  # a potential is likelihood here, and has no prior draws
            tree = pm.sample_prior_predictive(
                draws=draws,
                var_names=names,
                random_seed=seed,
                compile_kwargs={"mode": "FAST_COMPILE"},
            )
        drawn: xr.Dataset = tree["prior"].to_dataset()
        return drawn

    def prior_predictive(self, draws: int = 1000, seed: int = 0) -> xr.DataTree:
        """Draw parameters from the prior, and scores that the runs would then have.

        Parameters
        ----------
        draws, seed : int
            As for :meth:`prior`.

        Returns
        -------
        xarray.DataTree
            Groups `prior` (chain, draw) and `prior_predictive`: `score` in [0, 1] and `curve`
            (chain, draw, row). A two-stage law draws a loss for each run first.
        """
        drawn = self.prior(draws, seed)
        rng = np.random.default_rng([seed, 1])
        rows = self.observations.drop_vars("loss", errors="ignore")
        residual = xr.DataArray(
            rng.standard_normal((1, draws, rows.sizes["row"])), dims=("chain", "draw", "row")
        )
        curve = self.curve(drawn, rows, rng, residual).transpose("chain", "draw", "row")
        score = self.draw_scores(curve, drawn, rng)
        simulated = xr.Dataset({"score": score, "curve": curve}).transpose("chain", "draw", ...)
        return xr.DataTree.from_dict({"prior": drawn, "prior_predictive": simulated})

    # ---- numbers ---------------------------------------------------------------------------

    def observed(self) -> dict[str, xr.DataArray | float]:
        """Return every number that the model sees of the runs, by the name of its `pm.Data`."""
        seen, centre = self.observations, centre_of(self.observations)
        numbers: dict[str, Any] = {f"centre_{name}": value for name, value in centre.items()}
        numbers |= {f"x_{name}": values for name, values in self.inputs(seen).items()}
        numbers |= {"observed_score": seen["score"], "n_items": seen["n_items"]}
        if self.model.two_stage:
            numbers["observed_loss"] = seen["loss"]
        if self.likelihood.needs_items:
            correct = (seen["score"] * seen["n_items"]).round()
            ways = xr.apply_ufunc(_log_ways, correct, seen["n_items"])
            numbers |= {"n_correct": correct, "log_ways": ways}
        if any(p.width for p in self.law.parameters):
            chance = float(seen["chance"])
            sd = xr.apply_ufunc(lambda q, n: curve_sd(q, n, chance), seen["score"], seen["n_items"])
            numbers["x_curve_sd"] = sd
        if self.likelihood.unit != "row":
            numbers["membership"] = _membership(seen[self.likelihood.unit], self.likelihood.unit)
        if self.model.floor != "free":
            numbers["chance"] = float(seen["chance"])
        return numbers

    def data(self) -> dict[str, Any]:
        """Return every number that enters the built model, by the name of its `pm.Data`."""
        numbers: dict[str, Any] = {k: np.asarray(v) for k, v in self.observed().items()}
        for name, prior in self.priors.items():
            numbers |= hyperparameters(name, prior)
        return numbers

    def starts(self) -> dict[str, Any]:
        """Return where the chains start, before jitter; None stands for PyMC's own start.

        The level starts at the mean score, the floor between chance and the lowest score, and the
        level of a loss at the mean loss: the sampler does not find a narrow place from far away.
        """
        starts = {p.name: np.full(p.shape, p.start) if p.dims else p.start for p in self.parameters}
        score, chance = self.observations["score"], float(self.observations["chance"])
        mean = float(np.clip(score.mean(), 0.05, 0.95))
        floor = chance
        if self.model.floor == "free":
            floor = float(np.clip((chance + float(score.min())) / 2, 0.001 * mean, 0.9 * mean))
            starts["floor"] = floor
        place = float(np.clip((mean - floor) / (1 - floor), 0.05, 0.95))
        starts["level"] = floor + (1 - floor) * place
        if self.model.two_stage:
            starts[LOSS_LEVEL.name] = float(np.exp(np.log(self.observations["loss"]).mean()))
        return {name: start_within(self.priors[name], start) for name, start in starts.items()}

    # ---- evaluating ------------------------------------------------------------------------

    def inputs(self, rows: xr.Dataset) -> dict[str, xr.DataArray]:
        """Return the inputs of rows as they enter the law, and the law's features.

        Raises
        ------
        ModelError
            If an input is missing, or not positive where its logarithm enters.
        """
        centre = centre_of(self.observations)
        x: dict[str, xr.DataArray] = {}
        missing = [name for name in self.law.columns if name not in rows]
        if missing:
            raise ModelError(
                f"{self.model.law_name} needs {' and '.join(missing)} to forecast; "
                "give them, or tokens_per_param beside flops"
            )
        for one in self.law.reads:
            values = rows[one.name]
            if one.log and not bool((values > 0).all()):
                raise ModelError(
                    f"{self.model.law_name} reads the logarithm of {one.name}, which must be "
                    f"positive; got {float(values.min()):g}"
                )
            x[one.name] = xr.apply_ufunc(lambda v, one=one: enter(one, v), values)
            x[one.name] = x[one.name] - centre[one.name]
        return x | self.law.features(x, centre)

    def curve(
        self,
        posterior: xr.Dataset,
        rows: xr.Dataset,
        rng: np.random.Generator,
        loss_residual: xr.DataArray | float = 0.0,
    ) -> xr.DataArray:
        """Return the mean accuracy at rows for every draw of a posterior.

        Parameters
        ----------
        posterior : xarray.Dataset
            Draws of the parameters, dimensions (chain, draw).
        rows : xarray.Dataset
            The law's inputs in their own units, along any dimension. A two-stage law goes
            through their `loss` if they have one, else through the loss it forecasts.
        rng : numpy.random.Generator
            For a law whose curve continues at random beyond the fitted range.
        loss_residual : xarray.DataArray or float
            How far a run's log loss lies from the forecast one, in units of `loss_scatter`.
        """
        c, x = centre_of(self.observations), self.inputs(rows)
        p = self._values(posterior, x, rng)
        if self.model.two_stage:
            loss = rows["loss"] if "loss" in rows else self._forecast_loss(p, x, loss_residual)
            x["loss"] = loss - p[LOSS_LEVEL.name]
        quality = self.law.normalised_accuracy(p, x, c, np)
        return accuracy(quality, self._floor(posterior), np).rename("curve")

    def _floor(self, posterior: xr.Dataset) -> xr.DataArray:
        free = self.model.floor == "free"
        return posterior["floor"] if free else self.observations["chance"]

    def _values(
        self, posterior: xr.Dataset, x: dict[str, xr.DataArray], rng: np.random.Generator
    ) -> dict[str, xr.DataArray]:
        """Return the parameters as the law reads them, with what lies beyond the fitted runs."""
        p = {str(name): posterior[name] for name in posterior.data_vars}
        p["neg_log_q"] = neg_log_quality(posterior["level"], self._floor(posterior), np)
        return self.law.beyond(p, x, centre_of(self.observations), rng)

    def _forecast_loss(
        self,
        p: dict[str, xr.DataArray],
        x: dict[str, xr.DataArray],
        residual: xr.DataArray | float,
    ) -> xr.DataArray:
        """Return the loss in nats that stage 1 forecasts."""
        law = cast(TwoStageLaw, self.law)
        log_loss = law.log_loss(p, x, centre_of(self.observations), np)
        forecast: xr.DataArray = xr.apply_ufunc(np.exp, log_loss + p["loss_scatter"] * residual)
        return forecast

    def draw_scores(
        self, curve: xr.DataArray, posterior: xr.Dataset, rng: np.random.Generator
    ) -> xr.DataArray:
        """Return scores that the fitted runs would have on the same test set if made again.

        Parameters
        ----------
        curve : xarray.DataArray
            Mean accuracy of each, dimensions (chain, draw, row).
        posterior : xarray.Dataset
            Draws of the parameters of the scatter, dimensions (chain, draw).
        rng : numpy.random.Generator
        """
        seen, unit = self.observations, self.likelihood.unit
        luck = None if unit == "row" else draw_luck(seen[unit], curve, rng)
        return self.likelihood.draw(seen["n_items"], curve, posterior, rng, luck)

    def log_loss(
        self, posterior: xr.Dataset, rows: xr.Dataset, rng: np.random.Generator
    ) -> xr.DataArray:
        """Return the log of the median loss of a two-stage law; arguments as for :meth:`curve`."""
        x, law = self.inputs(rows), cast(TwoStageLaw, self.law)
        return law.log_loss(self._values(posterior, x, rng), x, centre_of(self.observations), np)


def bind(model: ScalingModel, runs: Runs) -> BoundModel:
    """Return a model bound to runs; see :meth:`ScalingModel.on`."""
    kept = runs.drop_near_chance() if model.floor == "filter" else runs
    counted = bool(kept.table["n_items"].notna().all())
    name = model.likelihood_name
    if name == "auto":
        name = "normal_by_training" if kept.has_checkpoints() else "normal"
    floor: Floor | None = None
    if model.floor == "auto":
        floor = "free" if kept.near_chance() else "fixed"
    loss = choose_loss(kept, model.loss) if model.two_stage else None
    settled = model.with_options(likelihood=name, floor=floor, loss=loss)
    if get_likelihood(name).needs_items and not counted:
        raise ModelError(
            f"likelihood {name!r} needs n_items in every row; give them, or choose 'normal'"
        )
    seen = observe(kept, model.law, loss)
    bound = BoundModel(_with_floor_at(settled, float(seen["chance"])), runs, seen)
    improper = [name for name, prior in bound.priors.items() if prior.distribution in _IMPROPER]
    if improper and bound.n_numbers < bound.n_parameters:
        raise ModelError(
            f"{bound.n_numbers} observed numbers for the {bound.n_parameters} parameters of "
            f"{model.law_name}, and the prior of {', '.join(improper)} is improper; give a proper "
            "one, or add runs"
        )
    return bound


def _with_floor_at(model: ScalingModel, chance: float) -> ScalingModel:
    """Return the model with the floor's prior centred on chance, unless it has a location."""
    floor = centred_on(model.priors["floor"], chance)
    return replace(model, priors={**model.priors, "floor": floor})


def _log_ways(correct: Any, n_items: Any) -> Any:
    """Return the log of the number of ways to choose `correct` of `n_items`."""
    return -np.log1p(n_items) - betaln(correct + 1, n_items - correct + 1)


def _membership(units: xr.DataArray, kind: str) -> xr.DataArray:
    """Return which row belongs to which run or training, as 0 and 1, by unit and row."""
    names = np.unique(units.to_numpy())
    member = (names[:, None] == units.to_numpy()).astype(float)
    return xr.DataArray(member, dims=(kind, "row"), coords={kind: names})


@contextmanager
def _unannounced() -> Iterator[None]:
    """Keep PyMC from listing on stderr what it draws from a prior."""
    logger = logging.getLogger("pymc.sampling.forward")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
