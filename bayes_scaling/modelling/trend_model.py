"""TrendModel: accuracy of one benchmark against a validation loss, and the same bound to runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from numpy.typing import NDArray
from pymc_extras.prior import Prior

from bayes_scaling.errors import ModelError
from bayes_scaling.laws import Parameter
from bayes_scaling.laws._reverting import BENDS, KNOT
from bayes_scaling.laws._trend import LossScale, bend_basis, straight
from bayes_scaling.modelling.defaults import trend_defaults
from bayes_scaling.modelling.likelihoods import BINOMIAL_SHARE, SCATTER, spread
from bayes_scaling.modelling.observations import check_loss, choose_loss
from bayes_scaling.modelling.priors import (
    check_names,
    check_prior,
    create_variable,
    hyperparameters,
    structure_of,
)
from bayes_scaling.runs import Runs

# Below this many runs every behaviour is as likely after the data as before.
FEWEST_RUNS = 5
_EACH = {"mixture": 1}
# Runs whose mean score says how large the item noise of a score is.
_NEIGHBOURS = 5
# The curve is linear in these; their priors stay normal.
_INTEGRATED = ("level", "rise", "bends", "offsets")

TREND_PARAMETERS = (
    Parameter("level", "accuracy of the line at the middle of the losses", "accuracy", 0.5),
    Parameter("rise", "change of the line from the largest to the smallest loss", "accuracy", 0.1),
    Parameter("bend", "sd of the local slope over half of the range", "accuracy", 0.05),
    Parameter("bends", "bends of the curve, in standard units", "", 0.0, dims={KNOT: 1}),
    Parameter("offset_sd", "sd of mixtures round the curve", "accuracy", 0.01),
    Parameter("offsets", "mixtures round the curve, in standard units", "", 0.0, dims=_EACH),
    SCATTER,
    BINOMIAL_SHARE,
)


@dataclass(frozen=True, repr=False)
class TrendModel:
    """Accuracy of a benchmark as a flexible curve in a validation loss.

    The curve is a straight line in e^−loss plus bends: the integral of an Ornstein-Uhlenbeck
    process less its straight line. Runs of several mixtures share the curve, and each mixture
    has an offset. Scores scatter round it as in every model: scatter of runs and item noise.

    Parameters
    ----------
    priors : mapping of str to pymc_extras.prior.Prior, optional
        Priors in place of those of `models/trend.toml`.

    Raises
    ------
    ModelError
        If a prior belongs to no parameter, or cannot be honoured.

    Examples
    --------
    >>> from bayes_scaling import load_dataset
    >>> runs = load_dataset(mixture="dclm").select("sciq", "acc", tokens_per_param=20)
    >>> TrendModel().on(runs, "loss_c4")
    <BoundTrend of sciq in loss_c4: 54 runs of 1 mixture>
    """

    priors: Mapping[str, Prior] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {p.name: p for p in TREND_PARAMETERS}
        check_names(self.priors, known, "a trend")
        object.__setattr__(self, "priors", trend_defaults()[0] | dict(self.priors))
        for name, parameter in known.items():
            check_prior(parameter, self.priors[name], bounded=False)
        for name in _INTEGRATED:
            _check_normal(name, self.priors[name])

    def on(self, runs: Runs, loss: str) -> BoundTrend:
        """Return the model bound to the runs of one benchmark, of any mixtures.

        Raises
        ------
        ModelError
            If there are too few runs, a loss is missing, or losses or scores are all equal.
        """
        return BoundTrend(self, observe_trend(runs, loss))

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain numbers and text."""
        return {"priors": {name: prior.to_dict() for name, prior in self.priors.items()}}

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> Self:
        """Return the model that :meth:`to_dict` described."""
        return cls({name: Prior.from_dict(prior) for name, prior in spec["priors"].items()})


def _check_normal(name: str, prior: Prior) -> None:
    if prior.distribution != "Normal" or any(
        isinstance(value, Prior) for value in prior.parameters.values()
    ):
        raise ModelError(f"prior of {name!r}: a trend takes a Normal of plain numbers, not {prior}")


def observe_trend(runs: Runs, loss: str) -> xr.Dataset:
    """Return one benchmark as a trend sees it.

    Parameters
    ----------
    runs : Runs
        One benchmark and metric, any mixtures.
    loss : str
        Column of the validation loss.

    Returns
    -------
    xarray.Dataset
        Dimension row, labelled by run: `score`, `n_items` (0 where unknown), `loss` in nats and
        `mixture`.

    Raises
    ------
    ModelError
        If there are too few runs, a loss is missing, or losses or scores are all equal.
    """
    table = runs.table
    where = f"{table['benchmark'].iloc[0]} ({table['metric'].iloc[0]})"
    loss = choose_loss(runs, loss)
    check_loss(runs, "a trend", loss)
    n = table["run"].nunique()
    if n < FEWEST_RUNS:
        raise ModelError(f"{where}: a trend needs at least {FEWEST_RUNS} runs; there are {n}")
    for name in (loss, "score"):
        if table[name].nunique() < 2:
            raise ModelError(f"{where}: every {name} is {table[name].iloc[0]:g}")
    return xr.Dataset(
        {
            "score": ("row", table["score"].to_numpy(float)),
            "n_items": ("row", table["n_items"].fillna(0).to_numpy(float)),
            "loss": ("row", table[loss].to_numpy(float)),
        },
        coords={
            "row": table["run"].to_numpy(str),
            "mixture": ("row", table["mixture"].to_numpy(str)),
        },
        attrs={"benchmark": str(table["benchmark"].iloc[0]), "column": loss},
    )


@dataclass(frozen=True, repr=False)
class BoundTrend:
    """A trend bound to the runs of one benchmark.

    The curve is linear in level, rise, bends and offsets, whose priors are normal. So they are
    integrated out of the density that is sampled, and :meth:`coefficients` draws them afterwards.

    Make one with :meth:`TrendModel.on`.

    Attributes
    ----------
    model : TrendModel
        The model.
    observations : xarray.Dataset
        What it sees; see :func:`observe_trend`.
    """

    model: TrendModel
    observations: xr.Dataset
    hierarchical: ClassVar[bool] = True  # see Target

    def __repr__(self) -> str:
        seen, n = self.observations, len(self.mixtures)
        mixtures = f"{n} mixture{'s' * (n > 1)}"
        of = f"{seen.attrs['benchmark']} in {seen.attrs['column']}"
        return f"<BoundTrend of {of}: {seen.sizes['row']} runs of {mixtures}>"

    @property
    def mixtures(self) -> list[str]:
        """Names of the mixtures."""
        return sorted(set(self.observations["mixture"].to_numpy().tolist()))

    @property
    def scale(self) -> LossScale:
        """Places on the range of the runs' losses."""
        return LossScale.of(self.observations["loss"].to_numpy())

    @property
    def _sampled(self) -> tuple[str, ...]:
        several = len(self.mixtures) > 1
        return ("scatter", "binomial_share", "bend", *(("offset_sd",) if several else ()))

    def curve(self, coefficients: xr.Dataset, places: xr.DataArray) -> xr.DataArray:
        """Return the accuracy of the curve at places, without offsets of mixtures."""
        (dim,) = places.dims
        basis = xr.DataArray(bend_basis(places.to_numpy()), dims=(dim, KNOT))
        bends = xr.dot(basis, coefficients["bends"], dim=KNOT)
        return straight(coefficients, places) + coefficients["bend"] * bends

    def coefficients(self, posterior: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
        """Return the draws with level, rise, bends and offsets, drawn given the others."""
        draws = posterior[list(self._sampled)].transpose("chain", "draw")
        given = {name: draws[name].to_numpy()[..., None] for name in self._sampled}
        data = {name: values.to_numpy() for name, values in self.observed().items()}
        root, residual = _whitened(self._design(given, data, np), given, data, np)
        precision = np.eye(root.shape[-1]) + np.swapaxes(root, -1, -2) @ root
        lower = np.linalg.cholesky(precision)
        pull = np.swapaxes(root, -1, -2) @ residual[..., None]
        noise = rng.standard_normal(pull.shape)
        # With precision = lower·lowerᵀ, this adds noise of covariance precision⁻¹ to the mean.
        shift = np.linalg.solve(lower, pull) + noise
        found = np.linalg.solve(np.swapaxes(lower, -1, -2), shift)[..., 0]
        level, rise = (self.model.priors[name].parameters for name in ("level", "rise"))
        result = draws.assign(
            level=(("chain", "draw"), level["mu"] + level["sigma"] * found[..., 0]),
            rise=(("chain", "draw"), rise["mu"] + rise["sigma"] * found[..., 1]),
            bends=(("chain", "draw", KNOT), found[..., 2 : 2 + BENDS]),
        )
        if len(self.mixtures) == 1:
            return result
        offsets = given["offset_sd"] * found[..., 2 + BENDS :]
        result["offsets"] = (("chain", "draw", "mixture"), offsets)
        return result.assign_coords(mixture=self.mixtures)

    def _design(self, p: Mapping[str, Any], data: Mapping[str, Any], xp: Any) -> Any:
        """Return what a standard normal number of each coefficient adds to each score."""
        level, rise = (self.model.priors[name].parameters["sigma"] for name in ("level", "rise"))
        straight_part = data["straight"] * np.array([level, rise])
        parts = [straight_part, p["bend"][..., None] * data["basis"]]
        if "offset_sd" in p:
            parts.append(p["offset_sd"][..., None] * data["membership"])
        if xp is np:
            whole = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
            parts = [np.broadcast_to(part, (*whole, part.shape[-1])) for part in parts]
        return xp.concatenate(parts, axis=-1)

    # ---- PyMC --------------------------------------------------------------------------------

    def structure(self) -> tuple[Any, ...]:
        """Return what machine code depends on: the number of mixtures, and families of priors."""
        families = tuple((name, structure_of(self.model.priors[name])) for name in self._sampled)
        normal = tuple(
            tuple(sorted(self.model.priors[name].parameters.items())) for name in ("level", "rise")
        )
        return ("trend", len(self.mixtures), families, normal)

    def data(self) -> dict[str, Any]:
        """Return a value for each `pm.Data` of the model."""
        found = {name: values.to_numpy() for name, values in self.observed().items()}
        for name in self._sampled:
            found |= hyperparameters(name, self.model.priors[name])
        return found

    def starts(self) -> dict[str, Any]:
        """Return where chains start."""
        return {p.name: p.start for p in TREND_PARAMETERS if p.name in self._sampled}

    def observed(self) -> dict[str, xr.DataArray]:
        """Return every number that the model sees, by the name of its `pm.Data`."""
        seen = self.observations
        places = self.scale.places(seen["loss"].to_numpy())
        line = np.column_stack([np.ones_like(places), places / 2])
        level, rise = (self.model.priors[name].parameters["mu"] for name in ("level", "rise"))
        found = {
            "straight": xr.DataArray(line, dims=("row", "part")),
            "basis": xr.DataArray(bend_basis(places), dims=("row", KNOT)),
            "residual": seen["score"] - line @ np.array([level, rise]),
            "local_mean": xr.DataArray(_local_mean(places, seen["score"].to_numpy()), dims="row"),
            "n_items": seen["n_items"],
        }
        if len(self.mixtures) > 1:
            membership = seen["mixture"] == xr.DataArray(self.mixtures, dims="group")
            found["membership"] = membership.transpose("row", "group") * 1.0
        return found

    @cached_property
    def pymc(self) -> pm.Model:
        """The PyMC model, coefficients integrated out; all numbers are `pm.Data`."""
        starts = self.starts()
        coords: dict[str, Any] = {
            "row": self.observations["row"].to_numpy(),
            KNOT: np.arange(BENDS),
        }
        coords |= {"part": ["level", "rise"], "group": self.mixtures}
        with pm.Model(coords=coords) as model:
            data = {
                name: pm.Data(name, value.to_numpy(), dims=tuple(map(str, value.dims)))
                for name, value in self.observed().items()
            }
            p = {
                name: create_variable(name, self.model.priors[name], start=starts[name])
                for name in self._sampled
            }
            root, residual = _whitened(self._design(p, data, pt), p, data, pt)
            size = 2 + BENDS + (len(self.mixtures) if "offset_sd" in p else 0)
            lower = pt.linalg.cholesky(pt.eye(size) + root.T @ root)
            pull = pt.linalg.solve_triangular(lower, root.T @ residual, lower=True)
            sd = spread(data["local_mean"], data["n_items"], p, pt)
            pm.Potential(
                "score",
                0.5 * ((pull**2).sum() - (residual**2).sum())
                - pt.log(sd).sum()
                - pt.log(pt.diagonal(lower)).sum(),
            )
        return model


def _whitened(design: Any, p: Mapping[str, Any], data: Mapping[str, Any], xp: Any) -> Any:
    """Return design and residual in units of the sd of each score."""
    sd = spread(data["local_mean"], data["n_items"], p, xp)
    return design / sd[..., None], data["residual"] / sd


def _local_mean(places: NDArray[np.float64], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each run the mean score of the runs of nearest loss: its item noise is of that.

    Noise of the score itself would make low scores look precise.
    """
    nearest = np.argsort(np.abs(places[:, None] - places), axis=1)[:, :_NEIGHBOURS]
    return np.asarray(score[nearest].mean(axis=1).clip(0, 1))
