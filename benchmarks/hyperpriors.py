"""Priors learned from other ladders, tested on a ladder that they have not seen.

Run: uv run python benchmarks/hyperpriors.py --data FOLDER [--by type name] [--workers N]
    [--folder DIR] [--write-docs]
FOLDER holds the tables of the other ladders, as `benchmarks/routes.py` takes them.

drifting_power_law is fitted to the runs of at most a tenth of each ladder's largest budget, all
benchmarks. Its exponent, its drift (tau) and its scatter are taken as draws from a population of
benchmarks: log-normal, with a mean for each type of task (multiple choice, exact match, code).
These means are partially pooled. With --by name each benchmark has a mean as well, which the
ladders share, round that of its type; a benchmark that no other ladder has gets its type's. The
likelihood of the population is each posterior, reweighted by the prior that it was fitted with
(Hogg, Myers and Bovy 2010, arXiv:1008.4146).

The rule, written before the first table: each of the ladders of one ratio and OLMo is left out in
turn. The population is learned from all other ladders, and its predictive distribution for a new
benchmark of each type is the prior of fits to the ladder that was left out, all runs of at most a
tenth of the largest budget, and sub-ladders of 4, 6 and 8 runs. The learned priors are shipped if
their CRPS is smaller than that of the present ones on all ladders left out, and the 90% interval
of the difference, clustered by run and benchmark, lies below 0 on at least two of them.

Priors by name were added when those by type had lost, and before any was made; the rule is the
same. A benchmark has one name in this table whatever its split and number of shots are; scores
differ in how answers are normalised, which the spread between ladders has to hold.

Prints the tables, and one JSON line last.
"""

import argparse
import json
import re
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from default_law import splits
from pages import write_tables
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
KEY = ["ladder", "benchmark", "metric"]
# Names of one benchmark in different ladders.
SAME = {"csqa": "commonsense_qa", "openbookqa": "openbook_qa", "socialiqa": "siqa"}


def type_of(table: pd.DataFrame) -> str:
    """Return the type of task of one series."""
    if table["metric"].iloc[0].startswith("pass@"):
        return "code"
    return "multiple choice" if table["chance"].iloc[0] > 0 else "exact match"


def name_of(benchmark: str) -> str:
    """Return the name of a benchmark, whatever its ladder calls it."""
    name = re.sub(r"(_val|_test|_zeroshot|_1shot)$", "", benchmark)
    name = "mmlu" if name.startswith("mmlu_") else name
    return SAME.get(name, name)


def groups_of(ladder: Ladder, by: str) -> pd.DataFrame:
    """Return type and group of each series of a ladder: its type, or its name.

    Columns benchmark, metric, type, group.
    """
    key = ["benchmark", "metric"]
    rows = [
        {**dict(zip(key, series, strict=True)), "type": type_of(part)}
        for series, part in ladder.runs.table.groupby(key)
    ]
    found = pd.DataFrame(rows)
    names = found["benchmark"].map(name_of)
    # The runs of one test set may be scored with and without chance.
    return found.assign(group=found["type"] if by == "type" else names + ", " + found["type"])


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
        row = {"ladder": ladder.name, "benchmark": key[0], "metric": key[1]}
        for name in LEARNED:
            values = draws[name].to_numpy()[picked]
            density = pm.logp(_distribution(model.priors[name]), values).eval()
            # In log units, in which the population is normal.
            row[name], row[f"{name}_prior"] = np.log(values), density + np.log(values)
        rows.append(row)
    return pd.DataFrame(rows)


def _distribution(prior: Prior):
    return prior.pymc_distribution.dist(**prior.parameters)


def population(rows: pd.DataFrame, types: Mapping[str, str]) -> pd.DataFrame:
    """Return mean and sd of the log of each parameter for a new benchmark of each group.

    Parameters
    ----------
    rows : pandas.DataFrame
        Posteriors, with column `group`.
    types : mapping
        Type of each group that a prior is wanted of. With three groups each type is one.
    """
    groups = list(types)
    place = rows["group"].map(groups.index).to_numpy()
    kind = np.array([TYPES.index(types[group]) for group in groups])
    with pm.Model():
        for name in LEARNED:
            draws, prior = (np.stack(rows[c].to_list()) for c in (name, f"{name}_prior"))
            middle = pm.Normal(f"{name}_middle", float(draws.mean()), 1.0)
            between = pm.HalfNormal(f"{name}_between", 0.5)
            unit = pm.Normal(f"{name}_unit", 0, 1, shape=len(TYPES))
            mean = (middle + between * unit)[kind]
            if set(groups) != set(TYPES):
                apart = pm.HalfNormal(f"{name}_apart", 0.5)
                mean += apart * pm.Normal(f"{name}_name", 0, 1, shape=len(groups))
            mean = pm.Deterministic(f"{name}_mean", mean)
            sd = pm.HalfNormal(f"{name}_sd", 1.0)
            normal = pm.logp(pm.Normal.dist(mean[place][:, None], sd), draws)
            pm.Potential(name, pt.logsumexp(normal - prior, axis=1).sum())
        tree = pm.sample(1000, tune=1000, chains=2, cores=2, random_seed=0, progressbar=False)
    worst = max(float(tree["posterior"][f"{name}_sd"].azstats.rhat()) for name in LEARNED)
    print(f"largest R-hat of the population's sds: {worst:.3f}", flush=True)
    found = []
    for name in LEARNED:
        mean, sd = (tree["posterior"][f"{name}_{what}"] for what in ("mean", "sd"))
        whole = np.sqrt((sd**2).mean() + mean.var(("chain", "draw"))).to_numpy()
        middles = mean.mean(("chain", "draw")).to_numpy()
        found.append(
            pd.DataFrame({"parameter": name, "group": groups, "mu": middles, "sigma": whole})
        )
    return pd.concat(found, ignore_index=True)


def models(learned: pd.DataFrame, group: str) -> dict:
    """Return the model as it ships, and with the learned priors of a group."""
    own = learned[learned["group"] == group].set_index("parameter")
    priors = {
        name: Prior("LogNormal", mu=float(own.loc[name, "mu"]), sigma=float(own.loc[name, "sigma"]))
        for name in LEARNED
    }
    return {"shipped": load_model(LAW), "learned": load_model(LAW).with_priors(**priors)}


def test_on(
    ladder: Ladder, groups: pd.DataFrame, learned: pd.DataFrame, store: FitStore, workers: int
) -> Backtest:
    """Return the scores of both models on a ladder that was left out."""
    key = ["benchmark", "metric"]
    whole: Backtest | None = None
    for split in splits(ladder):
        table = split.runs.table
        series = pd.MultiIndex.from_frame(table[key])
        for group, part in groups.groupby("group"):
            rows = series.isin(pd.MultiIndex.from_frame(part[key]))
            if not rows.any():
                continue
            found = backtest(
                models(learned, str(group)),
                Runs.from_frame(table[rows]),
                [split.cutoff],
                baselines=False,
                stack=False,
                store=store,
                workers=workers,
                **SETTINGS,
            )
            found.scores["runs"] = split.name
            whole = found if whole is None else whole.joined(found)
    assert whole is not None
    return whole


def compared(ladder: Ladder, result: Backtest) -> tuple[pd.DataFrame, pd.Series]:
    """Return the rows of one ladder for the page, and the difference of CRPS with its interval."""
    difference = result.differences("shipped").iloc[0]
    d, low, high = difference[["difference", "low", "high"]]
    table = result.summary(["model"])
    shown = {"learned": f"{d:+.4f} ({low:+.4f} to {high:+.4f})"}
    rows = {
        "left out": ladder.name,
        "priors": table["model"],
        "CRPS": table["crps"].map("{:.4f}".format),
        "inside 90%": table["cover90"].map("{:.0%}".format),
        "width": table["width90"].map("{:.3f}".format),
        "CRPS less that of the shipped priors": table["model"].map(shown).fillna(""),
    }
    return pd.DataFrame(rows), difference


def study(known: list[Ladder], by: str, store: FitStore, workers: int) -> dict[str, pd.DataFrame]:
    """Return the tables of the page, and print whether the rule ships the priors."""
    groups = {ladder.name: groups_of(ladder, by) for ladder in known}
    types = pd.concat(groups.values()).set_index("group")["type"].to_dict()
    rows = pd.concat([posteriors(one, store) for one in known], ignore_index=True)
    rows = rows.merge(pd.concat(groups, names=["ladder"]).reset_index(), on=KEY)
    print(rows.groupby(["ladder", "type"]).size().to_string(), flush=True)
    tables, better = [], []
    for ladder in known:
        if ladder.name not in LEFT_OUT:
            continue
        learned = population(rows[rows["ladder"] != ladder.name], types)
        result = test_on(ladder, groups[ladder.name], learned, store, workers)
        table, difference = compared(ladder, result)
        tables.append(table)
        better.append((difference["difference"], difference["high"]))
        print(table.to_string(index=False), flush=True)
    ship = all(d < 0 for d, _ in better) and sum(high < 0 for _, high in better) >= 2
    print(json.dumps({"by": by, "ship": bool(ship)}), flush=True)
    whole = population(rows, types).round(2)
    print(whole.to_string(), flush=True)
    marker = "hyperpriors" if by == "type" else "hyperpriors-by-name"
    found = {marker: pd.concat(tables)}
    return {**found, "population": whole} if by == "type" else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--by", nargs="+", choices=["type", "name"], default=["type", "name"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "default_law")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start, store = time.perf_counter(), FitStore(options.folder)
    known = [one for one in ladders(options.data, slice(None)) if "own loss" not in one.name]
    known = [one for one in known if "all ratios" not in one.name]
    for by in options.by:
        tables = study(known, by, store, options.workers)
        if options.write_docs:
            write_tables("default.md", tables)
    print(json.dumps({"by": options.by, "seconds": round(time.perf_counter() - start)}))


if __name__ == "__main__":
    main()
