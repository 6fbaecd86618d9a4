"""Leave-one-out: which law predicts left-out runs best, and how sure that is."""

from bayes_scaling import compare, fit_runs, load_dataset
from bayes_scaling.plots import plot_comparison

runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
laws = ("power_law", "power_law_ceiling", "two_stage_logistic")
fits = {law: fit_runs(runs.below(6e21), law) for law in laws}
figure = plot_comparison(compare(fits))
