"""Figures as they stand in the page: small PNG files inside it, with values under the pointer."""

from __future__ import annotations

import base64
import io
import json
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from arviz_plots import plot_loo_pit
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from bayes_scaling.fitting.residual_checks import loo_tree
from bayes_scaling.plots import plot_error_budget, plot_forecast, plot_priors

if TYPE_CHECKING:
    from bayes_scaling.reporting.parts import Part

_DPI = 110
# Bands and lines of one figure have few colours, and a palette makes its file three times smaller.
_COLOURS = 96
_POINTS = 40
_PIT_SIZE = {"figsize": (7, 3.2), "figsize_units": "inches"}


@dataclass(frozen=True)
class Picture:
    """A figure in the page.

    Attributes
    ----------
    data : str
        The PNG file as a data URI.
    width : int
        Width in CSS pixels.
    text : str
        What it shows, for readers who do not see it.
    hover : str
        JSON of what is shown under the pointer; empty for nothing.
    """

    data: str
    width: int
    text: str
    hover: str = ""


def picture(figure: Figure, text: str, hover: str = "") -> Picture:
    """Return a figure as a picture of the page, and close it."""
    raw = io.BytesIO()
    figure.savefig(raw, dpi=_DPI, facecolor="white")
    plt.close(figure)
    with Image.open(raw) as image:
        packed = io.BytesIO()
        image.convert("RGB").quantize(_COLOURS).save(packed, "png", optimize=True)
        width = image.width
    code = base64.b64encode(packed.getvalue()).decode("ascii")
    return Picture(f"data:image/png;base64,{code}", round(width * 96 / _DPI), text, hover)


def forecast_picture(part: Part) -> Picture:
    """Return runs, curve and bands of a fit."""
    figure = plot_forecast(part.fit, part.held_out, flops=_grid(part))
    axes = figure.axes
    hover = "" if _panels(axes) > 1 else _hover(figure, axes[0], part)
    what = f"Accuracy of {part.label} against training compute, with bands of curve and score"
    return picture(figure, what, hover)


def priors_picture(part: Part) -> Picture:
    """Return posterior and prior of each parameter."""
    return picture(plot_priors(part.fit), f"Posteriors and priors of {part.label}")


def error_budget_picture(part: Part) -> Picture:
    """Return the variance of the forecast by source."""
    figure = plot_error_budget(part.error_budget())
    return picture(figure, f"Variance of the forecast of {part.label} by source")


def pit_picture(part: Part) -> Picture | None:
    """Return leave-one-out PITs of the fitted scores; None where they tell nothing."""
    tree = loo_tree(part.fit)
    if tree is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # large Pareto k: the checks say it
        drawn = plot_loo_pit(
            tree, backend="matplotlib", visuals={"title": False}, figure_kwargs=_PIT_SIZE
        )
    figure = drawn.viz["figure"].item()
    figure.set_layout_engine("constrained")
    return picture(figure, f"Leave-one-out PITs of {part.label}")


def _grid(part: Part) -> Any:
    smallest = float(part.fit.runs.table["flops"].min())
    return np.geomspace(smallest / 1.5, 1.5 * max(part.largest, *part.asked), 80)


def _panels(axes: list[Axes]) -> int:
    return sum(ax.get_ylabel().startswith("Accuracy") for ax in axes)


def _hover(figure: Figure, ax: Axes, part: Part) -> str:
    """Return where the axes are in the picture, and the bands at budgets between their ends."""
    figure.canvas.draw()  # the layout is known only then
    box = ax.get_position()
    low, high = ax.get_xlim()
    band = part.band(low, high, _POINTS)
    return json.dumps({"left": box.x0, "right": box.x1, **band}, separators=(",", ":"))
