"""Weights of a stacked forecast of a ladder without a past: even, or learned over other ladders.

Run: uv run python benchmarks/default_law.py --data FOLDER --folder DIR
     uv run python benchmarks/stack_prior.py --folder DIR [--write-docs]
The first makes a table of scores for each ladder in DIR; this one reads those of three ladders.

A ladder of 4, 6 or 8 runs has no past worth the name: no forecasts of its own larger runs that
weights of a stack could come from. Here the four laws in compute are fitted to such sub-ladders,
and their forecasts of runs above are mixed. The weights are even, as they are now; or they are the
mean of a population of ladders, learned from the other ladders: the weights of each ladder are a
draw from a Dirichlet distribution whose mean and concentration are unknown, and its scores come
from the mixture, with their likelihood raised to the power of one over their design effect.

The rule, written before the first table: each of the three ladders is left out in turn. The learned
weights are shipped if the mean log density of the held-out scores is larger than with even weights
on all ladders left out, and the 90% interval of the difference, clustered by run and benchmark,
lies above 0 on at least two of them.

These scores have been looked at before: the default law was chosen on them. Density and probability
integral transform of a mixture are those of its parts, mixed; so no fit has to be made again.

Prints the tables, and one JSON line last.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from pages import as_markdown, replace_between
from routes import IN_COMPUTE

from bayes_scaling.evaluation.stacking import past_design_effect
from bayes_scaling.evaluation.uncertainty import Clusters, clustered_mean

ROOT = Path(__file__).resolve().parent.parent
LADDERS = ("Krajewski dclm, 20", "Krajewski c4, 20", "OLMo")
SUB_LADDERS = ("4", "6", "8")
LAWS = list(IN_COMPUTE)
DEFAULT = "drifting_power_law_ceiling"
SCORE = ["runs", "benchmark", "metric", "mixture", "run", "training"]


def read(folder: Path, ladder: str) -> dict[str, pd.DataFrame]:
    """Return log densities and PITs of a ladder's held-out scores, a column for each law."""
    table = pd.read_csv(folder / f"{ladder}.csv", dtype={"runs": str})
    few = table[table["runs"].isin(SUB_LADDERS)]
    return {
        what: few.pivot_table(what, SCORE, "model")[LAWS].dropna().reset_index()
        for what in ("elpd", "pit")
    }


def learn(tables: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Return the mean weights of the population that ladders come from."""
    with pm.Model():
        mean = pm.Dirichlet("mean", np.ones(len(LAWS)))
        concentration = pm.Gamma("concentration", alpha=2, beta=0.25)
        for i, table in enumerate(tables.values()):
            past = {law: table[law].to_numpy() for law in LAWS}
            power = 1 / past_design_effect(past, Clusters.of(table))
            known = np.array(list(past.values()))
            known -= known.max(axis=0)
            weight = pm.Dirichlet(f"weight_{i}", concentration * mean + 0.5)
            mixed = pt.log((weight[:, None] * np.exp(known)).sum(axis=0))
            pm.Potential(f"scores_{i}", power * mixed.sum())
        tree = pm.sample(
            2000, tune=2000, chains=4, cores=2, random_seed=0, target_accept=0.95, progressbar=False
        )
    posterior = tree["posterior"]
    worst = max(float(posterior[name].azstats.rhat().max()) for name in ("mean", "concentration"))
    print(
        f"largest R-hat {worst:.3f}; concentration {float(posterior['concentration'].mean()):.1f}"
    )
    means = posterior["mean"].mean(("chain", "draw")).to_numpy()
    return dict(zip(LAWS, map(float, means), strict=True))


def judge(ladder: str, found: dict[str, pd.DataFrame], learned: dict[str, float]) -> pd.DataFrame:
    """Return log density and coverage on a ladder by kind of weights, less those of even ones."""
    kinds = {
        "even": dict.fromkeys(LAWS, 1 / len(LAWS)),
        "learned from the others": learned,
        f"{DEFAULT} alone": {law: float(law == DEFAULT) for law in LAWS},
    }
    elpd, pit = found["elpd"], found["pit"]
    clusters = Clusters.of(elpd)
    rows, even = [], None
    for kind, weights in kinds.items():
        shares = np.array([weights[law] for law in LAWS])
        density = np.log(np.exp(elpd[LAWS].to_numpy()) @ shares)
        inside = np.abs(pit[LAWS].to_numpy() @ shares - 0.5) <= 0.45
        even = density if even is None else even
        gain = clustered_mean(density - even, clusters)
        rows.append(
            {
                "left out": ladder,
                "weights": kind,
                **{law: round(weights[law], 2) for law in LAWS},
                "log density": density.mean(),
                "inside 90%": inside.mean(),
                "gain": gain.mean,
                "low": gain.low,
                "high": gain.high,
            }
        )
    return pd.DataFrame(rows)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as it stands in the page."""
    gains = [
        "" if row.weights == "even" else f"{row.gain:+.3f} ({row.low:+.3f} to {row.high:+.3f})"
        for row in table.itertuples()
    ]
    page = table.drop(columns=["gain", "low", "high"])
    page["log density"] = page["log density"].map("{:.3f}".format)
    page["inside 90%"] = page["inside 90%"].map("{:.0%}".format)
    return page.assign(**{"log density less that of even weights": gains})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "default_law")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found = {ladder: read(options.folder, ladder) for ladder in LADDERS}
    densities = {ladder: parts["elpd"] for ladder, parts in found.items()}
    tables = []
    for ladder in LADDERS:
        learned = learn({name: table for name, table in densities.items() if name != ladder})
        tables.append(judge(ladder, found[ladder], learned))
    whole = pd.concat(tables, ignore_index=True)
    print(shown(whole).to_string(index=False))
    everything = {law: round(weight, 2) for law, weight in learn(densities).items()}
    gains = whole[whole["weights"] == "learned from the others"]
    ship = (gains["gain"] > 0).all() and (gains["low"] > 0).sum() >= 2
    if options.write_docs:
        page = ROOT / "docs" / "default.md"
        text = replace_between(page.read_text(encoding="utf-8"), "stack", as_markdown(shown(whole)))
        page.write_text(text, encoding="utf-8")
    print(json.dumps({"ship": bool(ship), "weights of all ladders": everything}))


if __name__ == "__main__":
    main()
