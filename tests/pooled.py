"""Ladders of several benchmarks that share runs, and fits of them without sampling."""

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from ladders import as_runs

from bayes_scaling.fitting.ladder_fit import LadderFit
from bayes_scaling.modelling.ladder_model import LadderModel
from bayes_scaling.runs import Runs

BENCHMARKS = ("arc", "piqa", "sciq")
LEVELS, SLOPES = (0.5, 0.3, 0.8), (0.15, 0.2, 0.18)
CHANCE, N_ITEMS = 0.1, 4000
LOSS_LEVEL, IRREDUCIBLE, LOSS_SLOPE = 3.0, 0.5, 0.15


def grid_of_budgets(n_sizes, ratios=(5.0, 20.0, 80.0), low=4e7, high=1e9):
    """Return params and tokens of every size at every ratio of tokens to params."""
    sizes = np.geomspace(low, high, n_sizes)
    rows = [(n, n * r, 6 * n * n * r) for r in ratios for n in sizes]
    return pd.DataFrame(rows, columns=["params", "tokens", "flops"])


def simulate(table, *, through, rng, luck=0.02, scatter=0.003):
    """Return runs whose accuracy follows the loss alone, or FLOPs alone.

    The loss falls with tokens only, and each run has a loss that is off by `luck`. So at one cost
    runs differ in loss, and their scores show which of the two decides.
    """
    tokens, cost = (np.log(table[n]) - np.log(table[n]).mean() for n in ("tokens", "flops"))
    reducible = (1 - IRREDUCIBLE) * np.exp(-2 * LOSS_SLOPE * tokens)
    loss = LOSS_LEVEL * (IRREDUCIBLE + reducible) * np.exp(rng.normal(0, luck, len(table)))
    above = (loss / LOSS_LEVEL - IRREDUCIBLE) / (1 - IRREDUCIBLE)
    effective = -np.log(above) / LOSS_SLOPE if through else cost
    parts = []
    for name, level, slope in zip(BENCHMARKS, LEVELS, SLOPES, strict=True):
        accuracy = CHANCE + (1 - CHANCE) * np.exp(-level * np.exp(-slope * effective))
        noise = np.sqrt(0.5 * accuracy * (1 - accuracy) / N_ITEMS + scatter**2)
        score = accuracy + noise * rng.standard_normal(len(table))
        columns = {"score": score, "n_items": N_ITEMS, "loss_web": loss}
        one = as_runs(table.assign(**columns), benchmark=name, chance=CHANCE, mixture="web")
        parts.append(one.table)
    return Runs.from_frame(pd.concat(parts))


def fit_of_prior(runs, model=None, *, chains=4, draws=200):
    """Return a ladder fit with draws of the prior: its methods need no sampling."""
    bound = (model or LadderModel()).on(runs)
    with bound.pymc as built:
        names = [v.name for v in (*built.free_RVs, *built.deterministics)]
        tree = pm.sample_prior_predictive(
            chains * draws,
            var_names=names,
            random_seed=1,
            compile_kwargs={"mode": "FAST_COMPILE"},
        )
    drawn = tree["prior"].to_dataset()
    split = {
        name: (("chain", "draw", *v.dims[2:]), v.to_numpy().reshape(chains, draws, *v.shape[2:]))
        for name, v in drawn.data_vars.items()
    }
    coords = {k: v for k, v in drawn.coords.items() if k not in ("chain", "draw")}
    posterior = xr.Dataset(split, coords={"chain": range(chains), "draw": range(draws), **coords})
    stats = {
        name: (("chain", "draw"), np.zeros((chains, draws), kind))
        for name, kind in (("diverging", bool), ("depth", int), ("n_steps", int))
    }
    energy = np.random.default_rng(0).standard_normal((chains, draws))
    return LadderFit(bound, posterior, xr.Dataset({**stats, "energy": (("chain", "draw"), energy)}))
