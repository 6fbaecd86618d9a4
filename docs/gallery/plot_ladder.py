"""All benchmarks of a ladder and their average, in one posterior. It takes minutes."""

from bayes_scaling import fit_ladder, load_dataset
from bayes_scaling.plots import plot_ladder

names = ["arc_easy", "piqa", "sciq"]
runs = load_dataset(mixture="dclm").select(names, "acc", tokens_per_param=20)
figure = plot_ladder(fit_ladder(runs.below(6e21)), runs.above(6e21))
