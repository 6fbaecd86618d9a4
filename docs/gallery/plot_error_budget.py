"""Where the uncertainty of a forecast comes from, by budget."""

from bayes_scaling import error_budget, fit_runs, load_dataset
from bayes_scaling.plots import plot_error_budget

runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
fit = fit_runs(runs.below(6e21), "two_stage_logistic")
figure = plot_error_budget(error_budget(fit, flops=[1e22, 3e22, 1e23]))
