"""Scaling laws, one file each; the registry is the folder itself."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from bayes_scaling.errors import ModelError
from bayes_scaling.laws.base import Parameter, ScalingLaw

__all__ = ["Parameter", "ScalingLaw", "available_laws", "get_law"]


def available_laws() -> list[str]:
    """Return the names of all laws, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")


def get_law(name: str) -> ScalingLaw:
    """Return the law called `name`.

    Raises
    ------
    ModelError
        If there is no such law; the message lists those there are.
    """
    names = available_laws()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise ModelError(f"no law {name!r}{hint} Laws: {', '.join(names)}")
    law: ScalingLaw = importlib.import_module(f"{__name__}.{name}").LAW
    return law
