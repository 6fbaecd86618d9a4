"""Line styles that tell models apart in figures of several models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Hues of Okabe and Ito (2008); cold for direct laws, warm for laws through a loss, grey for point
# fits and black for the mixture of all, so that direct and two-stage laws are told at a glance.
_COLOURS = {
    "direct": ("#0072B2", "#009E73", "#56B4E9", "#08457E", "#66A61E", "#6A51A3"),
    "two_stage": ("#D55E00", "#E69F00", "#CC79A7", "#8C2D04"),
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
        for place, model in enumerate(members):
            colours = _COLOURS[family]
            found[model] = {
                "color": colours[place % len(colours)],
                "marker": _MARKERS[place % len(_MARKERS)],
                **_STROKES[family],
            }
    return found
