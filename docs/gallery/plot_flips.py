"""Behaviours that change with the corpus or with the validation loss."""

from bayes_scaling import classify, load_dataset
from bayes_scaling.plots import plot_flips

runs = load_dataset().select(["arc_easy", "mmlu", "sciq"], "acc")
figure = plot_flips(classify(runs, "loss_c4", losses=["loss_c4", "loss_dclm"]))
