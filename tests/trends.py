"""Tasks whose accuracy is a known function of a validation loss."""

import numpy as np
import pandas as pd
from ladders import as_runs

from bayes_scaling.runs import Runs

N_ITEMS = 5000


def losses(n):
    """Return losses from 4 to 2.4 nats, evenly spaced in e^-loss."""
    return -np.log(np.linspace(np.exp(-4.0), np.exp(-2.4), n))


def place(loss):
    """Return 0 at a loss of 4 nats and 1 at 2.4, even in e^-loss."""
    low, high = np.exp(-4.0), np.exp(-2.4)
    return (np.exp(-loss) - low) / (high - low)


def task(curve, rng, *, name="simulated", n=24, scatter=0.004, mixtures=("a", "b"), apart=0.0):
    """Return the runs of one task, whose accuracy is `curve` of the place of a loss."""
    parts = []
    for i, mixture in enumerate(mixtures):
        loss = losses(n)
        accuracy = curve(place(loss)) + apart * i
        noise = np.sqrt(scatter**2 + 0.5 * accuracy * (1 - accuracy) / N_ITEMS)
        table = pd.DataFrame(
            {
                "run": [f"{mixture}-{j}" for j in range(n)],
                "flops": np.geomspace(1e18, 1e21, n),
                "score": np.clip(accuracy + noise * rng.standard_normal(n), 0, 1),
                "loss_web": loss,
                "loss_code": 0.5 + loss,
            }
        )
        parts.append(as_runs(table, benchmark=name, mixture=mixture, n_items=N_ITEMS).table)
    return Runs.from_frame(pd.concat(parts))


CURVES = {
    "predictable": lambda u: 0.3 + 0.3 * u,
    "inverse": lambda u: 0.5 - 0.15 * u,
    "nonmonotone": lambda u: 0.3 + 0.8 * (u - 0.5) ** 2,
    "breakthrough": lambda u: 0.25 + 0.4 / (1 + np.exp(-(u - 0.6) / 0.02)),
    "trendless": lambda u: 0.25 + 0 * u,
}
