"""What a report says of one fit: its forecasts, answers, checks and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.fitting.error_budgets import error_budget
from bayes_scaling.fitting.fit import Fit
from bayes_scaling.fitting.forecasts import summarise
from bayes_scaling.fitting.questions import Outcome, RequiredBudget
from bayes_scaling.fitting.splits import NEXT_RUN
from bayes_scaling.runs import Budgets, Runs

_SURE = 0.9
_HIGHEST = 0.999  # of a target: no probability can be told of a perfect score
_OUTCOMES: tuple[Outcome, ...] = ("score", "curve")


@dataclass(frozen=True)
class Part:
    """One fit in a report, and what is asked of it.

    Attributes
    ----------
    label : str
        Its name in the report.
    fit : Fit
        The fit.
    held_out : Runs or None
        Larger runs of the same series, which were not fitted.
    flops : tuple of float
        Budgets to forecast; empty for ten times the largest fitted one.
    targets : tuple of float
        Accuracies to be reached; empty for half the error of the best fitted run.
    """

    label: str
    fit: Fit
    held_out: Runs | None
    flops: tuple[float, ...]
    targets: tuple[float, ...]

    @property
    def bare(self) -> Self:
        """The part without anything that was computed, to be sent to another process."""
        return replace(self, fit=replace(self.fit, bound=replace(self.fit.bound)))

    @property
    def anchor(self) -> str:
        """The label as the name of a place in the page."""
        return "fit-" + "".join(c if c.isalnum() else "-" for c in self.label)

    @property
    def problems(self) -> list[str]:
        """Why the draws should not be trusted."""
        return self.fit.diagnostics.problems()

    @property
    def largest(self) -> float:
        """Budget of the largest fitted run, in FLOPs."""
        return float(self.fit.runs.table["flops"].max())

    @cached_property
    def held_inputs(self) -> dict[str, float]:
        """Whatever the law reads besides FLOPs, at the usual values of the fitted runs.

        They are the median tokens per parameter, the smallest k, and medians of covariates.
        """
        columns, runs = self.fit.model.law.columns, self.fit.runs
        held: dict[str, float] = {}
        if {"params", "tokens"} <= set(columns) and runs.usual_ratio is not None:
            held["tokens_per_param"] = runs.usual_ratio
        if "k" in columns:
            held["k"] = float(runs.table["k"].min())
        others = [n for n in columns if n not in ("flops", "params", "tokens", "k")]
        return held | {name: float(runs.table[name].median()) for name in others}

    @property
    def held_words(self) -> str:
        """What is held, in words; empty where the law reads FLOPs alone."""
        names = {"tokens_per_param": "tokens per parameter"}
        told = [
            f"{value:.3g} {names[name]}" if name in names else f"{name} = {value:.3g}"
            for name, value in self.held_inputs.items()
        ]
        return f" at {', '.join(told)}" if told else ""

    @property
    def asked(self) -> tuple[float, ...]:
        """The budgets that are forecast, in FLOPs."""
        return self.flops or (NEXT_RUN * self.largest,)

    @cached_property
    def forecast(self) -> xr.Dataset:
        """Curve and score at the asked budgets."""
        return self.fit.forecast(self._budgets(self.asked))

    def _budgets(self, flops: Any) -> Budgets:
        given: Mapping[str, Any] = {"flops": list(flops), **self.held_inputs}
        return Budgets.of(**given)

    @cached_property
    def wanted(self) -> tuple[float, ...]:
        """The accuracies to be reached."""
        seen = self.fit.observations
        same = seen["k"] == self.held_inputs["k"] if "k" in seen else seen["score"] >= 0
        best = float(seen["score"].where(same).max())
        return self.targets or (min(round(1 - (1 - best) / 2, 3), _HIGHEST),)

    @property
    def chances(self) -> list[str]:
        """Names of the columns with the probabilities that targets are reached."""
        return [f"P(≥ {target:g})" for target in self.wanted]

    @cached_property
    def forecast_table(self) -> pd.DataFrame:
        """A row a budget: quantiles of score and curve, and probabilities of targets."""
        table = summarise(self.forecast)
        curve = summarise(self.forecast, "curve")
        table["curve_q05"], table["curve_q95"] = curve["q05"], curve["q95"]
        for target, name in zip(self.wanted, self.chances, strict=True):
            reached = (self.forecast["score"] >= target).mean(("chain", "draw"))
            table[name] = reached.to_numpy()
        return table

    @cached_property
    def answers(self) -> list[RequiredBudget]:
        """The budgets that reach the targets, for one run's score and for the curve."""
        extras: Mapping[str, Any] = self.held_inputs
        return [
            self.fit.budget_for(target, probability=_SURE, of=of, **extras)
            for target in self.wanted
            for of in _OUTCOMES
        ]

    @cached_property
    def held_out_table(self) -> pd.DataFrame | None:
        """Forecast and score of each held-out run; None if there is none."""
        if self.held_out is None or not len(self.held_out):
            return None
        return self.fit.forecast_table(self.held_out)

    @property
    def inside(self) -> list[bool]:
        """Whether each held-out score lies inside its 90% interval."""
        table = self.held_out_table
        if table is None:
            return []
        return [bool(b) for b in table["observed"].between(table["q05"], table["q95"])]

    @cached_property
    def checks(self) -> pd.DataFrame:
        """The checks of the fit."""
        return self.fit.checks()

    @property
    def failed(self) -> pd.DataFrame:
        """The checks that have failed, but for convergence, which the problems name."""
        told = self.checks.dropna(subset="passed")
        return told[~told["passed"].astype(bool) & (told["check"] != "convergence")]

    @cached_property
    def parameters(self) -> pd.DataFrame:
        """Each parameter with its prior: posterior and prior mean and sd, and the reason."""
        table = self.fit.parameters().join(
            self.fit.conflicts()[["prior_mean", "prior_sd", "distance"]]
        )
        meanings = {p.name: p.meaning for p in self.fit.bound.parameters}
        meanings |= {c.name: c.meaning for c in self.fit.model.law.constants}
        table["meaning"] = [meanings.get(str(name), "") for name in table.index]
        return table

    @property
    def reasons(self) -> pd.DataFrame:
        """Each prior of the model, with its reason."""
        model = self.fit.model
        return pd.DataFrame(
            [
                {
                    "parameter": name,
                    "prior": str(prior),
                    "reason": model.reasons.get(name, ""),
                }
                for name, prior in model.priors.items()
            ]
        )

    def error_budget(self) -> xr.Dataset:
        """Return the variance of the forecast by source, at the asked budgets."""
        return error_budget(self.fit, self._budgets(self.asked))

    def band(self, low: float, high: float, points: int) -> dict[str, list[float]]:
        """Return the quantiles between two budgets that the page shows under the pointer."""
        flops = np.geomspace(low, high, points)
        forecast = self.fit.forecast(self._budgets(flops))
        score, curve = summarise(forecast), summarise(forecast, "curve")
        shown: dict[str, Any] = {
            "flops": flops,
            "median": score["median"],
            "low": score["q05"],
            "high": score["q95"],
            "curve_low": curve["q05"],
            "curve_high": curve["q95"],
        }
        return {name: [float(f"{v:.4g}") for v in values] for name, values in shown.items()}
