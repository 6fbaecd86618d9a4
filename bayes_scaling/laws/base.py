"""The contract of a scaling law: a functional form with named parameters, and no priors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr

# A law is written once and evaluated on PyTensor variables inside a model and on
# labelled xarray arrays in a forecast; both understand arithmetic and `xp.exp`, `xp.log`.
Array = Any
Values = Mapping[str, Array]


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
        Upper bound given the parameters that come before it, `upper(values, xp)`.
    size : int
        Number of elements of a vector, along dimension `<name>_knot`; 0 for a scalar.
    width : callable, optional
        About how far the runs let it move given the parameters that come before it, as
        `width(values, x, xp)`, where ``x["curve_sd"]`` is how well each score by itself settles
        log(−log Q'): the unit in which it is sampled. What is sampled does not depend on it.
    """

    name: str
    meaning: str
    unit: str
    start: float
    upper: Callable[[Values, Any], Array] | None = None
    size: int = 0
    width: Callable[[Values, Values, Any], Array] | None = None

    @property
    def dims(self) -> tuple[str, ...]:
        """Dimensions of the parameter itself."""
        return (f"{self.name}_knot",) if self.size else ()


class ScalingLaw(ABC):
    r"""A functional form of accuracy against training budget.

    A law maps inputs (logarithms of FLOPs, parameters, tokens or samples) to the
    chance-corrected accuracy Q' = (Q − q0) / (1 − q0), in (0, 1). Inputs arrive centred on
    the fitted runs, because the level of a curve at the centroid and its slope there are what
    data speak to one by one; :meth:`textbook` converts back to the constants of the papers.
    Every law is handed ``p["level"]``, the value of −log Q' at the centroid in nats, by the
    model, which samples it as an accuracy; the law adds its own `parameters`.

    Attributes
    ----------
    name : str
        Name in the registry and in `models/`.
    equation : str
        Mean curve, as in the source.
    source : str
        Paper and equation.
    inputs : tuple of str
        Columns of the runs that the law reads.
    parameters : tuple of Parameter
        Sampled parameters besides the level, in the order in which they are created.
    """

    name: ClassVar[str]
    equation: ClassVar[str]
    source: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]] = ("flops",)
    parameters: ClassVar[tuple[Parameter, ...]]

    @abstractmethod
    def normalised_accuracy(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return Q' in (0, 1).

        Parameters
        ----------
        p : mapping
            Parameter values by name.
        x : mapping
            Centred natural logarithms of the inputs, e.g. ``x["flops"] = ln C − c["flops"]``.
        c : mapping
            The centre: mean of each logged input, and ``"reach"``, the distance of the farthest
            fitted run from the centroid in the first one.
        xp : module
            `pytensor.tensor` or `numpy`.
        """

    def features(self, x: Mapping[str, xr.DataArray], c: Values) -> dict[str, xr.DataArray]:
        """Return further known inputs that the law computes from its own; none by default.

        They join `x` in :meth:`normalised_accuracy`, in a model as data.
        """
        return {}

    def beyond(
        self,
        p: Mapping[str, xr.DataArray],
        x: Mapping[str, xr.DataArray],
        c: Values,
        rng: np.random.Generator,
    ) -> dict[str, xr.DataArray]:
        """Return the parameters, with what the fitted runs cannot have settled drawn.

        A law whose curve goes on at random beyond the fitted range draws that part here.
        """
        return dict(p)

    @abstractmethod
    def textbook(self, p: Values, c: Values, xp: Any) -> dict[str, Array]:
        """Return the constants of the published equation that are not sampled themselves."""


EXPONENT = Parameter(
    "exponent",
    "local exponent: fall of log(−log Q') per unit of log C at the centroid",
    "",
    start=0.15,
)


def below_level(p: Values, xp: Any) -> Array:
    """Bound the irreducible part of −log Q' by the whole of it at the centroid."""
    return p["level"]


IRREDUCIBLE = Parameter(
    "E",
    "irreducible part of −log Q', from label noise and ambiguous items",
    "nats",
    start=0.02,
    upper=below_level,
)


def reducible_exponent(p: Values) -> Array:
    """Return the exponent of −log Q' − E, from that of the whole of −log Q' at the centroid."""
    return p["exponent"] * p["level"] / (p["level"] - p["E"])


class TwoStageLaw(ScalingLaw):
    """A law that goes through a loss: budget to loss, then loss to accuracy.

    Both stages are one law with one set of `parameters`; the second reads the loss from
    ``x["loss"]``, in nats from the mean loss of the fitted runs (``c["loss"]``). `level` is
    −log Q' at that mean loss. A run's own loss scatters round the first stage with standard
    deviation `loss_scatter` in log loss, and that scatter goes on to its accuracy.

    Attributes
    ----------
    loss_parameters : tuple of Parameter
        Those of `parameters` that only the first stage reads.
    """

    loss_parameters: ClassVar[tuple[Parameter, ...]]

    @abstractmethod
    def log_loss(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return the log of the median loss at a budget; arguments as in the second stage."""


LOSS_SCATTER = Parameter(
    "loss_scatter", "sd of a run's log loss round the first stage", "log nats", start=0.01
)


class LogLinearLoss(TwoStageLaw):
    """First stage of the published baselines: log L is linear in log C.

    Sampled by the loss and its exponent at the centroid.
    """

    loss_parameters = (
        Parameter("loss_level", "loss at the centroid of the fitted runs", "nats", start=2.0),
        Parameter("loss_exponent", "exponent of the loss in compute", "", start=0.06),
        LOSS_SCATTER,
    )

    def log_loss(self, p: Values, x: Values, c: Values, xp: Any) -> Array:
        """Return the log of the median loss; see :class:`TwoStageLaw`."""
        return xp.log(p["loss_level"]) - p["loss_exponent"] * x["flops"]

    def loss_constant(self, p: Values, c: Values, xp: Any) -> Array:
        """Return log of the constant B of L = B·C^−loss_exponent."""
        return xp.log(p["loss_level"]) + p["loss_exponent"] * c["flops"]


CEILING_SHARE = Parameter(
    "E",
    "−log of the ceiling of Q' that the sigmoid tends to at small loss",
    "nats",
    start=0.02,
    upper=below_level,
)


def _sigmoid_width(p: Values, x: Values, xp: Any) -> Array:
    """Return how steep a sigmoid is for its slope at the mean loss, which is what runs settle."""
    return -1 / xp.expm1(p["E"] - p["level"])


STEEPNESS = Parameter(
    "steepness", "steepness of the sigmoid in the loss", "1/nats", start=2.0, width=_sigmoid_width
)


def sigmoid_of_loss(p: Values, x: Values, xp: Any) -> Array:
    """Return ceiling·sigmoid(steepness·(midpoint − L)), which is e^−level at the mean loss."""
    return xp.exp(-p["E"]) / (
        1 + xp.expm1(p["level"] - p["E"]) * xp.exp(p["steepness"] * x["loss"])
    )


def sigmoid_midpoint(p: Values, c: Values, xp: Any) -> Array:
    """Return the loss at which the sigmoid is half its ceiling, in nats."""
    return c["loss"] - xp.log(xp.expm1(p["level"] - p["E"])) / p["steepness"]
