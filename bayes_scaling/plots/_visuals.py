"""How the parts of a figure are drawn: usual keyword arguments, and those of the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.cbook import normalize_kwargs
from matplotlib.lines import Line2D

from bayes_scaling.errors import ModelError

# For each part of a figure, keyword arguments of Matplotlib, or False to leave the part out.
VisualsLike = Mapping[str, Mapping[str, Any] | bool]


class Visuals:
    """Keyword arguments of the parts of one figure, as ArviZ's `visuals` are.

    Parameters
    ----------
    given : mapping or None
        What the user asks for.
    *parts : str
        Names of the parts that the figure has.

    Raises
    ------
    ModelError
        If the figure has no such part.
    """

    def __init__(self, given: VisualsLike | None, *parts: str) -> None:
        self._given = given or {}
        if unknown := sorted(set(self._given) - set(parts)):
            raise ModelError(
                f"visuals: the figure has no part {', '.join(map(repr, unknown))}; its parts are "
                f"{', '.join(parts)}"
            )

    def __call__(self, part: str, **usual: Any) -> dict[str, Any]:
        """Return the keyword arguments of a part; one that is left out is not visible."""
        wanted, looks = self._given.get(part, True), normalize_kwargs(usual, Line2D)
        if isinstance(wanted, Mapping):
            return {**looks, **normalize_kwargs(dict(wanted), Line2D)}
        # Legends pass over labels that begin with an underscore.
        return looks if wanted else {**looks, "visible": False, "label": f"_{part}"}
