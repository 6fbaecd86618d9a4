"""Default priors: those of `models/*.toml`, and those that a law carries."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pymc_extras.prior import Prior, UnsupportedDistributionError

from bayes_scaling._io.resources import resource_dir
from bayes_scaling.errors import ModelError
from bayes_scaling.laws import ScalingLaw, shipped_laws

_COMMON = "common"
_OF_LADDERS, _OF_TRENDS = "ladder", "trend"
_PRIOR_FIELDS = {"dist", "kwargs", "dims", "centered", "transform", "reason"}


def available_models() -> list[str]:
    """Return the names of the ready models in `models/`.

    Examples
    --------
    >>> "power_law" in available_models()
    True
    """
    names = {path.stem for path in resource_dir("models").glob("*.toml")}
    return sorted(names - {_COMMON, _OF_LADDERS, _OF_TRENDS})


def ready_file(name: str) -> Path:
    """Return the file of a ready model."""
    return resource_dir("models") / f"{name}.toml"


def default_priors(law: ScalingLaw) -> tuple[dict[str, Prior], dict[str, str]]:
    """Return the default priors of a law's model, and their reasons.

    These are the priors that all models share (level, floor, scatter, ...) and those of the law.
    The law's come from its file if it ships, else from its attribute `priors`.
    """
    priors, reasons = _priors_of_file(_COMMON)
    priors, reasons = dict(priors), dict(reasons)
    if law.name in shipped_laws() and ready_file(law.name).is_file():
        own, own_reasons = _priors_of_file(law.name)
        return priors | own, reasons | own_reasons
    if not isinstance(law.priors, Mapping):
        raise ModelError(f"{law.name}: priors should be a mapping of parameter to Prior")
    carried = dict.fromkeys(law.priors, f"Default of the law {law.name}.")
    return priors | dict(law.priors), reasons | carried


def ladder_defaults() -> tuple[dict[str, Prior], dict[str, str]]:
    """Return the default priors of the ladder model, and their reasons."""
    return _priors_of_file(_OF_LADDERS)


def trend_defaults() -> tuple[dict[str, Prior], dict[str, str]]:
    """Return the default priors of the trend in a loss, and their reasons."""
    return _priors_of_file(_OF_TRENDS)


@cache
def _priors_of_file(name: str) -> tuple[dict[str, Prior], dict[str, str]]:
    return read_priors(read_toml(ready_file(name)).get("priors", {}))


def read_priors(tables: Any) -> tuple[dict[str, Prior], dict[str, str]]:
    """Return priors and reasons from the tables of a model file.

    Raises
    ------
    ModelError
        If a prior cannot be read, or has a field that is not known.
    """
    if not isinstance(tables, Mapping):
        raise ModelError("model file: the model and its priors must be tables")
    priors = {name: _read_prior(name, entry) for name, entry in tables.items()}
    return priors, {name: entry["reason"] for name, entry in tables.items() if entry.get("reason")}


def _read_prior(name: str, entry: Any) -> Prior:
    try:
        unknown = sorted(set(entry) - _PRIOR_FIELDS)
        if unknown:
            raise ValueError(f"unknown field {', '.join(unknown)}")
        return Prior.from_dict({k: v for k, v in entry.items() if k != "reason"})
    except (
        *(KeyError, TypeError, ValueError, AttributeError),
        UnsupportedDistributionError,
    ) as error:
        raise ModelError(
            f"prior of {name!r} cannot be read ({error}); "
            'it looks like: dist = "LogNormal", kwargs = { mu = -1.9, sigma = 0.7 }'
        ) from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read the TOML file of a model; a ModelError says what is wrong with it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"model file {path.name}: {error}") from error
