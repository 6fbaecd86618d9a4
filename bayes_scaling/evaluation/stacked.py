"""StackedFit: fits of one series, weighted, as one forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_scaling.errors import ModelError
from bayes_scaling.fitting.fit import Fit
from bayes_scaling.fitting.forecasts import generator
from bayes_scaling.fitting.questions import Forecaster
from bayes_scaling.runs import BudgetLike, Budgets, Runs


@dataclass(frozen=True)
class StackedFit(Forecaster):
    """Fits of one series by several models, whose forecasts are mixed by weights.

    Attributes
    ----------
    fits : mapping of str to Fit
        The fits by name.
    weights : mapping of str to float
        Weight of each, taken relative to their sum. For larger runs take those of
        :func:`bayes_scaling.backtest`, which come from past forecasts.

    Raises
    ------
    ModelError
        If a weight has no fit, is negative, or all are 0; if fits are of different series, or
        have different numbers of draws.

    Examples
    --------
    >>> from bayes_scaling import fit_runs, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> fits = {law: fit_runs(runs.below(6e21), law) for law in ("power_law", "power_law_ceiling")}
    >>> stacked = StackedFit(fits, {"power_law": 1, "power_law_ceiling": 3})
    >>> stacked.forecast(flops=1e23)["score"].dims
    ('chain', 'draw', 'budget')
    """

    fits: Mapping[str, Fit]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        unknown = set(self.weights) - set(self.fits)
        if unknown:
            raise ModelError(f"no fit for the weight of {', '.join(sorted(unknown))}")
        if min(self.weights.values(), default=0) < 0 or not self._used:
            raise ModelError("weights should be 0 or more, and one of them above 0")
        seen = {_series(self.fits[name]) for name in self._used}
        if len(seen) > 1:
            raise ModelError(f"fits of different series: {'; '.join(sorted(seen))}")
        if len({_draws(self.fits[name]) for name in self._used}) > 1:
            raise ModelError("fits have different numbers of chains or draws; make them alike")

    @property
    def _used(self) -> dict[str, float]:
        return {name: weight for name, weight in self.weights.items() if weight > 0}

    @property
    def runs(self) -> Runs:
        """The fitted runs."""
        return self.fits[next(iter(self._used))].runs

    def forecast(
        self,
        budgets: Budgets | None = None,
        /,
        *,
        seed: int | None = None,
        **asked: BudgetLike | None,
    ) -> xr.Dataset:
        """Return the mixture of the fits' forecasts; see :meth:`Fit.forecast`."""
        given = Budgets.of(budgets, **asked)  # type: ignore[arg-type]
        read = {column for fit in self.fits.values() for column in fit.model.law.columns}
        forecasts = {}
        for name in self._used:
            # A covariate that only another law reads is no mistake here.
            others = read - set(self.fits[name].model.law.columns)
            forecasts[name] = self.fits[name].forecast(given.without(others), seed=seed)
        return mix(forecasts, self._used, seed or 0)


def _draws(fit: Fit) -> tuple[int, int]:
    return fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]


def _series(fit: Fit) -> str:
    seen = fit.observations.attrs
    largest = fit.runs.table["flops"].max()
    return f"{seen['benchmark']} {seen['metric']} on {seen['mixture']} up to {largest:.3g} FLOPs"


def mix(
    forecasts: Mapping[str, xr.Dataset], weights: Mapping[str, float], seed: int = 0
) -> xr.Dataset:
    """Return the mixture of forecasts at the same budgets.

    Parameters
    ----------
    forecasts : mapping of str to xarray.Dataset
        Forecasts with the same dimensions (chain, draw, budget).
    weights : mapping of str to float
        Weight of each; they are taken relative to their sum.
    seed : int
        Seed of the choice of a forecast for each draw.

    Returns
    -------
    xarray.Dataset
        A forecast whose draws come from each model as often as its weight says.
    """
    names = list(forecasts)
    first = forecasts[names[0]]
    shares = np.array([weights[name] for name in names], float)
    shape = (first.sizes["chain"], first.sizes["draw"])
    rng = generator(b"mix", seed)
    chosen = xr.DataArray(
        rng.choice(len(names), size=shape, p=shares / shares.sum()), dims=("chain", "draw")
    )
    mixed = first.copy()
    for place, name in enumerate(names[1:], start=1):
        for variable in ("curve", "score"):
            mixed[variable] = mixed[variable].where(chosen != place, forecasts[name][variable])
    return mixed
