"""A law with priors and a likelihood: everything needed to build a PyMC model."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pymc_extras.prior import Prior, UnsupportedDistributionError
from scipy.special import betaln

from bayes_scaling._resources import resource_dir
from bayes_scaling.errors import ModelError
from bayes_scaling.laws import get_law
from bayes_scaling.laws.base import Parameter, ScalingLaw, TwoStageLaw
from bayes_scaling.likelihoods import SCATTER_PARAMETERS, Likelihood, get_likelihood, spread
from bayes_scaling.observations import centre_of, choose_loss, observe
from bayes_scaling.priors import create_variable, hyperparameters
from bayes_scaling.runs import Runs

Floor = Literal["free", "fixed", "filter"]
# Keeps densities finite where a curve meets 0 or 1, or crosses them.
EDGE = 1e-9
FLOORS = ("free", "fixed", "filter")
# A scatter on the large side, for coordinates that must suit every series.
_ROUGH_SCATTER = 0.02

# The chains start these two where the scores are: see ScalingModel.starts.
LEVEL = Parameter(
    "level", "accuracy of the curve at the centroid of the fitted runs", "accuracy", start=0.5
)
FLOOR = Parameter("floor", "accuracy of a run that has learnt nothing", "accuracy", start=0.1)


@dataclass(frozen=True)
class ScalingModel:
    """A scaling law, priors on its parameters, and how scores scatter round it.

    Attributes
    ----------
    law_name : str
        Name of the law.
    priors : mapping of str to pymc_extras.prior.Prior
        A prior for each sampled parameter.
    likelihood_name : str
        "beta_binomial", "normal", "student_t", "normal_by_run", or "auto": beta-binomial where
        every run's item count is known, else normal.
    floor : {"free", "fixed", "filter"}
        What a run that has learnt nothing scores: a parameter with a prior round the chance
        level; the chance level; or the chance level after dropping runs within 5 points of
        it (the papers' filter).
    loss : str
        The loss that a two-stage law goes through: a loss column of the runs, "task_loss",
        or "auto", the loss on the runs' own mixture. Direct laws do not read it.
    reasons : mapping of str to str
        Why each prior is what it is.
    """

    law_name: str
    priors: Mapping[str, Prior]
    likelihood_name: str = "auto"
    floor: Floor = "free"
    loss: str = "auto"
    reasons: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if self.floor not in FLOORS:
            raise ModelError(f"floor {self.floor!r} is not one of {', '.join(FLOORS)}")
        if self.likelihood_name != "auto":
            get_likelihood(self.likelihood_name)
        missing = [p.name for p in self.law.parameters if p.name not in self.priors]
        if missing:
            raise ModelError(f"{self.law_name}: no prior for {', '.join(missing)}")
        known = [p.name for p in (LEVEL, FLOOR, *self.law.parameters, *SCATTER_PARAMETERS)]
        unknown = sorted(set(self.priors) - set(known))
        if unknown:
            raise ModelError(
                f"{self.law_name} has no parameter {', '.join(unknown)}; it has {', '.join(known)}"
            )
        for name, prior in self.priors.items():
            if not isinstance(prior, Prior):
                raise ModelError(f"prior of {name!r}: {prior!r} is not a pymc_extras Prior")

    @cached_property
    def law(self) -> ScalingLaw:
        """The law itself."""
        return get_law(self.law_name)

    # ---- composing -------------------------------------------------------------------------

    def with_priors(self, **priors: Prior) -> Self:
        """Return the model with some priors replaced.

        Raises
        ------
        ModelError
            If a name is not one of the model's parameters.
        """
        reasons = {k: v for k, v in self.reasons.items() if k not in priors}
        return replace(self, priors={**self.priors, **priors}, reasons=reasons)

    def with_options(
        self,
        *,
        likelihood: str | None = None,
        floor: Floor | None = None,
        loss: str | None = None,
    ) -> Self:
        """Return the model with another likelihood, treatment of the floor, or proxy loss."""
        return replace(
            self,
            likelihood_name=likelihood or self.likelihood_name,
            floor=floor or self.floor,
            loss=loss or self.loss,
        )

    @property
    def two_stage(self) -> bool:
        """Whether the law goes through a loss."""
        return isinstance(self.law, TwoStageLaw)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain numbers and text, in the layout of `models/*.toml`."""
        return {
            "law": self.law_name,
            "likelihood": self.likelihood_name,
            "floor": self.floor,
            "loss": self.loss,
            "priors": {
                name: prior.to_dict() | {"reason": self.reasons.get(name, "")}
                for name, prior in self.priors.items()
            },
        }

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> Self:
        """Return the model described by `spec`, the content of a `models/*.toml`.

        Raises
        ------
        ModelError
            If a field is unknown, or a prior cannot be read.
        """
        _check_tables(spec)
        unknown = sorted(set(spec) - {"law", "likelihood", "floor", "loss", "priors"})
        if unknown or "law" not in spec:
            raise ModelError(
                f"model file: unknown field {', '.join(unknown)}"
                if unknown
                else "model file: no field 'law'"
            )
        priors = spec.get("priors", {})
        return cls(
            spec["law"],
            {name: _read_prior(name, entry) for name, entry in priors.items()},
            spec.get("likelihood", "auto"),
            spec.get("floor", "free"),
            spec.get("loss", "auto"),
            {name: entry.get("reason", "") for name, entry in priors.items()},
        )

    # ---- fitting ---------------------------------------------------------------------------

    def prepare(self, runs: Runs) -> tuple[Self, xr.Dataset]:
        """Return the model as it will be fitted to `runs`, and what it will see of them.

        The first has its likelihood settled (not "auto"); the second is described in
        :func:`bayes_scaling.observations.observe`.

        Raises
        ------
        ModelError
            If the law's inputs are missing, there are too few runs, or item counts are needed.
        """
        if self.floor == "filter":
            runs = runs.drop_near_chance()
        counted = bool(runs.table["n_items"].notna().all())
        name = self.likelihood_name
        if name == "auto":
            name = "beta_binomial" if counted else "normal"
        loss = choose_loss(runs, self.loss) if self.two_stage else None
        model = self.with_options(likelihood=name, loss=loss)
        if model.likelihood.needs_items and not counted:
            raise ModelError(
                f"likelihood {name!r} needs n_items in every row; give them, or choose 'normal'"
            )
        return model, observe(runs, self.law, len(model.parameters), loss)

    @property
    def likelihood(self) -> Likelihood:
        """The likelihood; of a model that :meth:`prepare` has settled."""
        return get_likelihood(self.likelihood_name)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Sampled parameters, of the curve and of the scatter, in the order of creation."""
        floor = (FLOOR,) if self.floor == "free" else ()
        return (LEVEL, *floor, *self.law.parameters, *self.likelihood.parameters)

    def structure(self) -> tuple[Any, ...]:
        """Return what a compiled model depends on: everything but numbers."""
        families = tuple(
            (p.name, self.priors[p.name].distribution, tuple(self.priors[p.name].parameters))
            for p in self.parameters
        )
        return self.law_name, self.likelihood_name, self.floor, families

    def data(self, observations: xr.Dataset) -> dict[str, Any]:
        """Return every number that enters a built model, by the name of its `pm.Data`."""
        numbers = self._observed(observations)
        for name, prior in self._priors_of(observations).items():
            numbers |= hyperparameters(name, prior)
        return numbers

    def _observed(self, observations: xr.Dataset) -> dict[str, Any]:
        centre = centre_of(observations)
        numbers: dict[str, Any] = {f"centre_{name}": value for name, value in centre.items()}
        numbers |= {f"x_{k}": v.to_numpy() for k, v in self._inputs(observations, centre).items()}
        score, n_items = observations["score"].to_numpy(), observations["n_items"].to_numpy()
        numbers |= {"observed_score": score, "n_items": n_items}
        if self.likelihood.needs_items:
            correct = np.round(score * n_items)
            ways = -np.log1p(n_items) - betaln(correct + 1, n_items - correct + 1)
            numbers |= {"n_correct": correct, "log_ways": ways}
        if any(p.width for p in self.law.parameters):
            numbers["x_curve_sd"] = _curve_sd(score, n_items, float(observations["chance"]))
        if self.likelihood.unit == "run":
            runs = observations["run"].to_numpy()
            numbers["membership"] = (np.unique(runs)[:, None] == runs).astype(float)
        if self.floor != "free":
            numbers["chance"] = float(observations["chance"])
        return numbers

    def build(self, observations: xr.Dataset) -> pm.Model:
        """Return the PyMC model of a settled model (see :meth:`prepare`)."""
        priors = self._priors_of(observations)
        coords = {p.dims[0]: np.arange(p.size) for p in self.parameters if p.size}
        coords["row"] = np.arange(observations.sizes["row"])
        with pm.Model(coords=coords) as model:
            data = {k: pm.Data(k, value) for k, value in self._observed(observations).items()}
            x = {k.removeprefix("x_"): v for k, v in data.items() if k.startswith("x_")}
            p = self._create_parameters(priors, data, x)
            c = {name.removeprefix("centre_"): data[name] for name in data if "centre_" in name}
            law_values = p | {"level": whole(p["level"], p["floor"], pt)}
            if isinstance(self.law, TwoStageLaw):
                mean_loss = self.law.log_loss(law_values, x, c, pt)
                observed = pt.log(x["loss"] + c["loss"])
                pm.Normal("loss", mean_loss, p["loss_scatter"], observed=observed, dims="row")
            quality = self.law.normalised_accuracy(law_values, x, c, pt)
            self.likelihood.observe(accuracy(quality, p["floor"], pt), p, data)
            for name, value in self.law.textbook(law_values, c, pt).items():
                pm.Deterministic(name, value)
        return model

    def starts(self, observations: xr.Dataset) -> dict[str, Any]:
        """Return where the chains start, before jitter.

        The level starts at the mean score, and the floor between chance and the lowest score:
        a floor whose prior is narrow is not found from far away.
        """
        starts = {p.name: np.full(p.size, p.start) if p.size else p.start for p in self.parameters}
        score, chance = observations["score"], float(observations["chance"])
        lowest = 0.0 if self.floor == "free" else chance
        place = (float(score.mean()) - lowest) / (1 - lowest)
        level = lowest + (1 - lowest) * float(np.clip(place, 0.05, 0.95))
        floor = np.clip((chance + float(score.min())) / 2, 0.001 * level, 0.9 * level)
        return starts | {"level": level} | ({"floor": floor} if self.floor == "free" else {})

    def _inputs(self, inputs: xr.Dataset, centre: Mapping[str, float]) -> dict[str, xr.DataArray]:
        """Return the centred logarithms of the inputs, and what the law makes of them."""
        x: dict[str, xr.DataArray] = {}
        for name in self.law.inputs:
            x[name] = xr.apply_ufunc(np.log, inputs[name]) - centre[name]
        if self.two_stage and "loss" in inputs:
            x["loss"] = inputs["loss"] - centre["loss"]
        return x | self.law.features(x, centre)

    def _priors_of(self, observations: xr.Dataset) -> dict[str, Prior]:
        """Return the priors in use; the floor's is centred on chance unless it says where."""
        priors = {p.name: self.priors[p.name] for p in self.parameters}
        if "floor" in priors and "mu" not in priors["floor"].parameters:
            floor = priors["floor"]
            centred = {"mu": float(observations["chance"]), **floor.parameters}
            priors["floor"] = Prior(floor.distribution, **centred)
        return priors

    def _create_parameters(
        self, priors: dict[str, Prior], data: dict[str, Any], x: dict[str, Any]
    ) -> dict[str, Any]:
        lowest = 0.0 if self.floor == "free" else data["chance"]
        p: dict[str, Any] = {"level": create_variable("level", priors["level"], (lowest, 1.0))}
        p["floor"] = (
            create_variable("floor", priors["floor"], (0.0, p["level"]))
            if self.floor == "free"
            else data["chance"]
        )
        seen = p | {"level": whole(p["level"], p["floor"], pt)}
        for parameter in (*self.law.parameters, *self.likelihood.parameters):
            bounds = (0.0, parameter.upper(seen, pt)) if parameter.upper else None
            width = parameter.width(seen, x, pt) if parameter.width else None
            prior = priors[parameter.name]
            p[parameter.name] = create_variable(
                parameter.name, prior, bounds, width, parameter.dims
            )
            seen[parameter.name] = p[parameter.name]
        return p

    # ---- evaluating ------------------------------------------------------------------------

    def curve(
        self,
        posterior: xr.Dataset,
        inputs: xr.Dataset,
        observations: xr.Dataset,
        rng: np.random.Generator,
        loss_residual: xr.DataArray | float = 0.0,
    ) -> xr.DataArray:
        """Return the mean accuracy at `inputs` for every draw of a posterior.

        Parameters
        ----------
        posterior : xarray.Dataset
            Draws of the parameters, dimensions (chain, draw).
        inputs : xarray.Dataset
            The law's inputs in their own units, along any dimension. A two-stage law goes
            through their `loss` where they have one, else through the loss it forecasts.
        observations : xarray.Dataset
            What the model was fitted to, which gives the centre and the chance level.
        rng : numpy.random.Generator
            For a law whose curve goes on at random beyond the fitted range.
        loss_residual : xarray.DataArray or float
            How far a run's log loss lies from the forecast one, in units of `loss_scatter`.
        """
        c = centre_of(observations)
        x = self._inputs(inputs, c)
        if self.two_stage and "loss" not in x:
            log_loss = self.log_loss(posterior, inputs, observations)
            log_loss = log_loss + posterior["loss_scatter"] * loss_residual
            x["loss"] = xr.apply_ufunc(np.exp, log_loss) - c["loss"]
        floor = posterior["floor"] if self.floor == "free" else observations["chance"]
        p = {str(name): posterior[name] for name in posterior.data_vars}
        p["level"] = whole(posterior["level"], floor, np)
        p = self.law.beyond(p, x, c, rng)
        return accuracy(self.law.normalised_accuracy(p, x, c, np), floor, np).rename("curve")

    def log_loss(
        self, posterior: xr.Dataset, inputs: xr.Dataset, observations: xr.Dataset
    ) -> xr.DataArray:
        """Return the log of the median loss of a two-stage law; arguments as of `curve`."""
        c = centre_of(observations)
        p = {str(name): posterior[name] for name in posterior.data_vars}
        law = cast(TwoStageLaw, self.law)
        return law.log_loss(p, self._inputs(inputs, c), c, np)


def accuracy(quality: Any, floor: Any, xp: Any) -> Any:
    """Return the accuracy Q from Q', kept off 0 and 1, which some laws cross."""
    return xp.clip(floor + (1 - floor) * quality, EDGE, 1 - EDGE)


def _curve_sd(score: Any, n_items: Any, chance: float) -> Any:
    """Return about how well each score by itself settles log(−log Q'), as an sd."""
    quality = np.clip((score - chance) / (1 - chance), 0.02, 0.98)
    slope = (1 - chance) * quality * -np.log(quality)
    return spread(score, n_items, _ROUGH_SCATTER, np) / slope


def whole(level: Any, floor: Any, xp: Any) -> Any:
    """Return −log Q' at the centroid, in nats, from the accuracy there."""
    return xp.log((1 - floor) / (level - floor))


def _check_tables(spec: Any) -> None:
    if not isinstance(spec, Mapping) or not isinstance(spec.get("priors", {}), Mapping):
        raise ModelError("model file: the model and its priors must be tables")


def _read_prior(name: str, entry: Any) -> Prior:
    try:
        return Prior.from_dict({k: v for k, v in entry.items() if k != "reason"})
    except (
        *(KeyError, TypeError, ValueError, AttributeError),
        UnsupportedDistributionError,
    ) as error:
        raise ModelError(
            f"prior of {name!r} cannot be read ({error}); "
            'it looks like: dist = "LogNormal", kwargs = { mu = -1.9, sigma = 0.7 }'
        ) from error


def available_models() -> list[str]:
    """Return the names of the ready models in `models/`."""
    return sorted(p.stem for p in resource_dir("models").glob("*.toml") if p.stem != "common")


def load_model(model: str | Path) -> ScalingModel:
    """Return a ready model by name, or the model of a TOML file of one's own.

    What a file leaves out of the priors that all models share (level, floor, scatter, ...)
    comes from `models/common.toml`; a file of one's own that names a ready law may give only
    the priors that it changes.

    Parameters
    ----------
    model : str or pathlib.Path
        A name, such as "power_law", or the path of a `.toml` file.

    Raises
    ------
    ModelError
        If there is no such model, or the file cannot be read as one.
    """
    path = Path(model)
    if path.suffix != ".toml":
        path = resource_dir("models") / f"{model}.toml"
        if model not in available_models():
            raise ModelError(f"no model {model!r}. Models: {', '.join(available_models())}")
    spec = _read_toml(path)
    _check_tables(spec)
    layers = [_read_toml(resource_dir("models") / "common.toml")]
    ready = resource_dir("models") / f"{spec.get('law')}.toml"
    if ready.is_file() and ready != path:
        layers.append(_read_toml(ready))
    layers.append(spec)
    merged: dict[str, Any] = {}
    for layer in layers:
        priors = {**merged.get("priors", {}), **layer.get("priors", {})}
        merged |= layer | {"priors": priors}
    return ScalingModel.from_dict(merged)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"model file {path.name}: {error}") from error
