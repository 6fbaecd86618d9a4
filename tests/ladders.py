"""Ladders of runs simulated from a known curve, with NumPy alone."""

import warnings

import numpy as np
import pandas as pd

from bayes_scaling.errors import RunsWarning
from bayes_scaling.runs import Runs


def budgets(n_runs, low=1e18, high=6e21, ratio=20.0):
    """Return params and tokens of runs evenly spaced in log compute."""
    flops = np.geomspace(low, high, n_runs)
    params = np.sqrt(flops / (6 * ratio))
    return pd.DataFrame({"params": params, "tokens": params * ratio, "flops": flops})


def centred(table, name="flops"):
    logs = np.log(table[name].to_numpy(float))
    return logs - logs.mean()


def curve(loss, floor=0.0):
    """Return accuracy from -log Q'."""
    return floor + (1 - floor) * np.exp(-np.asarray(loss))


def count_correct(accuracy, n_items, scatter, rng):
    """Draw counts of right answers: beta scatter of runs, then binomial noise of items."""
    size = 0.25 / scatter**2
    return rng.binomial(n_items, rng.beta(accuracy * size, (1 - accuracy) * size))


def as_runs(table, *, chance=0.25, benchmark="simulated", metric="acc", **columns):
    """Return a table of budgets, with scores or counts in `columns`, as Runs of one series."""
    table = table.assign(benchmark=benchmark, metric=metric, chance=chance, **columns)
    if "run" not in table:
        table["run"] = [f"run-{i:03d}" for i in range(len(table))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RunsWarning)  # made-up scores look suspicious
        return Runs.from_frame(table)
