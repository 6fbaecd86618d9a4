"""Accuracy of each task against a validation loss, with its trend and behaviour."""

from bayes_scaling import classify, load_dataset
from bayes_scaling.plots import plot_behaviours

runs = load_dataset().select(["arc_easy", "mmlu", "sciq"], "acc")
figure = plot_behaviours(classify(runs, "loss_c4", losses=[]))
