"""Fits that take no sampling, to try what is done with fits: stored, resumed, sent to workers."""

import time

import numpy as np
import xarray as xr

from bayes_scaling.fitting import fit as fitting
from bayes_scaling.inference.diagnostics import Diagnostics


def install(seconds=0.0, patch=setattr):
    """Replace the sampler behind `FitStore` by random numbers of the fit's seed.

    Such fits have never converged, by diagnostics that cost nothing but tell fits apart.
    """

    def fit_runs(runs, model, *, draws, tune, chains, seed, cores=None):
        bound = model.on(runs)
        time.sleep(seconds)
        dims, rng = ("chain", "draw"), np.random.default_rng(seed)
        posterior = xr.Dataset({"level": (dims, rng.normal(size=(chains, draws)))})
        stats = xr.Dataset({"diverging": (dims, np.zeros((chains, draws), bool))})
        return fitting.Fit(bound, posterior, stats, seed)

    def diagnose(posterior, sample_stats):
        return Diagnostics(0, 1.5, abs(float(posterior["level"].sum())), 400.0)

    patch(fitting, "fit_runs", fit_runs)
    patch(fitting, "diagnose", diagnose)
