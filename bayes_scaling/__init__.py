"""Bayesian downstream scaling laws of language models.

The functions `compare` and `backtest` share their names with the modules they live in; import
them from there: ``from bayes_scaling.compare import compare``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayes_scaling.backtest import Backtest
    from bayes_scaling.check import check_file
    from bayes_scaling.compare import Comparison
    from bayes_scaling.datasets import (
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
        ModelError,
        RunsError,
        RunsWarning,
    )
    from bayes_scaling.fit import Fit, fit_runs
    from bayes_scaling.forecast import summarise
    from bayes_scaling.laws import available_laws, get_law
    from bayes_scaling.model import ScalingModel, available_models, load_model
    from bayes_scaling.runs import Runs
    from bayes_scaling.store import FitStore
    from bayes_scaling.study import Study

# Where each public name lives. They are imported at first use, because PyMC takes seconds.
_HOMES = {
    "Backtest": "backtest",
    "BayesScalingError": "errors",
    "Comparison": "compare",
    "ConvergenceWarning": "errors",
    "Fit": "fit",
    "FitStore": "store",
    "ModelError": "errors",
    "Runs": "runs",
    "RunsError": "errors",
    "RunsWarning": "errors",
    "ScalingModel": "model",
    "Study": "study",
    "available_laws": "laws",
    "available_models": "model",
    "check_file": "check",
    "fit_runs": "fit",
    "get_law": "laws",
    "known_benchmarks": "datasets",
    "load_csv": "datasets",
    "load_dataset": "datasets",
    "load_gadre": "datasets",
    "load_krajewski_csv": "datasets",
    "load_lm_eval": "datasets",
    "load_model": "model",
    "load_olmo_ladder": "datasets",
    "load_parquet": "datasets",
    "summarise": "forecast",
}

__all__ = [
    "Backtest",
    "BayesScalingError",
    "Comparison",
    "ConvergenceWarning",
    "Fit",
    "FitStore",
    "ModelError",
    "Runs",
    "RunsError",
    "RunsWarning",
    "ScalingModel",
    "Study",
    "available_laws",
    "available_models",
    "check_file",
    "fit_runs",
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
    "summarise",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
