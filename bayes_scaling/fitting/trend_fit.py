"""TrendFit: the posterior of a benchmark's trend in a validation loss."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import xarray as xr

from bayes_scaling.inference.diagnostics import Diagnostics
from bayes_scaling.inference.samplers import sample
from bayes_scaling.modelling.likelihoods import spread
from bayes_scaling.modelling.trend_model import BoundTrend, TrendModel
from bayes_scaling.runs import Runs

# Draws of the coefficients that are kept, evenly spaced: enough for probabilities to 2 points.
_KEPT = 500
# Two chains of this many draws mostly pass the limits of convergence at the first attempt.
USUAL = {"draws": 1000, "tune": 400, "chains": 2}


@dataclass(frozen=True, repr=False)
class TrendFit:
    """A posterior of a trend.

    Make one with :func:`fit_trend`.

    Attributes
    ----------
    bound : BoundTrend
        The model, bound to the runs of one benchmark.
    draws : xarray.Dataset
        Draws of all parameters and of the coefficients of the curve, dimension sample.
    diagnostics : Diagnostics
        Whether the draws can be trusted.
    """

    bound: BoundTrend
    draws: xr.Dataset
    diagnostics: Diagnostics

    def __repr__(self) -> str:
        problems = self.diagnostics.problems()
        end = f"NOT CONVERGED: {'; '.join(problems)}" if problems else "converged"
        return f"<TrendFit {repr(self.bound)[1:-1]}: {end}>"

    def curve(self, loss: xr.DataArray) -> xr.DataArray:
        """Return the accuracy of the curve at losses in nats, dimensions sample and that of loss.

        Offsets of mixtures are left out. Outside the range of the runs' losses it extrapolates.
        """
        places = loss.copy(data=self.bound.scale.places(loss.to_numpy()))
        return self.bound.curve(self.draws, places).transpose("sample", *loss.dims)

    def offsets(self) -> xr.DataArray:
        """Return what each mixture adds to the curve, dimensions sample and mixture."""
        if "offsets" in self.draws:
            return self.draws["offsets"]
        size = (self.draws.sizes["sample"], 1)
        return xr.DataArray(np.zeros(size), {"mixture": self.bound.mixtures}, ("sample", "mixture"))

    def variances(self) -> xr.Dataset:
        """Return the variance between runs by source, dimension sample.

        `trend` is that of the curve at the runs' losses, `scatter` what runs differ by beyond it
        and beyond item noise, and `items` the item noise.
        """
        seen = self.bound.observations
        mean = self.curve(seen["loss"])
        inside = mean.clip(0, 1)
        everything = spread(inside, seen["n_items"], self.draws, np) ** 2
        endless = xr.zeros_like(seen["n_items"])
        scatter = spread(inside, endless, self.draws, np) ** 2
        return xr.Dataset(
            {
                "trend": mean.var("row"),
                "scatter": scatter.mean("row"),
                "items": (everything - scatter).mean("row"),
            }
        )

    def to_tree(self) -> dict[str, xr.Dataset]:
        """Return the fit as datasets, for a file."""
        attrs = {"model": json.dumps(self.bound.model.to_dict())}
        diagnostics = {k: float(v) for k, v in self.diagnostics.to_dict().items()}
        return {
            "draws": self.draws.astype("float32"),
            "observations": self.bound.observations,
            "about": xr.Dataset(attrs=attrs | {"diagnostics": json.dumps(diagnostics)}),
        }

    @classmethod
    def from_tree(cls, tree: Any) -> Self:
        """Return the fit that :meth:`to_tree` described, from the node of a tree."""
        about = tree["about"].attrs
        model = TrendModel.from_dict(json.loads(about["model"]))
        numbers = json.loads(about["diagnostics"])
        diagnostics = Diagnostics(**numbers | {"divergences": int(numbers["divergences"])})
        observations, draws = (tree[name].to_dataset() for name in ("observations", "draws"))
        return cls(BoundTrend(model, observations), draws, diagnostics)


def fit_trend(
    runs: Runs, loss: str, model: TrendModel | None = None, *, seed: int = 0, **settings: Any
) -> TrendFit:
    """Fit the trend of one benchmark in a validation loss.

    Parameters
    ----------
    runs : Runs
        One benchmark and metric, any mixtures.
    loss : str
        Column of the validation loss, in nats.
    model : TrendModel, optional
        By default with the priors of `models/trend.toml`.
    seed : int
        Seed of the draws.
    **settings
        sampler, draws, tune, chains and cores of
        :func:`bayes_scaling.inference.samplers.sample`.

    Returns
    -------
    TrendFit

    Raises
    ------
    ModelError
        If there are too few runs, a loss is missing, or losses or scores are all equal.

    Examples
    --------
    >>> from bayes_scaling import load_dataset
    >>> runs = load_dataset(mixture="dclm").select("sciq", "acc", tokens_per_param=20)
    >>> fit = fit_trend(runs, "loss_c4")
    >>> float(fit.draws["rise"].mean()) > 0
    True
    """
    bound = (model or TrendModel()).on(runs, loss)
    samples = sample(bound, seed=seed, **USUAL | settings)
    whole = bound.coefficients(samples.posterior, np.random.default_rng(seed))
    flat = whole.stack(sample=("chain", "draw")).drop_vars(("sample", "chain", "draw"))
    kept = np.linspace(0, flat.sizes["sample"] - 1, min(_KEPT, flat.sizes["sample"])).astype(int)
    return TrendFit(bound, flat.isel(sample=kept), samples.diagnostics)
