"""The share of the binomial noise of a test set that runs on it show between them.

Fits `power_law` to every benchmark of both embedded ladders whose item counts are known, at 20
tokens a parameter and below 6e21 FLOPs. Prints, as Markdown, the mean square of the residuals over
the binomial variance Q(1 − Q)/n, and the posterior of `binomial_share` and `scatter`. With
--write-docs the table goes into docs/noise.md.

Run: uv run python benchmarks/item_noise.py [--write-docs]   (some two minutes)
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from pages import as_markdown, replace_between

from bayes_scaling import Runs, fit_runs
from bayes_scaling.datasets.krajewski2025 import PUBLISHED_CUTOFF, standard_runs

DOCS = Path(__file__).parents[1] / "docs" / "noise.md"


def series() -> Iterator[tuple[str, Runs]]:
    """Yield the standard benchmarks of each mixture that some run has learnt; pass@1 of pass@k."""
    for mixture in ("dclm", "c4"):
        runs = standard_runs(mixture).below(PUBLISHED_CUTOFF)
        for key, one in runs.series():
            first = one.select(k=1) if key.metric == "pass@k" else one
            if first.table["score"].max() > 0:  # the C4 mixture holds no code
                yield f"{key.benchmark} {key.metric}, {mixture}", first


def describe(name: str, runs: Runs) -> dict[str, str]:
    """Return a row of the table."""
    fit = fit_runs(runs, "power_law")
    checks = fit.checks().set_index("check")
    ratio = f"{checks.loc['item noise', 'value']:.2f}" if "item noise" in checks.index else ""
    found = fit.parameters()
    share, scatter = (
        found.loc[p] if p in found.index else None for p in ("binomial_share", "scatter")
    )
    return {
        "benchmark": name,
        "items": f"{fit.observations['n_items'].median().item():.0f}",
        "residual / binomial": ratio,
        "binomial_share": "" if share is None else f"{share['mean']:.2f} ± {share['sd']:.2f}",
        "90%": "" if share is None else f"{share['q05']:.2f} to {share['q95']:.2f}",
        "scatter, points": f"{100 * scatter['mean']:.2f} ± {100 * scatter['sd']:.2f}",
        "floor": fit.model.floor,
        "converged": "no" if fit.diagnostics.problems() else "yes",
    }


def main() -> None:
    """Fit, print, and maybe write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    text = as_markdown(pd.DataFrame([describe(name, runs) for name, runs in series()]))
    print(text)
    if arguments.write_docs:
        page = DOCS.read_text(encoding="utf-8")
        DOCS.write_text(replace_between(page, "item noise", text), encoding="utf-8")


if __name__ == "__main__":
    main()
