"""Scaling laws, one file each, and the contract for laws of your own."""

from bayes_scaling.laws.base import (
    LOSS_LEVEL,
    LOSS_SCATTER,
    Constant,
    Input,
    Parameter,
    ScalingLaw,
    TwoStageLaw,
)
from bayes_scaling.laws.registry import (
    as_law,
    available_laws,
    get_law,
    register_law,
    shipped_laws,
)

__all__ = [
    "LOSS_LEVEL",
    "LOSS_SCATTER",
    "Constant",
    "Input",
    "Parameter",
    "ScalingLaw",
    "TwoStageLaw",
    "as_law",
    "available_laws",
    "get_law",
    "register_law",
    "shipped_laws",
]
