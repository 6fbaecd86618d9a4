"""How the scores of runs scatter round the mean curve.

Three kinds of spread are told apart. `scatter` is the standard deviation of a run's true accuracy
round the curve, for a curve at 50% accuracy; away from 50% it shrinks as sqrt(Q (1 − Q)), as the
spread of a beta distribution does. A finite test set of n items adds binomial noise, of variance
Q (1 − Q) / n. All runs answer the same items, so runs on one test set show only a share of that
variance between them, `binomial_share`; on a new test set, a run shows all of it. Rows of one run,
or checkpoints of one training, may share part of their scatter.

Each likelihood is written twice on purpose: in PyMC for sampling, and with SciPy on labelled
arrays for predictions and pointwise densities, which then need no compilation. Tests check that
the two agree.
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
BINOMIAL_SHARE = Parameter(
    "binomial_share",
    "share of the binomial variance that runs on one test set show between them",
    "",
    start=0.5,
)


class Likelihood(ABC):
    """Distribution of observed scores given the mean curve.

    Attributes
    ----------
    name : str
        Name in `models/` and in results.
    parameters : tuple of Parameter
        Sampled parameters. BINOMIAL_SHARE is sampled only where item counts are known.
    needs_items : bool
        Whether the number of test items must be known.
    unit : str
        What is independent: a "row", or a "run" or a "training" where its rows depend on each
        other.
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
        dependent "membership" (unit by row).
        """

    def suited(self, score: xr.DataArray) -> Likelihood:
        """Return the form of this likelihood that can observe these scores."""
        return self

    @abstractmethod
    def log_density(
        self, score: xr.DataArray, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset
    ) -> xr.DataArray:
        """Return the log density (log mass for counts) of each score, by label."""

    @abstractmethod
    def draw(
        self,
        n_items: xr.DataArray,
        mean: xr.DataArray,
        p: xr.Dataset,
        rng: np.random.Generator,
        luck: xr.DataArray | None = None,
    ) -> xr.DataArray:
        """Return one simulated score in [0, 1] for each element of `mean`.

        `luck` is a standard normal number for the unit of each element; see :func:`draw_luck`.
        Without it, and where rows are independent, each element is a unit of its own.
        """


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
        self,
        n_items: xr.DataArray,
        mean: xr.DataArray,
        p: xr.Dataset,
        rng: np.random.Generator,
        luck: xr.DataArray | None = None,
    ) -> xr.DataArray:
        """Draw scores; where n_items is unknown (0), the score on endlessly many items."""
        concentration = _concentration(p["scatter"], np)
        true = xr.apply_ufunc(rng.beta, mean * concentration, (1 - mean) * concentration)
        counted = xr.apply_ufunc(lambda q, n: rng.binomial(n, q), true, n_items.astype(int))
        return xr.where(n_items > 0, counted / n_items.where(n_items > 0, 1), true)


def spread(mean: Any, n_items: Any, p: Mapping[Any, Any] | xr.Dataset, xp: Any) -> Any:
    """Return the sd of a score: noise of n items, scatter of runs, and precision.

    `p` holds "scatter" and, where it is sampled, "binomial_share"; without it the noise is
    binomial.
    """
    share = p.get("binomial_share", 1.0)
    noise = share * (n_items > 0) / xp.maximum(n_items, 1)
    variance = (mean * (1 - mean) + _VARIANCE_AT_EDGE) * (noise + 4 * p["scatter"] ** 2)
    return xp.sqrt(variance + _PRECISION**2)


def common_spread(mean: Any, n_items: Any, p: Mapping[Any, Any], xp: Any) -> tuple[Any, Any]:
    """Return the variance of a score that is its own, and the sd that a run's scores share.

    They add up to :func:`spread`; `p["run_share"]` is the share of the scatter that is common to
    all benchmarks of a run.
    """
    room = mean * (1 - mean) + _VARIANCE_AT_EDGE
    common = 2 * p["scatter"] * xp.sqrt(p["run_share"] * room)
    return spread(mean, n_items, p, xp) ** 2 - common**2, common


class Normal(Likelihood):
    """Normal scatter of the score, censored at 0 and 1."""

    name = "normal"
    parameters = (SCATTER, BINOMIAL_SHARE)

    def observe(self, mean: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Add a `pm.Normal`; see :class:`Likelihood`."""
        sd = spread(mean, data["n_items"], p, pt)
        pm.Normal("score", mean, sd, observed=data["observed_score"], dims="row")

    def suited(self, score: xr.DataArray) -> Likelihood:
        """Return the censored form where a score is 0 or 1.

        Between 0 and 1 the density is the uncensored one, which compiles much faster.
        """
        return _CENSORED if bool(((score <= 0) | (score >= 1)).any()) else self

    def log_density(
        self, score: xr.DataArray, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset
    ) -> xr.DataArray:
        """Return the log density of scores, the log mass at 0 and 1; see :class:`Likelihood`."""
        sd = spread(mean, n_items, p, np)
        return xr.apply_ufunc(_censored_normal, score, mean, sd)

    def draw(
        self,
        n_items: xr.DataArray,
        mean: xr.DataArray,
        p: xr.Dataset,
        rng: np.random.Generator,
        luck: xr.DataArray | None = None,
    ) -> xr.DataArray:
        """Draw scores, cut to [0, 1]; see :class:`Likelihood`."""
        sd = spread(mean, n_items, p, np)
        return xr.apply_ufunc(rng.normal, mean, sd).clip(0, 1)


class _CensoredNormal(Normal):
    """The same likelihood for series with scores of exactly 0 or 1."""

    def observe(self, mean: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Add a censored `pm.Normal`; see :class:`Likelihood`."""
        uncut = pm.Normal.dist(mean, spread(mean, data["n_items"], p, pt))
        seen = data["observed_score"]
        pm.Censored("score", uncut, lower=0.0, upper=1.0, observed=seen, dims="row")


_CENSORED = _CensoredNormal()


def _censored_normal(score: Any, mean: Any, sd: Any) -> Any:
    density = scipy.stats.norm.logpdf(score, mean, sd)
    # The masses take longer than the density, and few series have scores of 0 or 1.
    if (score <= 0).any():
        density = np.where(score <= 0, scipy.stats.norm.logcdf(0.0, mean, sd), density)
    if (score >= 1).any():
        density = np.where(score >= 1, scipy.stats.norm.logsf(1.0, mean, sd), density)
    return density


class StudentT(Likelihood):
    """Student-t scatter of the score: as normal, but a stray run pulls less.

    Scores are not censored. Choose another likelihood where many of them are exactly 0 or 1.
    """

    name = "student_t"
    parameters = (
        SCATTER,
        BINOMIAL_SHARE,
        Parameter("tail", "degrees of freedom of the scatter", "", start=5.0),
    )

    def observe(self, mean: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Add a `pm.StudentT`; see :class:`Likelihood`."""
        sd = spread(mean, data["n_items"], p, pt)
        pm.StudentT(
            "score", nu=p["tail"], mu=mean, sigma=sd, observed=data["observed_score"], dims="row"
        )

    def log_density(
        self, score: xr.DataArray, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset
    ) -> xr.DataArray:
        """Return the log density of each score; see :class:`Likelihood`."""
        sd = spread(mean, n_items, p, np)
        return xr.apply_ufunc(scipy.stats.t.logpdf, score, p["tail"], mean, sd)

    def draw(
        self,
        n_items: xr.DataArray,
        mean: xr.DataArray,
        p: xr.Dataset,
        rng: np.random.Generator,
        luck: xr.DataArray | None = None,
    ) -> xr.DataArray:
        """Draw scores, cut to [0, 1]; see :class:`Likelihood`."""
        sd = spread(mean, n_items, p, np)
        tails = xr.apply_ufunc(rng.standard_t, p["tail"].broadcast_like(mean))
        return (mean + sd * tails).clip(0, 1)


class _Dependent(Likelihood):
    """Normal scatter, part of it common to all rows of a unit.

    The common part is integrated out: within a unit the standardised residuals have the
    correlation that the parameter `share` names. Scores are not censored.
    """

    share: ClassVar[str]

    def observe(self, mean: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Add the density of all rows as one potential; see :class:`Likelihood`."""
        sd = spread(mean, data["n_items"], p, pt)
        r = (data["observed_score"] - mean) / sd
        member = data["membership"]
        rows, sums, squares = member.sum(axis=1), member.dot(r), member.dot(r**2)
        density = _equicorrelated(rows, sums, squares, p[self.share], pt)
        pm.Potential("score", density.sum() - pt.log(sd).sum())

    def log_density(
        self, score: xr.DataArray, n_items: xr.DataArray, mean: xr.DataArray, p: xr.Dataset
    ) -> xr.DataArray:
        """Return the joint log density of each unit's rows; see :class:`Likelihood`."""
        sd = spread(mean, n_items, p, np)
        r = (score - mean) / sd
        rows = xr.ones_like(score).groupby(self.unit).sum()
        sums, squares = r.groupby(self.unit).sum("row"), (r**2).groupby(self.unit).sum("row")
        density = _equicorrelated(rows, sums, squares, p[self.share], np)
        return density - np.log(sd).groupby(self.unit).sum("row")

    def draw(
        self,
        n_items: xr.DataArray,
        mean: xr.DataArray,
        p: xr.Dataset,
        rng: np.random.Generator,
        luck: xr.DataArray | None = None,
    ) -> xr.DataArray:
        """Draw scores, cut to [0, 1]; see :class:`Likelihood`."""
        own = mean.copy(data=rng.standard_normal(mean.shape))
        if luck is not None:
            own = p[self.share] ** 0.5 * luck + (1 - p[self.share]) ** 0.5 * own
        score = mean + spread(mean, n_items, p, np) * own
        return score.transpose(*mean.dims, ...).clip(0, 1)


class NormalByRun(_Dependent):
    """Normal scatter, part of it common to all rows of a run.

    The pass@1, pass@2, ... of a run come from the same samples and rise and fall together. If
    they were taken as independent, one run would count many times.
    """

    name = "normal_by_run"
    share = "run_share"
    parameters = (
        SCATTER,
        BINOMIAL_SHARE,
        Parameter(share, "share of the scatter's variance common to a run's rows", "", 0.5),
    )
    unit = "run"


class NormalByTraining(_Dependent):
    """Normal scatter, part of it common to all checkpoints of a training.

    The checkpoints of one training share its data order and seed, so they are not as many
    witnesses as there are rows.
    """

    name = "normal_by_training"
    share = "training_share"
    parameters = (
        SCATTER,
        BINOMIAL_SHARE,
        Parameter(share, "share of the scatter's variance common to a training's rows", "", 0.5),
    )
    unit = "training"


def draw_luck(units: xr.DataArray, like: xr.DataArray, rng: np.random.Generator) -> xr.DataArray:
    """Return a standard normal number for each unit and draw, laid out by row.

    Parameters
    ----------
    units : xarray.DataArray
        Name of each row's unit, one dimension.
    like : xarray.DataArray
        Draws by row; its dimensions are those of the result.
    rng : numpy.random.Generator
    """
    names, place = np.unique(units.to_numpy(), return_inverse=True)
    (dim,) = units.dims
    shape = [size for name, size in like.sizes.items() if name != dim]
    values = rng.standard_normal((*shape, names.size))[..., place]
    draws = [name for name in like.dims if name != dim]
    return xr.DataArray(values, dims=(*draws, dim)).transpose(*like.dims)


def _equicorrelated(rows: Any, sums: Any, squares: Any, share: Any, xp: Any) -> Any:
    """Return the log density of `rows` standard normals with mutual correlation `share`."""
    own, common = 1 - share, 1 - share + rows * share
    quadratic = (squares - share * sums**2 / common) / own
    log_determinant = (rows - 1) * xp.log(own) + xp.log(common)
    return -0.5 * (quadratic + log_determinant + rows * np.log(2 * np.pi))


LIKELIHOODS: dict[str, Likelihood] = {
    likelihood.name: likelihood
    for likelihood in (Normal(), StudentT(), NormalByRun(), NormalByTraining(), BetaBinomial())
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
