"""Simulation-based calibration of the ladder model and of trends; see benchmarks/calibration.py.

Run: uv run python benchmarks/pooled_calibration.py [--models ladder trend] [--simulations N]
    [--workers N] [--out CSV]
Rows are appended to the CSV of benchmarks/calibration.py, which draws tables and figure of all.

ladder   two benchmarks on 12 runs of the embedded DCLM ladder below 6e21 FLOPs at 20 tokens a
         parameter, with its loss. Floors are held at chance: whether a floor is free depends on
         scores, which no prior may. Scores are cut to [0, 1], though the model does not know of it.
trend    24 runs of two mixtures, evenly spread in e^-loss, test sets of 1000 items. Scores scatter
         with the noise of the true curve, while a fit reads the noise off a local mean of scores.

Ranked are the scalars, first and last elements of vectors, and a curve: that of the first benchmark
at ten times the largest budget, or that of the trend at the smallest loss.
"""

import argparse
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from calibration import COLUMNS, KEPT, Result, _append, _as_cells, _pit, read_results, summarise

from bayes_scaling import LadderModel, load_dataset
from bayes_scaling.datasets.krajewski2025 import PUBLISHED_CUTOFF
from bayes_scaling.inference.samplers import sample
from bayes_scaling.laws._reverting import BENDS, KNOT
from bayes_scaling.modelling.bound_ladder import BoundLadder
from bayes_scaling.modelling.likelihoods import common_spread, spread
from bayes_scaling.modelling.trend_model import BoundTrend, TrendModel
from bayes_scaling.runs import Runs

BENCHMARKS, RUNS = ("piqa", "sciq"), 12
SETTINGS: dict[str, dict[str, int]] = {
    "ladder": {"draws": 500, "tune": 500, "chains": 2, "cores": 1},
    "trend": {"draws": 1000, "tune": 400, "chains": 2, "cores": 1},
}
BLOCK = 20


class FixedFloor(BoundLadder):
    """A ladder whose floors are all at chance, whatever the scores."""

    @property
    def near(self) -> xr.DataArray:  # type: ignore[override]
        """No benchmark has a free floor."""
        return self.observations["benchmark"][[]]


def prior_draws(bound: Any, n: int, seed: int) -> xr.Dataset:
    """Return draws of everything that the `pm.Model` samples or computes."""
    with bound.pymc as model:
        names = [v.name for v in (*model.free_RVs, *model.deterministics)]
        tree = pm.sample_prior_predictive(
            n, var_names=names, random_seed=seed, compile_kwargs={"mode": "FAST_COMPILE"}
        )
    return tree["prior"].to_dataset()


# ---- the ladder model ----------------------------------------------------------------------------


def true_ladder() -> FixedFloor:
    """Return the ladder model bound to runs whose scores are replaced."""
    runs = load_dataset(mixture="dclm").select(list(BENCHMARKS), "acc", tokens_per_param=20)
    table = runs.below(PUBLISHED_CUTOFF).table
    names = table.sort_values("flops")["run"].unique()
    kept = names[np.linspace(0, len(names) - 1, RUNS).round().astype(int)]
    bound = LadderModel(loss="loss_dclm").on(Runs.from_frame(table[table["run"].isin(kept)]))
    return FixedFloor(bound.model, bound.runs, bound.observations)


def simulate_ladder(bound: FixedFloor, p: xr.Dataset, rng: np.random.Generator) -> FixedFloor:
    """Return the ladder with losses and scores drawn from one draw of the parameters.

    Losses come first: levels of scores are counted from their mean.
    """
    residual, luck = (
        xr.DataArray(rng.standard_normal((1, 1, RUNS)), dims=("chain", "draw", "run"))
        for _ in range(2)
    )
    seed = int(rng.integers(2**32))
    made = bound.curve(p, bound.observations, np.random.default_rng(seed), residual)
    bound = having_seen(bound, loss=made["loss"])
    seen = bound.observations
    curve = bound.curve(p, seen, np.random.default_rng(seed), residual)["curve"]
    own, common = common_spread(curve, seen["n_items"], p, np)
    score = curve + np.sqrt(own) * rng.standard_normal(own.shape) + common * luck
    return having_seen(bound, score=score.clip(0, 1))


def having_seen(bound: FixedFloor, **drawn: xr.DataArray) -> FixedFloor:
    """Return the ladder with one draw of losses or scores in the place of its own."""
    seen = bound.observations
    new = {
        name: values.isel(chain=0, draw=0, drop=True).transpose(*seen[name].dims)
        for name, values in drawn.items()
    }
    return replace(bound, observations=seen.assign(new))


def ladder_quantities(bound: FixedFloor, draws: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """Return what is ranked of a ladder model."""
    ahead = xr.Dataset({"flops": ("run", [10 * float(bound.observations["flops"].max())])})
    curve = bound.curve(draws, ahead, rng)["curve"].isel(benchmark=0, run=0)
    return scalars(draws).assign(curve=("sample", curve.transpose("chain", "draw").values.ravel()))


# ---- trends --------------------------------------------------------------------------------------


def true_trend() -> BoundTrend:
    """Return a trend bound to runs whose scores are replaced."""
    loss = -np.log(np.linspace(np.exp(-4.0), np.exp(-2.4), 12))
    observations = xr.Dataset(
        {
            "score": ("row", np.full(24, 0.5)),
            "n_items": ("row", np.full(24, 1000.0)),
            "loss": ("row", np.tile(loss, 2)),
        },
        coords={
            "row": [f"run-{i}" for i in range(24)],
            "mixture": ("row", ["a"] * 12 + ["b"] * 12),
        },
        attrs={"benchmark": "simulated", "column": "loss_web"},
    )
    return BoundTrend(TrendModel(), observations)


def with_coefficients(bound: BoundTrend, p: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """Return a draw of the scales with level, rise, bends and offsets from their prior."""
    level, rise = (bound.model.priors[name].parameters for name in ("level", "rise"))
    offsets = p["offset_sd"] * xr.DataArray(rng.standard_normal(2), dims="mixture")
    return p.assign(
        level=p["scatter"] * 0 + rng.normal(level["mu"], level["sigma"]),
        rise=p["scatter"] * 0 + rng.normal(rise["mu"], rise["sigma"]),
        bends=p["scatter"] * 0 + xr.DataArray(rng.standard_normal(BENDS), dims=KNOT),
        offsets=offsets.assign_coords(mixture=bound.mixtures),
    )


def simulate_trend(bound: BoundTrend, p: xr.Dataset, rng: np.random.Generator) -> BoundTrend:
    """Return the trend with scores drawn from one draw of the parameters."""
    seen = bound.observations
    places = xr.DataArray(bound.scale.places(seen["loss"].to_numpy()), dims="row")
    mean = (bound.curve(p, places) + p["offsets"].sel(mixture=seen["mixture"])).isel(
        chain=0, draw=0
    )
    one = p.isel(chain=0, draw=0)
    sd = spread(mean.clip(0, 1), seen["n_items"], one, np)
    score = mean + sd * rng.standard_normal(mean.shape)
    return replace(bound, observations=seen.assign(score=("row", score.to_numpy())))


def trend_quantities(bound: BoundTrend, draws: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """Return what is ranked of a trend."""
    whole = draws if "level" in draws else bound.coefficients(draws, rng)
    curve = bound.curve(whole, xr.DataArray([1.0], dims="place")).isel(place=0)
    found = scalars(whole.transpose("chain", "draw", ...))
    return found.assign(curve=("sample", curve.transpose("chain", "draw").values.ravel()))


# ---- both ----------------------------------------------------------------------------------------


def scalars(draws: xr.Dataset) -> xr.Dataset:
    """Return scalars, and first and last elements of vectors, by sample."""
    found = {}
    for name, values in draws.data_vars.items():
        if str(name).endswith(("_raw", "_offset")) or name == "E":
            continue
        flat = values.transpose("chain", "draw", ...).to_numpy()
        flat = flat.reshape(flat.shape[0] * flat.shape[1], -1)
        last = flat.shape[1] - 1
        for place in (0, last) if last else (0,):
            label = f"{name}[{place}]" if last else str(name)
            found[label] = ("sample", flat[:, place])
    return xr.Dataset(found)


def run_block(name: str, block: int, out: Path) -> None:
    """Run the simulations of one block that the CSV does not have."""
    warnings.simplefilter("ignore")
    true = true_ladder() if name == "ladder" else true_trend()
    simulate, quantities = {
        "ladder": (simulate_ladder, ladder_quantities),
        "trend": (simulate_trend, trend_quantities),
    }[name]
    results = read_results(out)
    done = set(results[results["model"] == name]["simulation"])
    drawn = prior_draws(true, BLOCK, seed=block)
    for i in range(BLOCK):
        number = block * BLOCK + i
        if number in done:
            continue
        rng = np.random.default_rng([number, 17])
        p = drawn.isel(draw=[i])
        if name == "trend":
            p = with_coefficients(true, p, rng)
        bound = simulate(true, p, rng)
        truth = quantities(bound, p, rng).isel(sample=0)
        start = time.perf_counter()
        samples = sample(bound, seed=number, **SETTINGS[name])
        values = quantities(bound, samples.posterior, rng)
        ess = np.nan_to_num(samples.diagnostics.min_ess_bulk, nan=1.0)
        count = int(np.clip(ess, 1, KEPT))
        kept = values.isel(sample=np.linspace(0, values.sizes["sample"] - 1, count).astype(int))
        pits = {str(key): _pit(kept, truth, str(key), rng) for key in truth.data_vars}
        problem = "; ".join(samples.diagnostics.problems())
        result = Result(pits, problem, time.perf_counter() - start)
        _append(out, [name, "pooled", "", number, *_as_cells(result)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--simulations", type=int, default=200, help=f"a multiple of {BLOCK}")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("calibration.csv"))
    options = parser.parse_args()
    if not options.out.exists():
        _append(options.out, COLUMNS)
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(run_block, name, block, options.out)
            for name in options.models
            for block in range(-(-options.simulations // BLOCK))
        ]
        for job in as_completed(jobs):
            job.result()
    results = read_results(options.out)
    print(summarise(results[results["ladder"] == "pooled"]).to_string(index=False))


if __name__ == "__main__":
    main()
