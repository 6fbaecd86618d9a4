"""Line styles that tell models apart in figures of several models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from bayes_scaling.laws import TwoStageLaw, get_law, shipped_laws

# Hues of Okabe and Ito (2008); cold for direct laws, warm for laws through a loss, grey for point
# fits and black for the mixture of all, so that direct and two-stage laws are told at a glance.
_COLOURS = {
    "direct": (
        *("#0072B2", "#009E73", "#56B4E9", "#08457E", "#66A61E", "#6A51A3"),
        *("#1B9E9E", "#3B3B98", "#A6C81F"),
    ),
    "two_stage": ("#D55E00", "#E69F00", "#CC79A7", "#8C2D04", "#B8860B", "#E7298A"),
    "point": ("#6E6E6E", "#9A9A9A", "#B8B8B8", "#4D4D4D"),
    "stacked": ("#000000",),
}
_STROKES: dict[str, Any] = {
    "direct": {"lw": 1.5, "ls": "-"},
    "two_stage": {"lw": 1.5, "ls": (0, (6, 1.5))},
    "point": {"lw": 1.1, "ls": (0, (1.5, 1.5))},
    "stacked": {"lw": 2.4, "ls": "-"},
}
_MARKERS = "osD^vP"
# Order of legends and rows.
FAMILIES = {
    "stacked": "stacked",
    "direct": "direct",
    "two_stage": "through the loss",
    "point": "point fit",
}


def looks(families: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the line style of each model from its family, in the order of legends."""
    found = {}
    for family in FAMILIES:
        members = [model for model, of in families.items() if of == family]
        colours = _COLOURS[family]
        for model, place in _places(members, family).items():
            found[model] = {
                "color": colours[place % len(colours)],
                # Those that share a colour differ in the marker.
                "marker": _MARKERS[(place + place // len(colours)) % len(_MARKERS)],
                **_STROKES[family],
            }
    return found


def _places(models: Iterable[str], family: str) -> dict[str, int]:
    """Return the place of each model in its family's colours.

    A law that ships has the same one in every figure. Others take what comes after those.
    """
    fixed = _shipped(family)
    others = [model for model in models if model not in fixed]
    free = len(fixed) if any(model in fixed for model in models) else 0
    return {
        model: fixed[model] if model in fixed else free + others.index(model) for model in models
    }


@cache
def _shipped(family: str) -> dict[str, int]:
    """Return the place of each law that ships in the colours of a family."""
    if family not in ("direct", "two_stage"):
        return {}
    through = family == "two_stage"
    names = [n for n in sorted(shipped_laws()) if isinstance(get_law(n), TwoStageLaw) == through]
    return {name: place for place, name in enumerate(names)}
