"""One task in detail: accuracy against a validation loss, by corpus."""

from bayes_scaling import classify, load_dataset
from bayes_scaling.plots import plot_trend

runs = load_dataset().select("sciq", "acc")
figure = plot_trend(classify(runs, "loss_c4", losses=[]), "sciq").figure
