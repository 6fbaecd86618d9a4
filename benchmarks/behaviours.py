"""Can behaviours be told apart? Simulated tasks of known behaviour, and the rules' numbers.

Run: uv run python benchmarks/behaviours.py [--tasks N] [--sizes RUNS ...] [--write-docs]

Written and run before any published label was read (then with 102 runs only; 10 and 30 runs and the
reliability of the probabilities came later, and moved no number). Tasks of six behaviours are
simulated, equally many of each: 10, 30 or 104 runs of three mixtures, chance levels of 0, 0.25 and
0.5, and 100 to 10,000 items. What makes a behaviour, below, is how the task was made, not how the
rules see it:

predictable   accuracy is a·exp(−c·L) + b and explains 85 to 99% of the variance beyond item noise
inverse       the same with a < 0
noisy         the same, rising, but explains 30 to 70%
trendless     accuracy does not depend on the loss
nonmonotone   accuracy falls and rises again, or rises and falls; the smaller part is at least
              0.4 times the larger one, and the curve explains 85 to 99%
breakthrough  accuracy is at chance, and then rises to a plateau within a tenth of the range of
              losses; the curve explains 85 to 99%

Each task is classified by the rules on the posterior curve, and, to compare, by the BIC weights of
least-squares fits of a flat, an exponential, a quadratic and a sigmoid curve. Their residuals say
whether it is noisy, and whether the curve turns back says whether it is nonmonotone. Scores: share
right, and mean log probability of the true behaviour.

The rules' numbers are the point of the grid with the largest mean log probability on tasks of the
largest size; among points within 0.02 of it, the one nearest to the round numbers that were there
first.

Prints the tables, and one JSON line last.
"""

import argparse
import itertools
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from pages import as_markdown, replace_between
from scipy.optimize import curve_fit
from scipy.special import expit

from bayes_scaling import Runs
from bayes_scaling.evaluation.behaviours import (
    BEHAVIOURS,
    BehaviourRules,
    Measures,
    behaviour_probabilities,
)
from bayes_scaling.fitting.trend_fit import TrendFit, fit_trend

ROOT = Path(__file__).resolve().parent.parent
type Told = dict[str, float]  # the probability of each behaviour
SIZES, MIXTURES = (10, 30, 104), ("a", "b", "c")
GRID = {
    "trend": (0.1, 0.2, 0.3),
    "explained": (0.75, 0.8, 0.85),
    "reversal": (0.15, 0.2, 0.25, 0.3),
    "jump": (0.6, 0.7, 0.8, 0.9),
}
FIRST = BehaviourRules(jump=0.8)  # the round numbers that were there first
LEAST = 0.01  # of probability, so that no score is infinite
STATED = (0.0, 0.5, 0.7, 0.9, 0.99, 1.0)  # edges of the bins of the stated probability
SURE = 0.9


def shape_of(behaviour: str, place: np.ndarray, loss: np.ndarray, rng: np.random.Generator):
    """Return a curve between 0 and 1 at places between 0 and 1."""
    if behaviour == "nonmonotone":
        turn, smaller = rng.uniform(0.3, 0.7), rng.uniform(0.4, 1.0)
        falls = np.clip((turn - place) / turn, 0, None)
        rises = np.clip((place - turn) / (1 - turn), 0, None)
        sides = (falls, smaller * rises) if rng.random() < 0.5 else (smaller * falls, rises)
        curve = sides[0] ** 1.5 + sides[1] ** 1.5
        return curve if rng.random() < 0.5 else 1 - curve
    if behaviour == "breakthrough":
        # From 10 to 90% of the rise within a tenth of the range.
        return expit((place - rng.uniform(0.3, 0.8)) / (0.1 / 4.4))
    if behaviour == "trendless":
        return np.zeros_like(place)
    steep = np.exp(-rng.uniform(0.5, 2.0) * loss)
    rising = (steep - steep.min()) / np.ptp(steep)
    return 1 - rising if behaviour == "inverse" else rising


def simulate(behaviour: str, size: int, rng: np.random.Generator) -> Runs:
    """Return the runs of one task, of which each mixture has a third."""
    mixture = np.arange(size) % len(MIXTURES)
    budget = rng.uniform(0, 1, size)
    loss = 1.8 + rng.uniform(0, 0.3, len(MIXTURES))[mixture] + 3.2 * np.exp(-2.5 * budget)
    place = np.exp(-loss)
    place = (place - place.min()) / np.ptp(place)
    chance = rng.choice([0.0, 0.25, 0.5])
    rise = rng.uniform(0.05, 0.2) if behaviour == "inverse" else rng.uniform(0.08, 0.45)
    curve = chance + 0.02 + rise * shape_of(behaviour, place, loss, rng)
    explained = rng.uniform(0.3, 0.7) if behaviour == "noisy" else rng.uniform(0.85, 0.99)
    scatter = np.std(curve) * np.sqrt(1 / explained - 1)
    if behaviour == "trendless":
        scatter = rng.uniform(0, 0.03)
    items = int(rng.choice([100, 500, 2000, 10_000]))
    noise = np.sqrt(rng.uniform(0.3, 1) * curve * (1 - curve) / items + scatter**2)
    score = np.clip(curve + noise * rng.standard_normal(curve.shape), 0, 1)
    table = pd.DataFrame(
        {
            "run": [f"run-{i}" for i in range(size)],
            "mixture": np.array(MIXTURES)[mixture],
            "benchmark": behaviour,
            "metric": "acc",
            "chance": chance,
            "n_items": items,
            "score": np.round(score * items) / items,
            "flops": 10 ** (18 + 4 * budget),
            "loss_web": loss,
        }
    )
    return Runs.from_frame(table)


def by_information(runs: Runs) -> dict[str, float]:
    """Return the weight of each behaviour by BIC of least-squares fits."""
    loss, score = (runs.table[n].to_numpy(float) for n in ("loss_web", "score"))
    place = np.exp(-loss)
    place = 2 * (place - place.min()) / np.ptp(place) - 1
    items = float(runs.table["n_items"].iloc[0])
    item_noise = 0.5 * float(np.mean(score * (1 - score))) / items
    low, high = score[place < -0.5].mean(), score[place > 0.5].mean()
    curves = {
        "trendless": (lambda x, b: b + 0 * x, [score.mean()]),
        "line": (
            lambda x, b, a, c: b + a * np.expm1(c * x) / np.where(c == 0, 1, c),
            [0.3, 0.1, 0.1],
        ),
        "quadratic": (lambda x, b, a, c: b + a * x + c * x**2, [score.mean(), 0, 0]),
        "breakthrough": (
            lambda x, b, a, m, w: b + a * expit((x - m) / w),
            [low, high - low, 0, 0.1],
        ),
    }
    scored, weights = {}, dict.fromkeys(BEHAVIOURS, 0.0)
    for name, (curve, start) in curves.items():
        try:
            found, _ = curve_fit(curve, place, score, start, maxfev=5000)
        except RuntimeError:
            continue
        fitted = curve(place, *found)
        left = np.mean((score - fitted) ** 2)
        scored[name] = len(score) * np.log(left) + (len(start) + 1) * np.log(len(score))
        beyond = max(left - item_noise, 0)
        explained = np.var(fitted) / (np.var(fitted) + beyond)
        if name == "trendless":
            told = "trendless"
        elif explained < FIRST.explained:
            told = "noisy"
        elif name == "breakthrough":
            told = name
        else:
            grid = curve(np.linspace(-1, 1, 41), *found)
            rising = grid[-1] > grid[0]
            upward = grid if rising else -grid
            back = (np.maximum.accumulate(upward) - upward).max() / np.ptp(grid)
            monotone = "predictable" if rising else "inverse"
            told = "nonmonotone" if back > FIRST.reversal else monotone
        curves[name] = told
    best = min(scored.values())
    for name, value in scored.items():
        weights[curves[name]] += np.exp(-(value - best) / 2)
    whole = sum(weights.values())
    return {name: weight / whole for name, weight in weights.items()}


def score_of(probabilities: list[dict[str, float]], truth: list[str]) -> tuple[float, float]:
    """Return the share right and the mean log probability of the truth."""
    right = [max(p, key=p.get) == t for p, t in zip(probabilities, truth, strict=True)]
    logs = [np.log(max(p[t], LEAST)) for p, t in zip(probabilities, truth, strict=True)]
    return float(np.mean(right)), float(np.mean(logs))


def search(fits: list[TrendFit], truth: list[str]) -> pd.DataFrame:
    """Return the scores of each point of the grid, the best first."""
    measures = [Measures.of(fit, FIRST) for fit in fits]
    rows = []
    for values in itertools.product(*GRID.values()):
        rules = BehaviourRules(**dict(zip(GRID, values, strict=True)))
        found = [behaviour_probabilities(m, rules) for m in measures]
        right, log = score_of(found, truth)
        rows.append({**dict(zip(GRID, values, strict=True)), "right": right, "log": log})
    return pd.DataFrame(rows).sort_values("log", ascending=False, ignore_index=True)


@dataclass(frozen=True)
class Simulated:
    """Tasks of one size, what they were made as, and what two ways of sorting say of them."""

    truth: list[str]
    fits: list[TrendFit]
    by_rules: list[Told]
    by_bic: list[Told]

    @property
    def stated(self) -> pd.DataFrame:
        """The most probable behaviour of each task, its probability, and whether it is right."""
        top = [max(p, key=lambda name: p[name]) for p in self.by_rules]
        return pd.DataFrame(
            {
                "p": [p[name] for p, name in zip(self.by_rules, top, strict=True)],
                "right": [a == b for a, b in zip(top, self.truth, strict=True)],
            }
        )


def run(size: int, tasks: int) -> Simulated:
    """Simulate and sort tasks of one size."""
    rng, rules = np.random.default_rng([7, size]), BehaviourRules()
    truth = [behaviour for behaviour in BEHAVIOURS for _ in range(tasks)]
    made = [simulate(behaviour, size, rng) for behaviour in truth]
    fits = [fit_trend(runs, "loss_web") for runs in made]
    by_rules = [behaviour_probabilities(Measures.of(fit, rules), rules) for fit in fits]
    return Simulated(truth, fits, by_rules, [by_information(runs) for runs in made])


def confusion(found: Simulated) -> pd.DataFrame:
    """Return mean probabilities, a row for how a task was made, and how often BIC is right."""
    of = {made: [t == made for t in found.truth] for made in BEHAVIOURS}
    rows = []
    for made in BEHAVIOURS:
        ours = pd.DataFrame(found.by_rules)[of[made]].mean()
        theirs = [p for p, t in zip(found.by_bic, found.truth, strict=True) if t == made]
        rows.append(
            {
                "made as": made,
                **ours[list(BEHAVIOURS)],
                "BIC, right": score_of(theirs, [made] * len(theirs))[0],
            }
        )
    return pd.DataFrame(rows).round(2)


def reliability(found: Simulated) -> pd.DataFrame:
    """Return how often the most probable behaviour is right, by its stated probability."""
    stated = found.stated
    bins = pd.cut(stated["p"], STATED, include_lowest=True)
    table = stated.groupby(bins, observed=True).agg(
        stated=("p", "mean"), right=("right", "mean"), tasks=("right", "size")
    )
    return table.reset_index(drop=True).round(2)


def scores(size: int, found: Simulated) -> dict[str, float]:
    """Return the scores of both ways of sorting, and how sure the rules are when wrong."""
    right, log = score_of(found.by_rules, found.truth)
    their_right, their_log = score_of(found.by_bic, found.truth)
    stated = found.stated
    wrong = stated[~stated["right"]]
    return {
        "runs": size,
        "right": round(right, 3),
        "mean p": round(float(stated["p"].mean()), 3),
        "log p": round(log, 3),
        "wrong": len(wrong),
        "mean p when wrong": round(float(wrong["p"].mean()), 2),
        "wrong and p > 0.9": int((wrong["p"] > SURE).sum()),
        "BIC: right": round(their_right, 3),
        "BIC: log p": round(their_log, 3),
        "not converged": sum(bool(fit.diagnostics.problems()) for fit in found.fits),
    }


def write_docs(tables: dict[int, pd.DataFrame], bins: pd.DataFrame, whole: pd.DataFrame) -> None:
    """Write tables and the reliability curve into docs/predictability.md."""
    page = ROOT / "docs" / "predictability.md"
    text = page.read_text(encoding="utf-8")
    by_size = [f"{size} runs:\n\n{as_markdown(table)}" for size, table in tables.items()]
    text = replace_between(text, "simulation", "\n\n".join(by_size))
    text = replace_between(text, "scores", as_markdown(whole))
    text = replace_between(text, "reliability", as_markdown(bins))
    page.write_text(text, encoding="utf-8")
    plt.switch_backend("agg")
    figure, ax = plt.subplots(figsize=(4.5, 4.2), layout="constrained")
    ax.plot([0, 1], [0, 1], color="#7F7F7F", lw=1, ls="--", label="calibrated")
    for (size, part), marker in zip(bins.groupby("runs"), "os^", strict=False):
        ax.plot(part["stated"], part["right"], marker=marker, label=f"{size} runs")
    ax.set(xlabel="stated probability of the most probable behaviour", ylabel="share right")
    ax.set(xlim=(0.25, 1.02), ylim=(0.0, 1.02))
    ax.legend()
    figure.savefig(ROOT / "docs" / "img" / "behaviour_reliability.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=20, help="of each behaviour")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="runs of a task")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    found = {size: run(size, options.tasks) for size in options.sizes}
    largest = found[max(found)]
    print(search(largest.fits, largest.truth).head(15).round(3).to_string())
    tables = {size: confusion(one) for size, one in found.items()}
    bins = pd.concat([reliability(one).assign(runs=size) for size, one in found.items()])
    bins = bins[["runs", "stated", "right", "tasks"]]
    whole = pd.DataFrame([scores(size, one) for size, one in found.items()])
    for size, table in tables.items():
        print(f"{size} runs", table.to_string(index=False), sep="\n")
    print(bins.to_string(index=False), whole.to_string(index=False), sep="\n")
    if options.write_docs:
        write_docs(tables, bins, whole)
    seconds = round(time.perf_counter() - start)
    print(json.dumps({"sizes": whole.to_dict("records"), "seconds": seconds}))


if __name__ == "__main__":
    main()
