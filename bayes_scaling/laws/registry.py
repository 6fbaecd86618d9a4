"""All laws by name: those that ship, and those that a session has added."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from functools import cache
from pathlib import Path

from bayes_scaling.errors import ModelError
from bayes_scaling.laws.base import ScalingLaw

_PARTS = ("base", "registry")
_registered: dict[str, ScalingLaw] = {}


def shipped_laws() -> list[str]:
    """Return the names of the laws that come with the package: one file each in laws/."""
    return list(_laws_in(tuple(_folders())))


@cache
def _laws_in(folders: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the files with laws; read once, because every model asks for them."""
    names = [module.name for module in pkgutil.iter_modules(folders)]
    return tuple(sorted(n for n in names if n not in _PARTS and not n.startswith("_")))


def _folders() -> tuple[str, ...]:
    """Return where shipped laws are: beside this file."""
    return (str(Path(__file__).parent),)


def available_laws() -> list[str]:
    """Return the names of all laws, shipped and registered, sorted.

    Examples
    --------
    >>> "power_law" in available_laws()
    True
    """
    return sorted({*shipped_laws(), *_registered})


def register_law(law: ScalingLaw | type[ScalingLaw]) -> ScalingLaw:
    """Register a law, so that it is found by name, and return it.

    A law of the same name that was registered before is replaced, so that a notebook cell can
    be run again.

    Parameters
    ----------
    law : ScalingLaw, or its class
        The law. As a decorator of a class, the name of the class then stands for the law itself,
        an instance.

    Raises
    ------
    ModelError
        If it is not a law, has no name, or the name is that of a shipped law.

    Examples
    --------
    >>> from bayes_scaling.laws import available_laws, get_law, register_law
    >>> class SteepPowerLaw(type(get_law("power_law"))):
    ...     name = "steep_power_law"
    >>> _ = register_law(SteepPowerLaw)
    >>> "steep_power_law" in available_laws()
    True
    """
    found = as_law(law)
    name = getattr(found, "name", "")
    if not isinstance(name, str) or not name:
        raise ModelError(f"{type(found).__name__} has no name; give the class an attribute 'name'")
    if name in shipped_laws() and type(found) is not type(get_law(name)):
        raise ModelError(f"{name!r} is a law of the package; give yours another name")
    _registered[name] = found
    return found


def as_law(law: ScalingLaw | type[ScalingLaw] | str) -> ScalingLaw:
    """Return a law given as itself, as its class, or by name.

    Raises
    ------
    ModelError
        If it is none of these.
    """
    if isinstance(law, str):
        return get_law(law)
    if inspect.isclass(law) and issubclass(law, ScalingLaw):
        missing = sorted(getattr(law, "__abstractmethods__", ()))
        if missing:
            raise ModelError(f"{law.__name__} lacks {', '.join(missing)}; a law must have them")
        return law()
    if not isinstance(law, ScalingLaw):
        raise ModelError(f"{law!r} is not a law; subclass bayes_scaling.laws.ScalingLaw")
    return law


def get_law(name: str) -> ScalingLaw:
    """Return the law called `name`.

    Raises
    ------
    ModelError
        If there is no such law; the message lists the names.

    Examples
    --------
    >>> get_law("power_law").equation
    "-log Q' = A C^-alpha"
    """
    if name in _registered:
        return _registered[name]
    names = available_laws()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise ModelError(
            f"no law {name!r}{hint} Laws: {', '.join(names)}. "
            "A law of your own is found by name after register_law"
        )
    law: ScalingLaw = importlib.import_module(f"bayes_scaling.laws.{name}").LAW
    return law
