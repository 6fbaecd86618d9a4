"""How the scores of runs scatter round the mean curve.

Every likelihood measures scatter on one readable scale: `scatter` is the standard deviation
of a run's true accuracy round the curve, for a curve at 50% accuracy; away from 50% it
shrinks as sqrt(Q (1 − Q)), as the spread of a beta distribution does. The binomial noise of a
finite test set is added to it; that noise is known and not estimated.

Each is written twice on purpose: in PyMC for sampling, and with SciPy on labelled arrays for
predictions and pointwise densities, which then need no compilation. Tests check that the two
agree.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import scipy.stats
import xarray as xr

from bayes_scaling.errors import ModelError
from bayes_scaling.laws import Parameter

# Added to Q (1 − Q) in the variance of a score: a curve at 0 must leave room for one right answer
# of a small test set.
_VARIANCE_AT_EDGE = 1e-3
# Smallest sd of a score, a twentieth of a point. Any curve near 0 meets scores of exactly 0, so
# without this sd several such scores would say that runs do not scatter at all.
_PRECISION = 5e-4
# A scatter of a hundredth of a point is negligible beside the binomial noise of any test set. A
# smaller one gives log Gamma arguments so large that rounding errors look like density.
_LEAST_SCATTER = 1e-4

SCATTER = Parameter(
    "scatter",
    "sd of a run's true accuracy round the curve, at 50% accuracy",
    "accuracy",
    start=0.01,
)


class Likelihood(ABC):
    """Distribution of observed scores given the mean curve.

    Attributes
    ----------
    name : str
        Name in `models/` and in results.
    parameters : tuple of Parameter
        Sampled parameters.
    needs_items : bool
        Whether the number of test items must be known.
    unit : str
        Dimension along which observations are independent: "row", or "run" where the rows of
        one run depend on each other.
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]] = (SCATTER,)
    needs_items: ClassVar[bool] = False
    unit: ClassVar[str] = "row"

    @abstractmethod
    def observe(self, mean: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Add the observed scores to the PyMC model on the stack.

        `data` holds "observed_score" and "n_items" (0 where unknown). For counts it also holds
        "n_correct" and "log_ways" (log binomial coefficients), and where a run's rows are
        dependent "membership" (run by row).
        """

    @abstractmethod
    def log_density(
        self, score: xr.DataArray, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset
    ) -> xr.DataArray:
        """Return the log density (log mass for counts) of each score, by label."""

    @abstractmethod
    def draw(
        self, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset, rng: np.random.Generator
    ) -> xr.DataArray:
        """Return one simulated score in [0, 1] for each element of `mean`."""


def _concentration(scatter: Any, xp: Any) -> Any:
    """Return the sum of both parameters of the beta distribution of a run's true accuracy."""
    return 0.25 / xp.maximum(scatter, _LEAST_SCATTER) ** 2


def _beta_binomial(mean: Any, concentration: Any, n_items: Any, _: Any, size: Any) -> Any:
    """Return the distribution itself."""
    alpha, beta = mean * concentration, (1 - mean) * concentration
    return pm.BetaBinomial.dist(n=n_items, alpha=alpha, beta=beta, size=size)


def _log_mass(correct: Any, mean: Any, concentration: Any, n_items: Any, log_ways: Any) -> Any:
    """Return its log mass with few special functions: they take most of the time of a fit."""
    alpha, beta, wrong = mean * concentration, (1 - mean) * concentration, n_items - correct
    return (
        log_ways
        + pt.gammaln(alpha + correct)
        - pt.gammaln(alpha)
        + pt.gammaln(beta + wrong)
        - pt.gammaln(beta)
        - pt.gammaln(concentration + n_items)
        + pt.gammaln(concentration)
    )


class BetaBinomial(Likelihood):
    """k correct of n items; the run's true accuracy has a beta distribution round the curve."""

    name = "beta_binomial"
    needs_items = True

    def observe(self, mean: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Add a beta-binomial; see :class:`Likelihood`."""
        pm.CustomDist(
            "score",
            mean,
            _concentration(p["scatter"], pt),
            data["n_items"],
            data["log_ways"],
            dist=_beta_binomial,
            logp=_log_mass,
            observed=data["n_correct"],
            dims="row",
        )

    def log_density(
        self, score: xr.DataArray, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset
    ) -> xr.DataArray:
        """Return the log mass of the counts; see :class:`Likelihood`."""
        concentration = _concentration(p["scatter"], np)
        return xr.apply_ufunc(
            scipy.stats.betabinom.logpmf,
            np.round(score * n_items),
            n_items,
            mean * concentration,
            (1 - mean) * concentration,
        )

    def draw(
        self, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset, rng: np.random.Generator
    ) -> xr.DataArray:
        """Draw scores; where n_items is unknown (0), the score on endlessly many items."""
        concentration = _concentration(p["scatter"], np)
        true = xr.apply_ufunc(rng.beta, mean * concentration, (1 - mean) * concentration)
        counted = xr.apply_ufunc(rng.binomial, n_items.astype(int), true)
        return xr.where(n_items > 0, counted / n_items.where(n_items > 0, 1), true)


def spread(mean: Any, n_items: Any, scatter: Any, xp: Any) -> Any:
    """Return the sd of a score: binomial noise of n items, scatter of runs, and precision."""
    noise = (n_items > 0) / xp.maximum(n_items, 1)
    variance = (mean * (1 - mean) + _VARIANCE_AT_EDGE) * (noise + 4 * scatter**2)
    return xp.sqrt(variance + _PRECISION**2)


class Normal(Likelihood):
    """Normal scatter of the score, with the binomial part of its variance known."""

    name = "normal"

    def observe(self, mean: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Add a `pm.Normal`; see :class:`Likelihood`."""
        sd = spread(mean, data["n_items"], p["scatter"], pt)
        pm.Normal("score", mean, sd, observed=data["observed_score"], dims="row")

    def log_density(
        self, score: xr.DataArray, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset
    ) -> xr.DataArray:
        """Return the log density of each score; see :class:`Likelihood`."""
        sd = spread(mean, n_items, p["scatter"], np)
        return xr.apply_ufunc(scipy.stats.norm.logpdf, score, mean, sd)

    def draw(
        self, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset, rng: np.random.Generator
    ) -> xr.DataArray:
        """Draw scores, cut to [0, 1]; see :class:`Likelihood`."""
        sd = spread(mean, n_items, p["scatter"], np)
        return xr.apply_ufunc(rng.normal, mean, sd).clip(0, 1)


class StudentT(Likelihood):
    """Student-t scatter of the score: as normal, but a stray run pulls less."""

    name = "student_t"
    parameters = (SCATTER, Parameter("tail", "degrees of freedom of the scatter", "", start=5.0))

    def observe(self, mean: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Add a `pm.StudentT`; see :class:`Likelihood`."""
        sd = spread(mean, data["n_items"], p["scatter"], pt)
        pm.StudentT(
            "score", nu=p["tail"], mu=mean, sigma=sd, observed=data["observed_score"], dims="row"
        )

    def log_density(
        self, score: xr.DataArray, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset
    ) -> xr.DataArray:
        """Return the log density of each score; see :class:`Likelihood`."""
        sd = spread(mean, n_items, p["scatter"], np)
        return xr.apply_ufunc(scipy.stats.t.logpdf, score, p["tail"], mean, sd)

    def draw(
        self, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset, rng: np.random.Generator
    ) -> xr.DataArray:
        """Draw scores, cut to [0, 1]; see :class:`Likelihood`."""
        sd = spread(mean, n_items, p["scatter"], np)
        tails = xr.apply_ufunc(rng.standard_t, p["tail"].broadcast_like(mean))
        return (mean + sd * tails).clip(0, 1)


class NormalByRun(Likelihood):
    """Normal scatter, part of it common to all rows of a run.

    The pass@1, pass@2, ... of a run come from the same samples and rise and fall together. If
    they were taken as independent, one run would count many times. The scatter shared by a
    run's rows is integrated out: within a run the standardised residuals have correlation
    `run_share`.
    """

    name = "normal_by_run"
    parameters = (
        SCATTER,
        Parameter("run_share", "share of the scatter's variance common to a run's rows", "", 0.5),
    )
    unit = "run"

    def observe(self, mean: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Add the density of all rows as one potential; see :class:`Likelihood`."""
        sd = spread(mean, data["n_items"], p["scatter"], pt)
        r = (data["observed_score"] - mean) / sd
        member = data["membership"]
        rows, sums, squares = member.sum(axis=1), member.dot(r), member.dot(r**2)
        density = _equicorrelated(rows, sums, squares, p["run_share"], pt)
        pm.Potential("score", density.sum() - pt.log(sd).sum())

    def log_density(
        self, score: xr.DataArray, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset
    ) -> xr.DataArray:
        """Return the joint log density of each run's rows; see :class:`Likelihood`."""
        sd = spread(mean, n_items, p["scatter"], np)
        r = ((score - mean) / sd).groupby("run")
        rows = xr.ones_like(score).groupby("run").sum()
        density = _equicorrelated(
            rows,
            r.sum("row"),
            (((score - mean) / sd) ** 2).groupby("run").sum("row"),
            p["run_share"],
            np,
        )
        return density - np.log(sd).groupby("run").sum("row")

    def draw(
        self, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset, rng: np.random.Generator
    ) -> xr.DataArray:
        """Draw scores, cut to [0, 1]; each element is a run of its own."""
        return Normal().draw(n_items, mean, p, rng)


def _equicorrelated(rows: Any, sums: Any, squares: Any, share: Any, xp: Any) -> Any:
    """Return the log density of `rows` standard normals with mutual correlation `share`."""
    own, common = 1 - share, 1 - share + rows * share
    quadratic = (squares - share * sums**2 / common) / own
    log_determinant = (rows - 1) * xp.log(own) + xp.log(common)
    return -0.5 * (quadratic + log_determinant + rows * np.log(2 * np.pi))


LIKELIHOODS: dict[str, Likelihood] = {
    likelihood.name: likelihood
    for likelihood in (BetaBinomial(), Normal(), StudentT(), NormalByRun())
}

# Every parameter that some likelihood has, without repeats.
SCATTER_PARAMETERS = tuple(
    dict.fromkeys(p for likelihood in LIKELIHOODS.values() for p in likelihood.parameters)
)


def get_likelihood(name: str) -> Likelihood:
    """Return the likelihood called `name`; a ModelError lists the names."""
    if name not in LIKELIHOODS:
        raise ModelError(f"no likelihood {name!r}. Likelihoods: {', '.join(LIKELIHOODS)}")
    return LIKELIHOODS[name]
