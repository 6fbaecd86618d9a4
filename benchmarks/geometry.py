"""Fit the laws to every embedded series and list the posteriors that fall short.

Run: uv run python benchmarks/geometry.py [--below FLOPS]
Prints one line a fit and, last, one JSON line: fits, divergences, worst R-hat and ESS.
"""

import argparse
import json
import warnings
from collections.abc import Iterator

from bayes_scaling.datasets import load_dataset
from bayes_scaling.errors import BayesScalingError
from bayes_scaling.inference.samplers import sample
from bayes_scaling.modelling.model import load_model
from bayes_scaling.runs import Runs

COMPUTE_LAWS = (
    "power_law",
    "power_law_ceiling",
    "broken_power_law",
    "drifting_power_law",
    "drifting_power_law_ceiling",
    "loss_power_law",
    "loss_power_law_ceiling",
    "loss_drifting_power_law",
    "loss_drifting_power_law_ceiling",
    "loss_logistic",
)
RATIO_LAWS = (
    "params_tokens",
    "params_tokens_power",
    "drifting_params_tokens",
    "loss_params_tokens_power",
    "loss_drifting_params_tokens",
)


def jobs() -> Iterator[tuple[str, Runs]]:
    for mixture in ("dclm", "c4"):
        runs = load_dataset("krajewski2025", mixture=mixture)
        for _, series in runs.select(tokens_per_param=20).series():
            if "pass@k" in series.metrics:
                yield "pass_at_k", series
                series = series.select(k=1)
            for law in COMPUTE_LAWS:
                yield law, series
        for _, series in runs.series():  # all ratios
            series = series.select(k=1) if "pass@k" in series.metrics else series
            for law in RATIO_LAWS:
                yield law, series


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--below", type=float, default=float("inf"))
    parser.add_argument("--law")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    results = []
    for law, runs in jobs():
        if options.law not in (None, law):
            continue
        key = next(iter(runs.series()))[0]
        try:
            bound = load_model(law).on(runs.below(options.below))
        except BayesScalingError as error:
            print(f"{law:26s} {key}: not fitted: {error}", flush=True)
            continue
        found = sample(bound).diagnostics
        results.append(found)
        verdict = "; ".join(found.problems()) or "ok"
        print(
            f"{law:26s} {key}: bulk {found.min_ess_bulk:.0f} tail {found.min_ess_tail:.0f} "
            f"R-hat {found.max_rhat:.3f} {verdict}",
            flush=True,
        )
    summary = {
        "fits": len(results),
        "short": sum(bool(r.problems()) for r in results),
        "divergences": sum(r.divergences for r in results),
        "max_rhat": round(max(r.max_rhat for r in results), 4),
        "min_ess_bulk": round(min(r.min_ess_bulk for r in results)),
        "min_ess_tail": round(min(r.min_ess_tail for r in results)),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
