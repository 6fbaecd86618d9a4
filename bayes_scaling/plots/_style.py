"""Colours and typography that the figures share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayes_scaling.errors import ModelError
from bayes_scaling.fitting.fit import Fit

# What `ax` may be where a figure has several panels.
Panels = Axes | Sequence[Axes] | NDArray[Any]

# Hues of Okabe and Ito (2008), which stay apart for colour-blind readers; each band comes in a
# light tone (90%) and a darker one (50%), so that it also survives a black-and-white printer.
CURVE = "#08457E"
CURVE_BANDS = {"90%": "#9CC5E6", "50%": "#3F8FC9"}
SCORE = "#C98200"
SCORE_BANDS = {"90%": "#FCE7BD", "50%": "#F3BC57"}
FITTED = "#333333"
HELD_OUT = "#D55E00"
LEFT_OUT = "#8C8C8C"
CEILING = "#A8508A"
PRIOR = "#7F7F7F"
GUIDE = "#6E6E6E"
ALARM = "#B00020"

_TYPOGRAPHY: Any = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.constrained_layout.use": True,
}


@contextmanager
def style() -> Iterator[None]:
    """Set the typography while a figure is drawn; the user's settings hold outside.

    `plt.rc_context` is no use here: at its end it would undo what a notebook sets at its first
    figure, and no later figure would show.
    """
    before = {name: plt.rcParams[name] for name in _TYPOGRAPHY}
    plt.rcParams.update(_TYPOGRAPHY)
    try:
        yield
    finally:
        plt.rcParams.update(before)


def given_panels(ax: Panels, n: int, what: str) -> tuple[Figure, list[Axes]]:
    """Return the figure and the first n of the user's axes.

    Raises
    ------
    ModelError
        If there are fewer.
    """
    axes: list[Axes] = np.ravel(cast(Any, ax)).tolist()
    if len(axes) < n:
        raise ModelError(f"ax should hold {n} axes, {what}, and holds {len(axes)}")
    return cast(Figure, axes[0].get_figure(root=True)), axes[:n]


def warn_above(ax: Axes, problems: Sequence[str]) -> None:
    """Say above a panel of the user's that draws have not converged, if so."""
    if problems:
        text = f"NOT CONVERGED: {'; '.join(problems)}\n{ax.get_title(loc='left')}"
        ax.set_title(text, color=ALARM, loc="left")


def heading(fit: Fit, *details: str) -> str:
    """Return the title of a figure of one fit; it says so if the fit has not converged."""
    seen, problems = fit.observations, fit.diagnostics.problems()
    what = f"{literal(seen.attrs['benchmark'])}, {literal(seen.attrs['mixture'])}"
    law = fit.model.law_name + (f" through {fit.model.loss}" if fit.model.two_stage else "")
    how = (f"{fit.model.likelihood_name} likelihood", f"{fit.model.floor} floor", *details)
    lines = [f"{what}: {law}", ", ".join(how)]
    return "\n".join(lines + [f"NOT CONVERGED: {'; '.join(problems)}"] * bool(problems))


def literal(text: str) -> str:
    """Return text that Matplotlib shows as it is, without reading formulas in it."""
    return text.replace("$", r"\$")


def heading_colour(fit: Fit) -> str:
    """Return the colour of that title: red if the fit has not converged."""
    return ALARM if fit.diagnostics.problems() else "black"
