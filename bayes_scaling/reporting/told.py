"""What a report tells of one fit, as text, tables and pictures that any process can make."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd

from bayes_scaling.fitting.questions import percent
from bayes_scaling.reporting import words
from bayes_scaling.reporting.page import PageTable
from bayes_scaling.reporting.parts import Part
from bayes_scaling.reporting.pictures import (
    Picture,
    error_budget_picture,
    forecast_picture,
    pit_picture,
    priors_picture,
)

BAD = "NOT CONVERGED"
_HELD_OUT = ["run", "flops", "k", "observed", "median", "q05", "q25", "q75", "q95"]


@dataclass(frozen=True)
class ModelText:
    """A model: name, equation, and its priors with reasons."""

    name: str
    equation: str
    priors: PageTable


@dataclass(frozen=True)
class Told:
    """All that the page says of one fit.

    Attributes
    ----------
    label, anchor, short : str
        Its name, its place in the page, and its forecast in a few words.
    alerts : list of tuple
        Kind, label and sentence of what readers should know first.
    sentences, answers : list of str
        Its forecasts, and the budgets that reach the targets.
    forecasts, budgets, data : pandas.DataFrame
        Its rows of the tables over all fits.
    inside, n : int
        How many of its held-out scores lie inside their 90% intervals, and how many there are; 0
        of a fit that has not converged.
    held_out : PageTable or None
        Its held-out runs.
    passed : str
        How many checks have passed.
    checks, parameters : PageTable
        Its checks, and its parameters beside their priors.
    forecast, priors, error_budget : Picture
        Its figures.
    pit : Picture or None
        Its leave-one-out PITs; None below 20 scores.
    model : ModelText
        Its model.
    """

    label: str
    anchor: str
    short: str
    alerts: list[tuple[str, str, str]]
    sentences: list[str]
    answers: list[str]
    forecasts: pd.DataFrame
    budgets: pd.DataFrame
    data: pd.DataFrame
    inside: int
    n: int
    held_out: PageTable | None
    passed: str
    checks: PageTable
    parameters: PageTable
    forecast: Picture
    priors: Picture
    error_budget: Picture
    pit: Picture | None
    model: ModelText


def tell(part: Part) -> Told:
    """Return what the page says of a fit."""
    plt.switch_backend("agg")
    checks = part.checks.dropna(subset="passed")
    result = ["passed" if ok else "FAILED" for ok in checks["passed"]]
    first = part.forecast_table.iloc[0]
    held_out = part.held_out_table
    return Told(
        label=part.label,
        anchor=part.anchor,
        short=f"{first['q05']:.3f} to {first['q95']:.3f} at {first['flops']:.2g} FLOPs"
        + f" ({BAD})" * bool(part.problems),
        alerts=_alerts(part),
        sentences=list(words.forecast_sentences(part)),
        answers=[answer.sentence for answer in part.answers],
        forecasts=_forecasts(part),
        budgets=_budgets(part),
        data=_data(part),
        inside=0 if part.problems else sum(part.inside),
        n=0 if part.problems else len(part.inside),
        held_out=None if held_out is None else PageTable.of(held_out, _HELD_OUT),
        passed=f"{result.count('passed')} of {len(result)} passed",
        checks=PageTable.of(checks.assign(result=result), ["check", "result", "sentence"]),
        parameters=PageTable.of(part.parameters.reset_index(names="parameter")),
        forecast=forecast_picture(part),
        priors=priors_picture(part),
        error_budget=error_budget_picture(part),
        pit=pit_picture(part),
        model=_model(part),
    )


def _alerts(part: Part) -> list[tuple[str, str, str]]:
    if part.problems:
        text = f"{'; '.join(part.problems)}. Do not use this forecast as it stands."
        return [(BAD, part.label, text)]
    cautions = part.fit.cautions()
    failed = part.failed[~part.failed["sentence"].isin(cautions)]
    return [
        *(("Caution", part.label, sentence) for sentence in cautions),
        *((f"Fails {row.check}", part.label, str(row.sentence)) for row in failed.itertuples()),
    ]


def _forecasts(part: Part) -> pd.DataFrame:
    table = part.forecast_table
    shown = pd.DataFrame(
        {
            "series": part.label,
            "flops": table["flops"],
            "median": table["median"],
            "50% of the score": _between(table, "q25", "q75"),
            "90% of the score": _between(table, "q05", "q95"),
            "90% of the curve": _between(table, "curve_q05", "curve_q95"),
        }
    )
    chances = table[part.chances].map(percent)
    if part.targets:
        return shown.join(chances)
    # Each series has a target of its own, which would be a column of its own.
    (target,), (name,) = part.wanted, part.chances
    return shown.assign(target=target, **{"P(score ≥ target)": chances[name]})


def _between(table: pd.DataFrame, low: str, high: str) -> list[str]:
    return [f"{a:.3f} to {b:.3f}" for a, b in zip(table[low], table[high], strict=True)]


def _budgets(part: Part) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "series": part.label,
                "target": answer.target,
                "of": "one score" if answer.of == "score" else "the curve",
                "with 5% at": answer.q05,
                "with 90% at": answer.flops,
                "with 95% at": answer.q95,
                "largest fitted": f"{part.largest:.2g}",
            }
            for answer in part.answers
        ]
    )


def _data(part: Part) -> pd.DataFrame:
    seen, table = part.fit.observations, part.fit.runs.table
    row = {
        "series": part.label,
        "mixture": seen.attrs["mixture"],
        "runs": len(set(seen["run"].to_numpy())),
        "scores": seen.sizes["row"],
        "left out": len(table) - seen.sizes["row"],
        "held out": 0 if part.held_out is None else len(part.held_out),
        "smallest": f"{table['flops'].min():.2g} FLOPs",
        "largest": f"{part.largest:.2g} FLOPs",
        "items": float(seen["n_items"].where(seen["n_items"] > 0).median()),
        "chance": float(seen["chance"]),
        "best score": float(seen["score"].max()),
    }
    return pd.DataFrame([row])


def _model(part: Part) -> ModelText:
    model = part.fit.model
    through = f", through {model.loss}" * model.two_stage
    return ModelText(
        f"{model.law_name}, {model.likelihood_name} likelihood, {model.floor} floor{through}",
        model.law.equation,
        PageTable.of(part.reasons),
    )
