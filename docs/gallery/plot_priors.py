"""Posterior of each parameter with its prior: what the runs have taught."""

from bayes_scaling import fit_runs, load_dataset
from bayes_scaling.plots import plot_priors

runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
figure = plot_priors(fit_runs(runs.below(6e21), "power_law_ceiling"))
