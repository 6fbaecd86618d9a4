"""Error of past forecasts against how far they extrapolate."""

from bayes_scaling import backtest, load_dataset
from bayes_scaling.plots import plot_crps_by_distance

names = ["arc_easy", "piqa", "sciq"]
runs = load_dataset(mixture="dclm").select(names, "acc", tokens_per_param=20).below(6e21)
laws = {law: law for law in ("power_law", "power_law_ceiling")}
figure = plot_crps_by_distance(backtest(laws, runs, [3e20]).scores)
