"""Do intervals of past forecasts hold as often as they say?"""

from bayes_scaling import backtest, load_dataset
from bayes_scaling.plots import plot_calibration

names = ["arc_easy", "piqa", "sciq"]
runs = load_dataset(mixture="dclm").select(names, "acc", tokens_per_param=20).below(6e21)
laws = {law: law for law in ("power_law", "power_law_ceiling")}
figure = plot_calibration(backtest(laws, runs, [1e21]).scores)
