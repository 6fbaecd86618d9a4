"""How often each check of a fit fails, if its model is right, and if it is wrong in a known way.

Run: uv run python benchmarks/check_rates.py [--law NAME] [--sims N] [--runs N] [--world NAME ...]
Prints a table: worlds by checks, shares of fits that fail. "with p" is the share in which any check
with a p-value fails, "any" that in which any check fails.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from bayes_scaling import Runs, fit_runs, load_model
from bayes_scaling.modelling.model import ScalingModel

ITEMS, CHANCE, SCATTER = 2000, 0.25, 0.005


def as_runs(scores: np.ndarray) -> Runs:
    """Return a ladder of 20 tokens per parameter up to 6e21 FLOPs with given scores."""
    flops = np.geomspace(1e18, 6e21, len(scores))
    params = np.sqrt(flops / 120)
    table = {"params": params, "tokens": 20 * params, "score": scores, "n_items": ITEMS}
    names = {"benchmark": "simulated", "metric": "acc", "mixture": "none", "chance": CHANCE}
    names["run"] = [f"run-{i:02d}" for i in range(len(scores))]
    return Runs.from_frame(pd.DataFrame({**table, **names}))


def curve(size: int, exponent: float = 0.2) -> np.ndarray:
    """Return a power law that scores 0.32 to 0.79."""
    u = np.log(np.geomspace(1e18, 6e21, size) / 8e19)
    return np.asarray(CHANCE + (1 - CHANCE) * np.exp(-np.exp(-0.1 - exponent * u)))


def measured(accuracy: np.ndarray, rng: np.random.Generator, scatter: float = SCATTER):
    """Return scores with beta scatter of runs and binomial noise of items."""
    total = 0.25 / np.broadcast_to(scatter, accuracy.shape) ** 2
    return rng.binomial(ITEMS, rng.beta(accuracy * total, (1 - accuracy) * total)) / ITEMS


def stray(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return scores of which a twelfth is off by 6 points."""
    scores = measured(curve(size), rng)
    off = rng.choice(size, max(1, size // 12), replace=False)
    scores[off] += rng.choice([-0.06, 0.06], len(off))
    return np.asarray(scores.round(4))


def worlds(size: int) -> dict[str, Callable[[np.random.Generator], np.ndarray]]:
    u = np.linspace(0, 1, size)
    late = 0.2 * (u - 0.75).clip(0)  # 5 points at the largest run
    return {
        "as assumed": lambda rng: measured(curve(size), rng),
        "a bend of 3 points": lambda rng: measured(curve(size) + 0.03 * np.sin(2 * np.pi * u), rng),
        "flatter at the end": lambda rng: measured(curve(size) - late, rng),
        "steeper at the end": lambda rng: measured(curve(size) + late, rng),
        "stray runs": lambda rng: stray(size, rng),
        "scatter grows to 5 points": lambda rng: measured(curve(size), rng, 0.05 * u**2 + 1e-3),
        "a third of binomial noise": lambda rng: (
            np.round(
                ITEMS * (curve(size) + 0.33**0.5 * (measured(curve(size), rng, 1e-3) - curve(size)))
            )
            / ITEMS
        ),
    }


def from_prior(model: ScalingModel, size: int, sims: int) -> Iterator[np.ndarray]:
    """Yield scores of the model's own prior predictive, as simulation-based calibration does."""
    bound = model.on(as_runs(curve(size)))
    scores = bound.prior_predictive(sims, seed=1)["prior_predictive"]["score"]
    yield from scores.isel(chain=0).transpose("draw", "row").to_numpy()


def failing(scores: np.ndarray, model: ScalingModel, seed: int) -> dict[str, bool]:
    checks = fit_runs(as_runs(scores), model, draws=500, tune=500, seed=seed).checks()
    told = checks.dropna(subset="passed").set_index("check")
    fails = ~told["passed"].astype(bool)
    return {**fails, "with p": fails[told["p"].notna()].any(), "any": fails.any()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--law", default="power_law")
    parser.add_argument("--likelihood")
    parser.add_argument("--sims", type=int, default=100)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--world", nargs="*")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    model = load_model(options.law).with_options(likelihood=options.likelihood)
    known = worlds(options.runs)
    rows = {}
    for name in options.world or ["prior predictive", *known]:
        if name == "prior predictive":
            data = from_prior(model, options.runs, options.sims)
        else:
            data = (known[name](np.random.default_rng([7, i])) for i in range(options.sims))
        rows[name] = pd.DataFrame(failing(y, model, i) for i, y in enumerate(data)).mean()
        print(rows[name].rename(name).round(3).to_frame().T.to_string(), flush=True)


if __name__ == "__main__":
    main()
