"""Bayesian downstream scaling laws of language models.

Verbs and nouns are imported from here; each is loaded at its first use, because PyMC takes
seconds to import.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayes_scaling.datasets import (
        check_file,
        known_benchmarks,
        load_csv,
        load_dataset,
        load_gadre,
        load_krajewski_csv,
        load_lm_eval,
        load_olmo_ladder,
        load_parquet,
    )
    from bayes_scaling.errors import (
        BayesScalingError,
        ConvergenceWarning,
        ExtrapolationWarning,
        ModelError,
        RunsError,
        RunsWarning,
        SamplerWarning,
    )
    from bayes_scaling.evaluation.backtesting import backtest
    from bayes_scaling.evaluation.behaviours import BehaviourRules
    from bayes_scaling.evaluation.classification import Classification
    from bayes_scaling.evaluation.comparison import Comparison, compare, loo
    from bayes_scaling.evaluation.forecastability import forecastable
    from bayes_scaling.evaluation.ladder_backtesting import backtest_ladder
    from bayes_scaling.evaluation.results import Backtest
    from bayes_scaling.evaluation.stacked import StackedFit
    from bayes_scaling.fitting.error_budgets import error_budget
    from bayes_scaling.fitting.fit import Fit, fit_runs
    from bayes_scaling.fitting.forecasts import summarise
    from bayes_scaling.fitting.ladder_fit import LadderFit, fit_ladder
    from bayes_scaling.fitting.questions import RequiredBudget
    from bayes_scaling.fitting.store import FitStore
    from bayes_scaling.fitting.trend_fit import TrendFit, fit_trend
    from bayes_scaling.laws import (
        Constant,
        Input,
        Parameter,
        ScalingLaw,
        TwoStageLaw,
        available_laws,
        get_law,
        register_law,
    )
    from bayes_scaling.modelling.bound import BoundModel
    from bayes_scaling.modelling.defaults import available_models
    from bayes_scaling.modelling.ladder_model import LadderModel
    from bayes_scaling.modelling.law_check import check_law
    from bayes_scaling.modelling.model import ScalingModel, load_model
    from bayes_scaling.modelling.trend_model import TrendModel
    from bayes_scaling.reporting.build import report
    from bayes_scaling.runs import Budgets, Runs
    from bayes_scaling.study.classifying import classify
    from bayes_scaling.study.study import Study

# Where each public name lives.
_HOMES = {
    "Backtest": "evaluation.results",
    "BayesScalingError": "errors",
    "BehaviourRules": "evaluation.behaviours",
    "BoundModel": "modelling.bound",
    "Budgets": "runs",
    "Classification": "evaluation.classification",
    "Comparison": "evaluation.comparison",
    "Constant": "laws",
    "ConvergenceWarning": "errors",
    "ExtrapolationWarning": "errors",
    "Fit": "fitting.fit",
    "FitStore": "fitting.store",
    "Input": "laws",
    "LadderFit": "fitting.ladder_fit",
    "LadderModel": "modelling.ladder_model",
    "ModelError": "errors",
    "Parameter": "laws",
    "RequiredBudget": "fitting.questions",
    "Runs": "runs",
    "RunsError": "errors",
    "RunsWarning": "errors",
    "SamplerWarning": "errors",
    "ScalingLaw": "laws",
    "ScalingModel": "modelling.model",
    "StackedFit": "evaluation.stacked",
    "Study": "study.study",
    "TrendFit": "fitting.trend_fit",
    "TrendModel": "modelling.trend_model",
    "TwoStageLaw": "laws",
    "available_laws": "laws",
    "available_models": "modelling.defaults",
    "backtest": "evaluation.backtesting",
    "backtest_ladder": "evaluation.ladder_backtesting",
    "check_file": "datasets",
    "check_law": "modelling.law_check",
    "classify": "study.classifying",
    "compare": "evaluation.comparison",
    "error_budget": "fitting.error_budgets",
    "fit_ladder": "fitting.ladder_fit",
    "fit_runs": "fitting.fit",
    "fit_trend": "fitting.trend_fit",
    "forecastable": "evaluation.forecastability",
    "get_law": "laws",
    "known_benchmarks": "datasets",
    "load_csv": "datasets",
    "load_dataset": "datasets",
    "load_gadre": "datasets",
    "load_krajewski_csv": "datasets",
    "load_lm_eval": "datasets",
    "load_model": "modelling.model",
    "load_olmo_ladder": "datasets",
    "load_parquet": "datasets",
    "loo": "evaluation.comparison",
    "register_law": "laws",
    "report": "reporting.build",
    "summarise": "fitting.forecasts",
}

__all__ = [
    "Backtest",
    "BayesScalingError",
    "BehaviourRules",
    "BoundModel",
    "Budgets",
    "Classification",
    "Comparison",
    "Constant",
    "ConvergenceWarning",
    "ExtrapolationWarning",
    "Fit",
    "FitStore",
    "Input",
    "LadderFit",
    "LadderModel",
    "ModelError",
    "Parameter",
    "RequiredBudget",
    "Runs",
    "RunsError",
    "RunsWarning",
    "SamplerWarning",
    "ScalingLaw",
    "ScalingModel",
    "StackedFit",
    "Study",
    "TrendFit",
    "TrendModel",
    "TwoStageLaw",
    "__version__",
    "available_laws",
    "available_models",
    "backtest",
    "backtest_ladder",
    "check_file",
    "check_law",
    "classify",
    "compare",
    "error_budget",
    "fit_ladder",
    "fit_runs",
    "fit_trend",
    "forecastable",
    "get_law",
    "known_benchmarks",
    "load_csv",
    "load_dataset",
    "load_gadre",
    "load_krajewski_csv",
    "load_lm_eval",
    "load_model",
    "load_olmo_ladder",
    "load_parquet",
    "loo",
    "register_law",
    "report",
    "summarise",
]

__version__: str = version("bayes-scaling")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
