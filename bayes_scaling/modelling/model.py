"""ScalingModel: a law with priors and a likelihood, not yet bound to data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pymc_extras.prior import Prior

from bayes_scaling.errors import ModelError
from bayes_scaling.laws import (
    Parameter,
    ScalingLaw,
    TwoStageLaw,
    as_law,
    available_laws,
    shipped_laws,
)
from bayes_scaling.laws._probe import fingerprint
from bayes_scaling.modelling.bound import BoundModel, bind
from bayes_scaling.modelling.defaults import (
    available_models,
    default_priors,
    read_priors,
    read_toml,
    ready_file,
)
from bayes_scaling.modelling.likelihoods import SCATTER_PARAMETERS, get_likelihood
from bayes_scaling.modelling.link import FLOOR, LEVEL
from bayes_scaling.modelling.priors import check_prior, structure_of
from bayes_scaling.runs import Runs

Floor = Literal["auto", "free", "fixed", "filter"]
FLOORS: tuple[str, ...] = get_args(Floor)
AUTO: Literal["auto"] = "auto"

_FIELDS = ("law", "fingerprint", "likelihood", "floor", "loss", "priors")


@dataclass(frozen=True, repr=False)
class ScalingModel:
    """A scaling law, priors on its parameters, and how scores scatter round it.

    A model knows no data. :meth:`on` binds it to one series of runs.

    Parameters
    ----------
    law : ScalingLaw, its class, or str
        The law, or the name of one that ships or is registered.
    priors : mapping of str to pymc_extras.prior.Prior, optional
        Priors of sampled parameters. A parameter that is left out has the law's default prior,
        or the one that all models share.
    likelihood_name : str
        "normal", "student_t", "normal_by_run", "normal_by_training", "beta_binomial", or "auto":
        normal, by training if some training has several runs (checkpoints).
    floor : {"auto", "free", "fixed", "filter"}
        The score of a run that has learnt nothing. "free": a parameter with a prior round the
        chance level. "fixed": the chance level. "filter": the chance level, and runs within 5
        points of it or below are dropped (the papers' filter). "auto": free if a run scores
        within 5 points of chance or below, else fixed. Far from chance a free floor would only
        bend the curve.
    loss : str
        The loss that a two-stage law goes through: a loss column of the runs, "task_loss",
        or "auto", the loss on the runs' own mixture. Direct laws do not read it.
    reasons : mapping of str to str
        Why each prior is what it is.

    Raises
    ------
    ModelError
        If a sampled parameter has no prior, a prior belongs to no parameter, or a field of a
        prior cannot be honoured.

    Examples
    --------
    >>> from pymc_extras.prior import Prior
    >>> model = ScalingModel("power_law", {"exponent": Prior("LogNormal", mu=-2, sigma=0.5)})
    >>> sorted(p.name for p in model.parameters if p.name != "scatter")
    ['binomial_share', 'exponent', 'floor', 'level']
    """

    law: ScalingLaw
    priors: Mapping[str, Prior] = field(default_factory=dict)
    likelihood_name: str = AUTO
    floor: Floor = AUTO
    loss: str = AUTO
    reasons: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        law = as_law(self.law)
        object.__setattr__(self, "law", law)
        if self.floor not in FLOORS:
            raise ModelError(f"floor {self.floor!r} is not one of {', '.join(FLOORS)}")
        if self.likelihood_name != AUTO:
            get_likelihood(self.likelihood_name)
        priors, reasons = default_priors(law)
        given = {name: reasons[name] for name in reasons if name not in self.priors}
        object.__setattr__(self, "priors", priors | dict(self.priors))
        object.__setattr__(self, "reasons", given | dict(self.reasons))
        self._check_priors()

    def _check_priors(self) -> None:
        known = {p.name: p for p in (FLOOR, LEVEL, *self.law.parameters, *SCATTER_PARAMETERS)}
        unknown = sorted(set(self.priors) - set(known))
        if unknown:
            raise ModelError(
                f"{self.law_name} has no parameter {', '.join(unknown)}; it has {', '.join(known)}"
            )
        missing = [name for name in known if name not in self.priors]
        if missing:
            raise ModelError(f"{self.law_name}: no prior for {', '.join(missing)}")
        for name, parameter in known.items():
            bounded = parameter.upper is not None or parameter in (LEVEL, FLOOR)
            check_prior(parameter, self.priors[name], bounded=bounded)

    # ---- reading ---------------------------------------------------------------------------

    def __repr__(self) -> str:
        loss = f", through {self.loss} loss" if self.two_stage else ""
        return (
            f"<ScalingModel {self.law_name}: {self.likelihood_name} likelihood, "
            f"{self.floor} floor{loss}>"
        )

    def __str__(self) -> str:
        lines = [f"{p.name} ~ {self.priors[p.name]}: {p.meaning}" for p in self.parameters]
        return "\n".join([f"{self!r}", f"  {self.law.equation}", *(f"  {x}" for x in lines)])

    @property
    def law_name(self) -> str:
        """Name of the law."""
        return self.law.name

    @property
    def two_stage(self) -> bool:
        """Whether the law goes through a loss."""
        return isinstance(self.law, TwoStageLaw)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Sampled parameters, of the curve and of the scatter, in the order of creation.

        If an option is "auto", they are those of a free floor and of normal scatter.
        """
        floor = (FLOOR,) if self.floor in ("auto", "free") else ()
        name = "normal" if self.likelihood_name == AUTO else self.likelihood_name
        return (*floor, LEVEL, *self.law.parameters, *get_likelihood(name).parameters)

    @property
    def size(self) -> int:
        """How many numbers are sampled, vectors by their elements."""
        return sum(math.prod(p.shape) for p in self.parameters)

    def structure(self) -> tuple[Any, ...]:
        """Return what a compiled model depends on: everything but numbers.

        A law of your own may read numbers and functions from outside its class, so it is told
        apart by what it computes as well.
        """
        families = tuple((p.name, structure_of(self.priors[p.name])) for p in self.parameters)
        own = None if self.law_name in shipped_laws() else fingerprint(self.law)
        return self.law, own, self.likelihood_name, self.floor, families

    # ---- composing -------------------------------------------------------------------------

    def with_priors(self, **priors: Prior) -> Self:
        """Return the model with some priors replaced.

        A prior of the floor makes a floor of "auto" free; otherwise it might not be used.

        Raises
        ------
        ModelError
            If a name is not one of the model's parameters, or a prior cannot be honoured.
        """
        reasons = {k: v for k, v in self.reasons.items() if k not in priors}
        floor = "free" if "floor" in priors and self.floor == AUTO else self.floor
        return replace(self, priors={**self.priors, **priors}, floor=floor, reasons=reasons)

    def with_options(
        self,
        *,
        likelihood: str | None = None,
        floor: Floor | None = None,
        loss: str | None = None,
    ) -> Self:
        """Return the model with another likelihood, treatment of the floor, or proxy loss.

        Parameters
        ----------
        likelihood, floor, loss : str, optional
            As for :class:`ScalingModel`. An option that is left out stays as it is.
        """
        return replace(
            self,
            likelihood_name=likelihood or self.likelihood_name,
            floor=floor or self.floor,
            loss=loss or self.loss,
        )

    def on(self, runs: Runs) -> BoundModel:
        """Return the model bound to one series of runs, with every "auto" option settled.

        Parameters
        ----------
        runs : Runs
            One benchmark, metric and mixture.

        Raises
        ------
        ModelError
            If the law's inputs are missing, there are too few runs, or item counts are needed.

        Examples
        --------
        >>> from bayes_scaling import load_dataset, load_model
        >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
        >>> load_model("power_law").on(runs).pymc.named_vars_to_dims["score"]
        ('row',)
        """
        return bind(self, runs)

    # ---- files -----------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain numbers and text, in the layout of `models/*.toml`.

        A law of your own is stored by name, with a fingerprint of what it computes.
        """
        own = {} if self.law_name in shipped_laws() else {"fingerprint": fingerprint(self.law)}
        return {
            "law": self.law_name,
            **own,
            "likelihood": self.likelihood_name,
            "floor": self.floor,
            "loss": self.loss,
            "priors": {
                name: prior.to_dict() | {"reason": self.reasons.get(name, "")}
                for name, prior in self.priors.items()
            },
        }

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any], law: ScalingLaw | None = None) -> Self:
        """Return the model described by `spec`, the content of a `models/*.toml`.

        Parameters
        ----------
        spec : mapping
            As returned by :meth:`to_dict`.
        law : ScalingLaw, optional
            The law, if it is your own and not registered.

        Raises
        ------
        ModelError
            If a field is unknown, a prior cannot be read, or the law is not the one that was
            saved.
        """
        if not isinstance(spec, Mapping):
            raise ModelError("model file: the model and its priors must be tables")
        unknown = sorted(set(spec) - set(_FIELDS))
        if unknown or "law" not in spec:
            raise ModelError(
                f"model file: unknown field {', '.join(unknown)}"
                if unknown
                else "model file: no field 'law'"
            )
        priors, reasons = read_priors(spec.get("priors", {}))
        return cls(
            _same_law(spec, law),
            priors,
            spec.get("likelihood", AUTO),
            spec.get("floor", AUTO),
            spec.get("loss", AUTO),
            reasons,
        )


def _same_law(spec: Mapping[str, Any], law: ScalingLaw | None) -> ScalingLaw:
    """Return the law of a saved model, if it computes what the saved one did."""
    name = spec["law"]
    if law is not None and as_law(law).name != name:
        raise ModelError(f"the model is one of the law {name!r}, not {as_law(law).name!r}")
    found = as_law(name if law is None else law)
    if "fingerprint" in spec and spec["fingerprint"] != fingerprint(found):
        raise ModelError(
            f"the law {name!r} computes something else than when it was saved; "
            "give the law as it was then"
        )
    return found


def load_model(model: str | Path) -> ScalingModel:
    """Return a ready model by name, or the model of a TOML file of your own.

    Priors that all models share (level, floor, scatter, ...) come from `models/common.toml` if
    the file does not give them. A file of your own that names a ready law may give only what it
    changes.

    Parameters
    ----------
    model : str or pathlib.Path
        A name, such as "power_law" or that of a registered law, or the path of a `.toml` file.

    Raises
    ------
    ModelError
        If there is no such model, or the file cannot be read as one.

    Examples
    --------
    >>> load_model("power_law").priors["exponent"]
    Prior("LogNormal", mu=-1.9, sigma=0.7)
    """
    path = Path(model)
    if path.suffix != ".toml":
        name = str(model)
        if name in available_models():
            return ScalingModel.from_dict(read_toml(ready_file(name)))
        if name in available_laws():
            return ScalingModel(as_law(name))
        raise ModelError(f"no model {name!r}. Models: {', '.join(_names())}")
    spec = read_toml(path)
    law = spec.get("law")
    ready = read_toml(ready_file(law)) if law in available_models() else {}
    options = {key: value for key, value in ready.items() if key != "priors"}
    return ScalingModel.from_dict(options | spec)


def _names() -> list[str]:
    return sorted({*available_models(), *available_laws()})


ModelLike = ScalingModel | ScalingLaw | type[ScalingLaw] | str | Path


def as_model(model: ModelLike) -> ScalingModel:
    """Return a model given as itself, as a law with default priors, by name, or as a file.

    Raises
    ------
    ModelError
        If it is none of these.
    """
    if isinstance(model, ScalingModel):
        return model
    if isinstance(model, str | Path):
        return load_model(model)
    law = as_law(model)
    return load_model(law.name) if law.name in available_models() else ScalingModel(law)
