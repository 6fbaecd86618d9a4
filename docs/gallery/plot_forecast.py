"""Accuracy against training compute: runs, curve, and what one future run may score."""

from bayes_scaling import fit_runs, load_dataset
from bayes_scaling.plots import plot_forecast

runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
fit = fit_runs(runs.below(6e21), "power_law_ceiling")
figure = plot_forecast(fit, runs.above(6e21))
