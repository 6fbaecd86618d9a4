"""Draw curves from the prior of each ready model, for the pages of laws.

Run: uv run python docs/law_pictures.py [NAME ...]
"""

import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from bayes_scaling import Runs, load_dataset
from bayes_scaling.laws import shipped_laws
from bayes_scaling.modelling.model import ScalingModel, load_model
from bayes_scaling.modelling.observations import choose_loss

FOLDER = Path(__file__).resolve().parent / "img" / "laws"
CURVES = 60


def runs_for(model: ScalingModel) -> Runs:
    """Return embedded runs that have all that a model reads."""
    everything = load_dataset(mixture="dclm").below(6e21)
    if "k" in model.law.columns:
        return everything.select("humaneval-py", "pass@k", tokens_per_param=20)
    ratio = None if "params" in model.law.columns else 20
    runs = everything.select("arc_easy", "acc", tokens_per_param=ratio)
    if not model.two_stage:
        return runs
    return Runs.from_frame(runs.table.dropna(subset=[choose_loss(runs, model.loss)]))


def draw(name: str) -> None:
    """Draw curves of one law at the budgets of the embedded runs."""
    model = load_model(name)
    bound = model.on(runs_for(model))
    prior = bound.prior(CURVES, seed=4)
    rows = bound.observations.drop_vars("loss", errors="ignore")
    curves = bound.curve(prior, rows, np.random.default_rng(4)).isel(chain=0)
    if "k" in rows:
        shown = np.flatnonzero(rows["k"] == rows["k"].min())
    elif "params" in rows:
        ratio = (rows["tokens"] / rows["params"]).to_numpy()
        shown = np.flatnonzero(np.abs(np.log(ratio / 20)) < 0.1)
    else:
        shown = np.arange(rows.sizes["row"])
    table = bound.runs.table.set_index("run")["flops"]
    flops = table[~table.index.duplicated()].loc[rows["run"].to_numpy()[shown]].to_numpy()
    order = np.argsort(flops)
    figure, ax = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
    for i in range(CURVES):
        one = curves.isel(draw=i, row=shown[order])
        ax.plot(flops[order], one, color="#08457E", alpha=0.25, lw=0.9)
    ax.set(xscale="log", ylim=(0, 1), xlabel="Training compute C (FLOPs)", ylabel="Accuracy")
    figure.savefig(FOLDER / f"{name}.png", dpi=90)
    plt.close(figure)


def main() -> None:
    warnings.simplefilter("ignore")
    plt.switch_backend("agg")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or sorted(shipped_laws()):
        draw(name)
        print(name, flush=True)


if __name__ == "__main__":
    main()
