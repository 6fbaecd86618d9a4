"""Small handmade tables of runs."""

import pandas as pd


def ladder(**columns):
    """Return four runs of one benchmark as a raw table."""
    table = {
        "run": ["a", "b", "c", "d"],
        "params": [1e8, 2e8, 4e8, 8e8],
        "tokens": [2e9, 4e9, 8e9, 16e9],
        "benchmark": "arc_easy",
        "metric": "acc",
        "score": [0.3, 0.4, 0.5, 0.6],
        "chance": 0.25,
    }
    return pd.DataFrame({**table, **columns})
