"""Bayesian downstream scaling laws of language models."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayes_scaling.datasets import load_dataset
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

# Where each public name lives. They are imported at first use, because PyMC takes seconds.
_HOMES = {
    "BayesScalingError": "errors",
    "ConvergenceWarning": "errors",
    "Fit": "fit",
    "ModelError": "errors",
    "Runs": "runs",
    "RunsError": "errors",
    "RunsWarning": "errors",
    "ScalingModel": "model",
    "available_laws": "laws",
    "available_models": "model",
    "fit_runs": "fit",
    "get_law": "laws",
    "load_dataset": "datasets",
    "load_model": "model",
    "summarise": "forecast",
}

__all__ = [
    "BayesScalingError",
    "ConvergenceWarning",
    "Fit",
    "ModelError",
    "Runs",
    "RunsError",
    "RunsWarning",
    "ScalingModel",
    "available_laws",
    "available_models",
    "fit_runs",
    "get_law",
    "load_dataset",
    "load_model",
    "summarise",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
