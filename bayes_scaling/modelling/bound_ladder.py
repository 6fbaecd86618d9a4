"""BoundLadder: a ladder model bound to its runs, which has a `pm.Model`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pymc_extras.prior import Prior

from bayes_scaling.laws import _ladder as curves
from bayes_scaling.laws._reverting import BENDS, KNOT, RevertingSlope
from bayes_scaling.modelling.ladder_coordinates import (
    AXIS,
    FLOOR_SD,
    coordinates,
    loss_coordinates,
)
from bayes_scaling.modelling.ladder_observations import NEAR_CHANCE, near_chance
from bayes_scaling.modelling.likelihoods import common_spread, spread
from bayes_scaling.modelling.link import accuracy
from bayes_scaling.modelling.priors import (
    centred_on,
    create_variable,
    hyperparameters,
    structure_of,
)
from bayes_scaling.modelling.transforms import Fitted
from bayes_scaling.runs import Runs

if TYPE_CHECKING:
    from bayes_scaling.modelling.ladder_model import LadderModel

_OF_LOSS = (
    *("loss_level", "irreducible_share", "loss_exponent", "loss_scatter", "loss_drift"),
    *("loss_bends", "through"),
)
_OF_RATIOS = ("tilt",)
_OF_BOTH = ("params_share", "exponent_ratio")
_BENCHMARK = ("benchmark",)
# Where bends make a curve fall, the sampler's unit of its exponent stays positive.
_CORNER = 0.2


@dataclass(frozen=True, repr=False)
class BoundLadder:
    """A ladder model bound to the runs of one ladder.

    Make one with :meth:`LadderModel.on`.

    Attributes
    ----------
    model : LadderModel
        The model.
    runs : Runs
        The runs as given.
    observations : xarray.Dataset
        What the model sees of them, dimensions run and benchmark.
    """

    model: LadderModel
    runs: Runs
    observations: xr.Dataset
    hierarchical: ClassVar[bool] = True  # see Target

    def __repr__(self) -> str:
        seen = self.observations
        route = f"through {seen.attrs['loss']}" if self.has_loss else "without a loss"
        return (
            f"<BoundLadder of {seen.sizes['benchmark']} benchmarks on {seen.attrs['mixture']} "
            f"{route}: {seen.sizes['run']} runs>"
        )

    @property
    def has_loss(self) -> bool:
        """Whether a share of the slopes may go through a loss."""
        return "loss" in self.observations

    @property
    def has_ratios(self) -> bool:
        """Whether tokens per parameter vary."""
        return "params" in self.observations

    @cached_property
    def near(self) -> xr.DataArray:
        """Benchmarks whose floor is a parameter, by name; that of the others is chance."""
        near = near_chance(self.observations)
        return self.observations["benchmark"][near.to_numpy()]

    @cached_property
    def priors(self) -> dict[str, Prior]:
        """Priors of the parameters that this ladder has, in the order of creation."""
        left_out = {
            *(() if self.has_loss else _OF_LOSS),
            *(() if self.has_ratios else _OF_RATIOS),
            *(() if self.has_loss and self.has_ratios else _OF_BOTH),
            *(() if self.near.size else ("floor",)),
        }
        found = {name: p for name, p in self.model.priors.items() if name not in left_out}
        if "floor" in found:
            chance = self.observations["chance"].sel(benchmark=self.near).to_numpy()
            found["floor"] = centred_on(found["floor"], chance)
        return found

    @property
    def central_loss(self) -> float:
        """Geometric mean of the losses of the fitted runs, in nats."""
        return float(np.exp(np.log(self.observations["loss"]).mean()))

    @cached_property
    def slope(self) -> RevertingSlope:
        """What bends add to a curve at a log budget."""
        log_flops = np.log(self.observations["flops"].to_numpy())
        reach = float(np.abs(log_flops - log_flops.mean()).max())
        return RevertingSlope(reach, self.model.length)

    def inputs(self, rows: xr.Dataset) -> dict[str, xr.DataArray]:
        """Return log budgets from the centroid of the fitted runs, by row."""
        seen = self.observations
        names = ("flops", *(("params", "tokens") if self.has_ratios else ()))
        return {n: np.log(rows[n]) - float(np.log(seen[n]).mean()) for n in names}

    # ---- PyMC --------------------------------------------------------------------------------

    def structure(self) -> tuple[Any, ...]:
        """Return what machine code depends on: everything but numbers."""
        shape = (self.observations.sizes["benchmark"], self.near.size)
        families = tuple((name, structure_of(prior)) for name, prior in self.priors.items())
        return ("ladder", shape, self.has_loss, self.has_ratios, families)

    def observed(self) -> dict[str, xr.DataArray]:
        """Return every number that the model sees of the runs, by the name of its `pm.Data`."""
        seen, x = self.observations, self.inputs(self.observations)
        measured = seen["score"].notnull()
        basis = xr.DataArray(self.slope.inside(x["flops"].to_numpy()), dims=("run", KNOT))
        numbers = {f"x_{name}": values for name, values in x.items()}
        numbers |= {"basis": basis, "measured": measured * 1.0}
        numbers |= {"observed_score": seen["score"].fillna(0.5)}
        numbers |= {"n_items": seen["n_items"], "chance": seen["chance"]}
        numbers |= coordinates(seen, seen["benchmark"].isin(self.near), x["flops"], basis)
        if self.has_loss:
            numbers["observed_loss"] = seen["loss"]
            numbers["central_loss"] = xr.DataArray(self.central_loss)
            numbers |= loss_coordinates(seen["loss"], x["flops"])
        if self.near.size:
            place = (self.near.to_numpy()[:, None] == seen["benchmark"].to_numpy()).astype(float)
            numbers["is_near"] = xr.DataArray(place, dims=(NEAR_CHANCE, "benchmark"))
        return numbers

    def data(self) -> dict[str, Any]:
        """Return every number that enters the built model, by the name of its `pm.Data`."""
        numbers: dict[str, Any] = {k: np.asarray(v) for k, v in self.observed().items()}
        for name, prior in self.priors.items():
            numbers |= hyperparameters(name, prior)
        return numbers

    def starts(self) -> dict[str, Any]:
        """Return nothing: chains start where the variables of the `pm.Model` say."""
        return {}

    @cached_property
    def pymc(self) -> pm.Model:
        """The PyMC model. Coordinates are the names of runs and benchmarks."""
        return _Builder(self).build()

    # ---- evaluating --------------------------------------------------------------------------

    def floor(self, posterior: xr.Dataset) -> xr.DataArray:
        """Return the score of a run that has learnt nothing, by benchmark (and draw)."""
        chance = self.observations["chance"]
        if not self.near.size:
            return chance
        free = posterior["floor"].rename({NEAR_CHANCE: "benchmark"})
        free = free.assign_coords(benchmark=self.near.to_numpy())
        return free.reindex(benchmark=chance["benchmark"]).fillna(chance)

    def curve(
        self,
        posterior: xr.Dataset,
        rows: xr.Dataset,
        rng: np.random.Generator,
        residual: xr.DataArray | float = 0.0,
    ) -> xr.Dataset:
        """Return the mean accuracy of each benchmark at new budgets, and the loss.

        Parameters
        ----------
        posterior : xarray.Dataset
            Draws of the parameters, dimensions (chain, draw).
        rows : xarray.Dataset
            `flops` and, where tokens per parameter vary, `params` and `tokens`, one dimension.
        rng : numpy.random.Generator
            For drifts beyond the fitted range.
        residual : xarray.DataArray or float
            How far the log loss of each run lies from its median, in units of `loss_scatter`.

        Returns
        -------
        xarray.Dataset
            `curve` (with benchmark) and, if the model has a loss, `loss` in nats.
        """
        x, (dim,) = self.inputs(rows), rows["flops"].dims
        p: dict[str, Any] = {str(name): values for name, values in posterior.items()}
        floor = self.floor(posterior)
        of_loss, of_scores = rng.spawn(2)
        compute, found = curves.direct_compute(p, x), {}
        if self.has_loss:
            bends = self._bends(p["loss_bends"], x["flops"], dim, of_loss)
            median = curves.loss_compute(p, x, np) + p["loss_drift"] * bends
            found["loss"] = np.exp(curves.log_loss(p, median, np) + p["loss_scatter"] * residual)
            seen = curves.seen_compute(p, found["loss"], self.central_loss, np)
            compute = (1 - p["through"]) * compute + p["through"] * seen
        bends = self._bends(p["bends"], x["flops"], dim, of_scores)
        quality = curves.quality(p, compute + p["drift"] * bends, np)
        return xr.Dataset(found | {"curve": accuracy(quality, floor, np)})

    def _bends(
        self, known: xr.DataArray, x: xr.DataArray, dim: Any, rng: np.random.Generator
    ) -> xr.DataArray:
        """Return what bends add at x: those of the fitted range, and new steps beyond it."""
        at = x.to_numpy()
        found = xr.dot(
            xr.DataArray(self.slope.inside(at), dims=(dim, KNOT)),
            known.drop_vars(KNOT, errors="ignore"),
            dim=KNOT,
        )
        others = {d: known.sizes[d] for d in known.dims if d != KNOT}
        # One stream per side, so that a budget's draws do not depend on those on the other side.
        sides = (self.slope.below(at), self.slope.above(at))
        for stream, basis in zip(rng.spawn(2), sides, strict=True):
            drawn = stream.standard_normal((basis.shape[1], *others.values()))
            steps = xr.DataArray(drawn, dims=("step", *others))
            found = found + xr.dot(xr.DataArray(basis, dims=(dim, "step")), steps, dim="step")
        return found


class _Builder:
    """Builds the `pm.Model`: tensors of runs are columns, those of benchmarks are rows."""

    def __init__(self, bound: BoundLadder) -> None:
        self.bound = bound
        self.observed = bound.observed()

    def build(self) -> pm.Model:
        with pm.Model(coords=self._coords()) as model:
            self.data = {
                name: pm.Data(name, value.to_numpy(), dims=tuple(map(str, value.dims)))
                for name, value in self.observed.items()
            }
            self.x = {k[2:]: v for k, v in self.data.items() if k.startswith("x_")}
            self.p: dict[str, Any] = {}
            self._observe_scores(self._compute())
        return model

    def _coords(self) -> dict[str, Any]:
        seen = self.bound.observations
        return {
            "run": seen["run"].to_numpy(),
            "benchmark": seen["benchmark"].to_numpy(),
            NEAR_CHANCE: self.bound.near.to_numpy(),
            KNOT: np.arange(BENDS),
            AXIS: np.arange(BENDS),
        }

    def _add(self, name: str, dims: tuple[str, ...] = (), **options: Any) -> Any:
        """Create a parameter, if this ladder has it."""
        if name in self.bound.priors:
            prior = self.bound.priors[name]
            self.p[name] = create_variable(name, prior, dims=dims, **options)

    def _compute(self) -> Any:
        """Create the parameters of the curves, and return the effective log budgets.

        Ceilings and bends come first. The sampler moves exponents and levels as lines that both
        are added to: where the scores tell of a curve, its slope and level stay while they move.
        """
        p, data = self.p, self.data
        self._add("drift", _BENCHMARK)
        self._add("ceiling_pull", _BENCHMARK, rate=data["ceiling_rate"])
        self._add("bends", (*_BENCHMARK, KNOT), fit=self._fitted_bends())
        slope = 1 + p["drift"] * (data["slope_of_bends"] * p["bends"]).sum(axis=-1)
        self._add("exponent", _BENCHMARK, width=2 / (slope + pt.sqrt(slope**2 + _CORNER**2)))
        compute = self._both_routes()
        level = (data["weight"] * compute).sum(axis=0)
        level += p["drift"] * (data["level_of_bends"] * p["bends"]).sum(axis=-1)
        reducible = pt.exp(-p["ceiling_pull"] / data["whole_seen"])
        rise = pt.exp(data["level_known"] * p["exponent"] * level)
        width = 1 - reducible + reducible * rise
        self._add("neg_log_q", _BENCHMARK, width=width, start=self._start())
        p["E"] = pm.Deterministic("E", curves.irreducible(p, pt), dims="benchmark")
        return compute + p["drift"] * data["basis"].dot(p["bends"].T)

    def _both_routes(self) -> Any:
        """Return the log budgets before drift: directly, and as the loss shows them."""
        p, data = self.p, self.data
        self._add("tilt")
        direct = curves.direct_compute(p, self.x)[:, None]
        if not self.bound.has_loss:
            return direct
        self._observe_loss()
        self._add("through", _BENCHMARK)
        seen = curves.seen_compute(p, data["observed_loss"], data["central_loss"], pt)[:, None]
        return (1 - p["through"]) * direct + p["through"] * seen

    def _fitted_bends(self) -> Fitted:
        """Return what the scores tell of bends, at about the exponents that they show."""
        data = self.data
        moved = (data["exponent_seen"] * self.p["drift"])[:, None]
        variance = 1 / (1 + moved**2 * data["information"])
        along = (data["rotation"] * data["off"][:, :, None]).sum(axis=1)
        return Fitted(-moved * variance * along, pt.sqrt(variance), data["rotation"])

    def _create_floor(self, quality: Any) -> Any:
        """Create the floors that are parameters, and return all floors."""
        data = self.data
        if "floor" not in self.bound.priors:
            return data["chance"]
        near, fit = data["is_near"], self._fitted_floor(quality)
        self._add("floor", (NEAR_CHANCE,), bounds=(0.0, 1.0), fit=fit)
        return (1 - near.sum(axis=0)) * data["chance"] + self.p["floor"].dot(near)

    def _fitted_floor(self, quality: Any) -> Fitted:
        """Return what the scores tell of floors that are parameters, given the curves."""
        data = self.data
        score, least = data["observed_score"], 1 - quality
        precision = data["measured"] / spread(score, data["n_items"], self.p, pt) ** 2
        known = 1 / FLOOR_SD**2 + (precision * least**2).sum(axis=0)
        pull = data["chance"] / FLOOR_SD**2 + (precision * least * (score - quality)).sum(axis=0)
        near = data["is_near"]
        return Fitted(near.dot(pull / known), near.dot(1 / pt.sqrt(known)))

    def _start(self) -> Any:
        """Return −log Q' at the mean score of each benchmark."""
        seen = self.bound.observations
        mean = seen["score"].mean("run")
        quality = ((mean - seen["chance"]) / (1 - seen["chance"])).clip(0.05, 0.95)
        return -np.log(quality.to_numpy())

    def _fitted_loss(self) -> tuple[Fitted, Fitted]:
        """Return what the losses tell of their level and their exponent.

        Chains that started far from both held the loss's scatter for so large that they never
        came near.
        """
        scatter, exponent = self.p["loss_scatter"], self.data["loss_exponent_seen"]
        ratio = scatter / (exponent * self.data["log_flops_sd"])
        slope = Fitted(pt.log(exponent), ratio / pt.sqrt(1 + ratio**2))
        return Fitted(pt.log(self.data["central_loss"]), scatter), slope

    def _observe_loss(self) -> None:
        p, data, x = self.p, self.data, self.x
        self._add("loss_scatter")
        level, exponent = self._fitted_loss()
        self._add("loss_level", start=self.bound.central_loss, fit=level)
        self._add("loss_exponent", start=float(self.observed["loss_exponent_seen"]), fit=exponent)
        for name in ("irreducible_share", *_OF_BOTH, "loss_drift"):
            self._add(name)
        moved = p["loss_drift"] * p["loss_exponent"] / p["loss_scatter"]
        width = 1 / pt.sqrt(1 + moved**2 * (data["basis"] ** 2).sum(axis=0))
        self._add("loss_bends", (KNOT,), width=width)
        bends = data["basis"].dot(p["loss_bends"])
        mean = curves.log_loss(p, curves.loss_compute(p, x, pt) + p["loss_drift"] * bends, pt)
        seen = pt.log(data["observed_loss"])
        pm.Normal("log_loss", mean, p["loss_scatter"], observed=seen, dims="run")

    def _observe_scores(self, compute: Any) -> None:
        p, data = self.p, self.data
        for name in ("scatter", "binomial_share"):
            self._add(name, _BENCHMARK)
        self._add("run_share")
        quality = curves.quality(p, compute, pt)
        mean = accuracy(quality, self._create_floor(quality), pt)
        own, common = common_spread(mean, data["n_items"], p, pt)
        residual, there = data["observed_score"] - mean, data["measured"]
        # The common part of a run is a normal number, integrated out: a matrix of rank one.
        size = (there * common**2 / own).sum(axis=1)
        pull = (there * common * residual / own).sum(axis=1)
        density = -0.5 * (there * (pt.log(own) + residual**2 / own)).sum(axis=1)
        pm.Potential("score", density - 0.5 * pt.log1p(size) + 0.5 * pull**2 / (1 + size))
