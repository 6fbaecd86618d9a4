"""Figures, one file each."""

from bayes_scaling.plots.forecast import plot_forecast
from bayes_scaling.plots.priors import plot_priors

__all__ = ["plot_forecast", "plot_priors"]
