"""Priors learned from other ladders, tested on a ladder that they have not seen.

Run: uv run python benchmarks/hyperpriors.py --data FOLDER [--workers N] [--folder DIR]
    [--write-docs]
FOLDER holds the tables of the other ladders, as `benchmarks/routes.py` takes them.

drifting_power_law is fitted to the runs of at most a tenth of each ladder's largest budget, all
benchmarks. Its exponent, its drift (tau) and its scatter are taken as draws from a population of
benchmarks: log-normal, with a mean for each type of task (multiple choice, exact match, code).
These means are partially pooled. The likelihood of the population is each posterior,
reweighted by the prior that it was fitted with (Hogg, Myers and Bovy 2010, arXiv:1008.4146).

The rule, written before the first table: each of the ladders of one ratio and OLMo is left out in
turn. The population is learned from all other ladders, and its predictive distribution for a new
benchmark of each type is the prior of fits to the ladder that was left out, all runs of at most a
tenth of the largest budget, and sub-ladders of 4, 6 and 8 runs. The learned priors are shipped if
their CRPS is smaller than that of the present ones on all ladders left out, and the 90% interval
of the difference, clustered by run and benchmark, lies below 0 on at least two of them.

Prints the tables, and one JSON line last.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from default_law import splits
from pages import as_markdown, replace_between
from pymc_extras.prior import Prior
from routes import Ladder, ladders

from bayes_scaling import Backtest, FitStore, Runs, backtest, load_model
from bayes_scaling.errors import BayesScalingError

ROOT = Path(__file__).resolve().parent.parent
LAW = "drifting_power_law"
LEARNED = ("exponent", "tau", "scatter")
TYPES = ("multiple choice", "exact match", "code")
LEFT_OUT = ("Krajewski dclm, 20", "Krajewski c4, 20", "OLMo")
SETTINGS = {"draws": 500, "tune": 500}
DRAWS = 200  # of each posterior


def type_of(table: pd.DataFrame) -> str:
    """Return the type of task of one series."""
    if table["metric"].iloc[0].startswith("pass@"):
        return "code"
    return "multiple choice" if table["chance"].iloc[0] > 0 else "exact match"


def posteriors(ladder: Ladder, store: FitStore) -> pd.DataFrame:
    """Return draws of each benchmark of a ladder, with the prior's log density of each draw."""
    runs, rows = next(iter(splits(ladder))).runs, []
    cutoff = 0.1 * float(ladder.runs.table["flops"].max())
    model = load_model(LAW)
    for key, series in runs.below(cutoff).series():
        try:
            fit = store.fit(series, model, **SETTINGS)
        except (BayesScalingError, RuntimeError):
            continue
        draws = fit.posterior[list(LEARNED)].stack(sample=("chain", "draw"))  # noqa: PD013
        picked = np.linspace(0, draws.sizes["sample"] - 1, DRAWS).astype(int)
        row = {"ladder": ladder.name, "benchmark": key[0], "type": type_of(series.table)}
        for name in LEARNED:
            values = draws[name].to_numpy()[picked]
            density = pm.logp(_distribution(model.priors[name]), values).eval()
            # In log units, in which the population is normal.
            row[name], row[f"{name}_prior"] = np.log(values), density + np.log(values)
        rows.append(row)
    return pd.DataFrame(rows)


def _distribution(prior: Prior):
    return prior.pymc_distribution.dist(**prior.parameters)


def population(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean and sd of the log of each parameter for a new benchmark of each type."""
    kind = rows["type"].map(TYPES.index).to_numpy()
    with pm.Model():
        for name in LEARNED:
            draws, prior = (np.stack(rows[c].to_list()) for c in (name, f"{name}_prior"))
            middle = pm.Normal(f"{name}_middle", float(draws.mean()), 1.0)
            between = pm.HalfNormal(f"{name}_between", 0.5)
            unit = pm.Normal(f"{name}_unit", 0, 1, shape=len(TYPES))
            mean = pm.Deterministic(f"{name}_mean", middle + between * unit)
            sd = pm.HalfNormal(f"{name}_sd", 1.0)
            normal = pm.logp(pm.Normal.dist(mean[kind][:, None], sd), draws)
            pm.Potential(name, pt.logsumexp(normal - prior, axis=1).sum())
        tree = pm.sample(1000, tune=1000, chains=2, cores=2, random_seed=0, progressbar=False)
    worst = max(float(tree["posterior"][f"{name}_sd"].azstats.rhat()) for name in LEARNED)
    print(f"largest R-hat of the population's sds: {worst:.3f}", flush=True)
    found = []
    for name in LEARNED:
        mean, sd = (tree["posterior"][f"{name}_{what}"] for what in ("mean", "sd"))
        whole = np.sqrt((sd**2).mean() + mean.var(("chain", "draw"))).to_numpy()
        middles = mean.mean(("chain", "draw")).to_numpy()
        for place, kind_name in enumerate(TYPES):
            found.append(
                {"parameter": name, "type": kind_name, "mu": middles[place], "sigma": whole[place]}
            )
    return pd.DataFrame(found)


def models(learned: pd.DataFrame, kind: str) -> dict:
    """Return the model as it ships, and with the learned priors of a type of task."""
    own = learned[learned["type"] == kind].set_index("parameter")
    priors = {
        name: Prior("LogNormal", mu=float(own.loc[name, "mu"]), sigma=float(own.loc[name, "sigma"]))
        for name in LEARNED
    }
    return {"shipped": load_model(LAW), "learned": load_model(LAW).with_priors(**priors)}


def test_on(ladder: Ladder, learned: pd.DataFrame, store: FitStore, workers: int) -> Backtest:
    """Return the scores of both models on a ladder that was left out."""
    whole: Backtest | None = None
    for split in splits(ladder):
        kinds = split.runs.table.groupby(["benchmark", "metric"])[["metric", "chance"]]
        told = {key: type_of(part) for key, part in kinds}
        for kind in TYPES:
            names = [key for key, one in told.items() if one == kind]
            if not names:
                continue
            table = split.runs.table
            rows = pd.MultiIndex.from_frame(table[["benchmark", "metric"]]).isin(names)
            part = backtest(
                models(learned, kind),
                Runs.from_frame(table[rows]),
                [split.cutoff],
                baselines=False,
                stack=False,
                store=store,
                workers=workers,
                **SETTINGS,
            )
            part.scores["runs"] = split.name
            whole = part if whole is None else whole.joined(part)
    assert whole is not None
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "default_law")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start, store = time.perf_counter(), FitStore(options.folder)
    known = [one for one in ladders(options.data, slice(None)) if "own loss" not in one.name]
    known = [one for one in known if "all ratios" not in one.name]
    rows = pd.concat([posteriors(one, store) for one in known], ignore_index=True)
    print(rows.groupby(["ladder", "type"]).size().to_string(), flush=True)
    tables, better = [], []
    for ladder in known:
        if ladder.name not in LEFT_OUT:
            continue
        learned = population(rows[rows["ladder"] != ladder.name])
        print(ladder.name, learned.round(2).to_string(), sep="\n", flush=True)
        result = test_on(ladder, learned, store, options.workers)
        difference = result.differences("shipped").iloc[0]
        better.append((difference["difference"], difference["high"]))
        table = result.summary(["model"])
        tables.append(
            pd.DataFrame(
                {
                    "left out": ladder.name,
                    "priors": table["model"],
                    "CRPS": table["crps"].map("{:.4f}".format),
                    "inside 90%": table["cover90"].map("{:.0%}".format),
                    "width": table["width90"].map("{:.3f}".format),
                    "CRPS less that of the shipped priors": [
                        ""
                        if name == "shipped"
                        else f"{difference['difference']:+.4f} ({difference['low']:+.4f} to "
                        f"{difference['high']:+.4f})"
                        for name in table["model"]
                    ],
                }
            )
        )
        print(tables[-1].to_string(index=False), flush=True)
    everything = population(rows)
    print("all ladders", everything.round(2).to_string(), sep="\n")
    ship = all(d < 0 for d, _ in better) and sum(high < 0 for _, high in better) >= 2
    if options.write_docs:
        page = ROOT / "docs" / "default.md"
        text = replace_between(
            page.read_text(encoding="utf-8"), "hyperpriors", as_markdown(pd.concat(tables))
        )
        shown = as_markdown(everything.round(2))
        page.write_text(replace_between(text, "population", shown), encoding="utf-8")
    print(json.dumps({"ship": bool(ship), "seconds": round(time.perf_counter() - start)}))


if __name__ == "__main__":
    main()
