"""Figures, one file each."""

from bayes_scaling.plots.bands import plot_bands
from bayes_scaling.plots.behaviours import plot_behaviours, plot_flips, plot_trend
from bayes_scaling.plots.calibration import plot_calibration, plot_crps_by_distance
from bayes_scaling.plots.comparison import plot_comparison
from bayes_scaling.plots.error_budgets import plot_error_budget
from bayes_scaling.plots.forecasts import plot_forecast
from bayes_scaling.plots.ladders import plot_ladder
from bayes_scaling.plots.priors import plot_priors

__all__ = [
    "plot_bands",
    "plot_behaviours",
    "plot_calibration",
    "plot_comparison",
    "plot_crps_by_distance",
    "plot_error_budget",
    "plot_flips",
    "plot_forecast",
    "plot_ladder",
    "plot_priors",
    "plot_trend",
]
