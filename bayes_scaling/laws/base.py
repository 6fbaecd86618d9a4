"""The contract of a scaling law: a functional form with named parameters, and no priors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from bayes_scaling.errors import ModelError

# A law is written once and evaluated on PyTensor variables inside a model and on
# labelled xarray arrays in a forecast; both understand arithmetic and `xp.exp`, `xp.log`.
Array = Any
Values = Mapping[str, Array]


@dataclass(frozen=True)
class Input:
    """A column of the runs that a law reads, and how it enters.

    Attributes
    ----------
    name : str
        Column: flops, params, tokens, k, or a covariate of the runs.
    log : bool
        Whether it enters as its natural logarithm; then it must be positive.
    centred : bool
        Whether its mean over the fitted runs is subtracted (the mean of its logarithm, if that
        is what enters).

    Examples
    --------
    >>> Input("code_share", log=False)
    Input(name='code_share', log=False, centred=True)
    """

    name: str
    log: bool = True
    centred: bool = True


@dataclass(frozen=True)
class Parameter:
    """A sampled parameter of a law or a likelihood.

    Attributes
    ----------
    name : str
        Name in priors, posteriors and summaries.
    meaning : str
        What it is, in words that a reader of a summary understands.
    unit : str
        Unit; empty for a pure number.
    start : float
        Where the chains start, before jitter.
    upper : callable, optional
        Upper bound given the parameters that come before it, `upper(values, xp)`. The lower
        bound is 0 then.
    dims : mapping of str to int
        Dimensions of a vector and their lengths; empty for a scalar.
    width : callable, optional
        Roughly how far the runs let it move given the parameters that come before it,
        `width(values, x, xp)`. There ``x["curve_sd"]`` is the approximate sd with which each
        score alone determines log(−log Q'). The width is the unit in which the sampler moves; the
        posterior does not depend on it. A parameter has an upper bound or a width, not both.
    shown_as : str
        Constant of the law that figures show in its place, such as the ceiling for its
        logarithm.

    Raises
    ------
    ModelError
        If it has an upper bound and a width.

    Examples
    --------
    >>> Parameter("steepness", "steepness in log C", "", start=0.3).shape
    ()
    """

    name: str
    meaning: str
    unit: str
    start: float
    upper: Callable[[Values, Any], Array] | None = None
    dims: Mapping[str, int] = field(default_factory=dict, hash=False)
    width: Callable[[Values, Values, Any], Array] | None = None
    shown_as: str = ""

    def __post_init__(self) -> None:
        if self.upper is not None and self.width is not None:
            raise ModelError(
                f"parameter {self.name!r} has an upper bound and a width; give one of them"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of its dimensions."""
        return tuple(self.dims.values())


@dataclass(frozen=True)
class Constant:
    """A constant of a law that follows from its sampled parameters.

    Attributes
    ----------
    name : str
        Name in posteriors and summaries.
    meaning : str
        What it is, in words.
    unit : str
        Unit; empty for a pure number.

    Examples
    --------
    >>> Constant("alpha", "exponent of the law").unit
    ''
    """

    name: str
    meaning: str
    unit: str = ""


class ScalingLaw(ABC):
    r"""A functional form of accuracy against training budget.

    A law maps inputs of a run to the chance-corrected accuracy Q' = (Q − q0) / (1 − q0), in
    (0, 1). To write one of your own, subclass this class; a notebook cell is enough.

    **What a law is given.** Inputs arrive as natural logarithms less their mean over the fitted
    runs: ``x["flops"]`` is 0 for a run at the centroid. ``c["flops"]`` is that mean, and
    ``c["reach"]`` is the distance of the farthest fitted run from it in the first input. Every law
    is also given ``p["neg_log_q"]``, the value of −log Q' at the centroid in nats. The model
    samples it, as the accuracy `level` at the centroid; the law adds its own `parameters`.
    Runs determine a curve best by its level and its slope at their middle.

    **What a law gives.** :meth:`normalised_accuracy` is the mean curve. It must equal
    exp(−neg_log_q) at the centroid. :meth:`textbook` gives the constants of the published
    equation, named in `constants`. Both are written with arithmetic and functions of `xp`,
    which is `pytensor.tensor` inside a model and `numpy` in a forecast. No priors enter a law;
    `priors` are defaults that a model may replace.

    :func:`bayes_scaling.check_law` tests all this and says what is broken.

    Attributes
    ----------
    name : str
        Name of the law in results and files.
    equation : str
        Mean curve, as in the source.
    source : str
        Paper and equation.
    inputs : tuple of str or Input
        What the law reads of a run. A text stands for the centred logarithm of that column.
    parameters : tuple of Parameter
        Sampled parameters besides neg_log_q, in the order in which they are created. A bound or
        a width may read neg_log_q and those that come before.
    constants : tuple of Constant
        What :meth:`textbook` returns.
    ceiling : str
        Constant that is the limit of Q' at endless compute; empty where there is none.
    priors : mapping of str to pymc_extras.prior.Prior
        Default priors. Laws with a file in `models/` have theirs there.

    Examples
    --------
    A logistic curve in log C, fitted to embedded runs:

    >>> from bayes_scaling import check_law, fit_runs, load_dataset
    >>> from bayes_scaling.laws import Constant, Parameter, ScalingLaw
    >>> from pymc_extras.prior import Prior
    >>> class Logistic(ScalingLaw):
    ...     '''Q' = 1 / (1 + (C / C_half)^−steepness).'''
    ...
    ...     name = "logistic"
    ...     equation = "Q' = 1 / (1 + (C / C_half)^-steepness)"
    ...     source = "a logistic curve in log C, for the sake of an example"
    ...     parameters = (Parameter("steepness", "steepness in log C", "", start=0.3),)
    ...     constants = (Constant("log_C_half", "log C at which Q' is one half", "log FLOPs"),)
    ...     priors = {"steepness": Prior("LogNormal", mu=-1.2, sigma=0.7)}
    ...
    ...     def normalised_accuracy(self, p, x, c, xp):
    ...         odds = xp.expm1(p["neg_log_q"])  # of a wrong answer, at the centroid
    ...         return 1 / (1 + odds * xp.exp(-p["steepness"] * x["flops"]))
    ...
    ...     def textbook(self, p, c, xp):
    ...         odds = xp.expm1(p["neg_log_q"])
    ...         return {"log_C_half": c["flops"] + xp.log(odds) / p["steepness"]}
    >>> check_law(Logistic())
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> fit = fit_runs(runs.below(6e21), Logistic())
    >>> fit.forecast(flops=1e23)["score"].median().round(1).item()
    0.9
    """

    name: ClassVar[str]
    equation: ClassVar[str]
    source: ClassVar[str]
    inputs: ClassVar[tuple[Any, ...]] = ("flops",)
    parameters: ClassVar[tuple[Parameter, ...]]
    constants: ClassVar[tuple[Constant, ...]] = ()
    ceiling: ClassVar[str] = ""
    priors: ClassVar[Mapping[str, Any]] = {}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), repr(sorted(vars(self).items()))))

    @property
    def reads(self) -> tuple[Input, ...]:
        """The inputs, each with how it enters."""
        return tuple(one if isinstance(one, Input) else Input(one) for one in self.inputs)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that the law reads."""
        return tuple(one.name for one in self.reads)

    @abstractmethod
    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q' in (0, 1).

        Parameters
        ----------
        p : mapping
            Parameter values by name, neg_log_q among them.
        x : mapping
            Inputs as they enter, e.g. ``x["flops"] = ln C − c["flops"]``, and the law's
            :meth:`features`.
        c : mapping
            The centre: what is subtracted from each input, and ``"reach"``.
        xp : module
            `pytensor.tensor` or `numpy`.
        """

    def features(self, x: Mapping[str, xr.DataArray], c: Values) -> dict[str, xr.DataArray]:
        """Return further known inputs that the law computes from its own; none by default.

        They join `x` in :meth:`normalised_accuracy`; inside a model they are data.
        """
        return {}

    def beyond(
        self,
        p: Mapping[str, xr.DataArray],
        x: Mapping[str, xr.DataArray],
        c: Values,
        rng: np.random.Generator,
    ) -> dict[str, xr.DataArray]:
        """Return the parameters, and draw the part that lies beyond the fitted runs.

        A law whose curve continues at random beyond the fitted range draws that part here.
        """
        return dict(p)

    @abstractmethod
    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return the law's `constants`, those of the published equation, by name."""


class TwoStageLaw(ScalingLaw):
    """A law that goes through a loss: budget to loss, then loss to accuracy.

    Both stages are one law with one set of `parameters`. LOSS_LEVEL is one of them: the loss that
    the first stage gives at the centroid. The second stage reads the loss of a run from
    ``x["loss"]``, in nats above that level, and ``neg_log_q`` is −log Q' there. So the centre of
    the second stage is a parameter and does not look at the observed losses. A run's own loss
    scatters round the first stage with standard deviation `loss_scatter` in log loss, and that
    scatter carries over to its accuracy.

    Attributes
    ----------
    loss_parameters : tuple of Parameter
        Those of `parameters` that belong to the first stage; LOSS_LEVEL and LOSS_SCATTER are two
        of them.
    separable : bool
        Whether accuracy as a function of the loss reads no other parameter of the first stage
        than LOSS_LEVEL. Then the losses tell nothing of the second stage, and the error of a
        forecast can be split by stage.

    Examples
    --------
    >>> from bayes_scaling import get_law
    >>> [p.name for p in get_law("two_stage_linear").loss_parameters]
    ['loss_level', 'loss_exponent', 'loss_scatter']
    """

    loss_parameters: ClassVar[tuple[Parameter, ...]]
    separable: ClassVar[bool] = True

    @abstractmethod
    def log_loss(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return the log of the median loss at a budget; arguments as in the second stage."""


LOSS_LEVEL = Parameter(
    "loss_level", "loss of the first stage at the centroid of the fitted runs", "nats", start=2.0
)
LOSS_SCATTER = Parameter(
    "loss_scatter", "sd of a run's log loss round the first stage", "log nats", start=0.01
)
