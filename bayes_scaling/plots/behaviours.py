"""Behaviours of tasks: a panel each with its trend, the share predictable, and what flips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayes_scaling.errors import BayesScalingError
from bayes_scaling.evaluation.behaviours import BEHAVIOURS
from bayes_scaling.evaluation.classification import CANNOT_TELL, Classification
from bayes_scaling.fitting.trend_fit import TrendFit
from bayes_scaling.plots import _style
from bayes_scaling.plots._visuals import Visuals, VisualsLike

_COLUMNS, _POINTS = 6, 60
# Okabe and Ito (2008).
COLOURS = {
    "predictable": "#0072B2",
    "breakthrough": "#009E73",
    "nonmonotone": "#E69F00",
    "inverse": "#D55E00",
    "noisy": "#CC79A7",
    "trendless": "#7F7F7F",
    CANNOT_TELL: "#D9D9D9",
}
_MARKERS = "os^Dv"
_PARTS = ("band", "trend", "runs")


def plot_behaviours(
    found: Classification, *, ax: _style.Panels | None = None, visuals: VisualsLike | None = None
) -> Figure:
    """Plot the accuracy of each task against the validation loss, with its trend and behaviour.

    Parameters
    ----------
    found : Classification
        From :func:`bayes_scaling.classify`.
    ax : array of matplotlib.axes.Axes, optional
        Axes to draw on, one for each task; by default on a new figure.
    visuals : mapping of str to mapping or False, optional
        Keyword arguments of Matplotlib for parts of the figure, or False to leave one out,
        as in ArviZ. The parts are `band`, `trend`, `runs`.

    Returns
    -------
    matplotlib.figure.Figure
        A panel a task: runs by mixture, with the median trend and its 90% band. The colour and
        the title say which behaviour is most probable.

    Raises
    ------
    ModelError
        If `ax` holds too few axes.

    Examples
    --------
    >>> from bayes_scaling import classify, load_dataset
    >>> runs = load_dataset(mixture="dclm").select(["sciq", "piqa"], "acc", tokens_per_param=20)
    >>> figure = plot_behaviours(classify(runs, "loss_c4", losses=[]))
    >>> figure.get_supxlabel()
    'loss_c4 (nats); better models to the right'
    """
    look = Visuals(visuals, *_PARTS)
    rows_of = {row["task"]: row for row in found.table().to_dict("records")}
    with _style.style():
        if ax is None:
            figure, axes = _grid(found, {str(row["behaviour"]) for row in rows_of.values()})
        else:
            figure, axes = _style.given_panels(ax, len(rows_of), "one for each task")
        mixtures = _mixtures(found)
        for panel, one in zip(axes, found.tasks, strict=True):
            row = rows_of[one.task]
            _title(panel, one.task, row)
            fit = one.fits.get(("", found.loss))
            if fit is None:
                panel.text(0.5, 0.5, "cannot tell", ha="center", transform=panel.transAxes)
                panel.set(xticks=[], yticks=[])
            else:
                _draw(panel, fit, COLOURS[row["behaviour"]], mixtures, look)
    return figure


def _grid(found: Classification, there: set[str]) -> tuple[Figure, list[Axes]]:
    """Return a new figure with a panel for each task, labels and legend."""
    tasks, mixtures = len(found.tasks), _mixtures(found)
    columns = min(_COLUMNS, tasks)
    rows = -(-tasks // columns)
    size = (2.1 * columns + 0.6, 1.75 * rows + 1.0)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for spare in axes.flat[tasks:]:
        spare.set_visible(False)
    figure.supxlabel(f"{found.loss} (nats); better models to the right", fontsize=10)
    figure.supylabel("Accuracy", fontsize=10)
    figure.legend(
        handles=[*_behaviour_handles(there), *_mixture_handles(mixtures, mixtures)],
        loc="outside upper left",
        ncols=max(2, columns - 1),
    )
    return figure, list(axes.flat[:tasks])


def plot_trend(
    found: Classification,
    task: str,
    *,
    ax: Axes | None = None,
    visuals: VisualsLike | None = None,
) -> Axes:
    """Plot the accuracy of one task against the validation loss, with its trend and behaviour.

    Parameters
    ----------
    found : Classification
        From :func:`bayes_scaling.classify`.
    task : str
        A task in its table.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.
    visuals : mapping of str to mapping or False, optional
        Keyword arguments of Matplotlib for parts of the figure, or False to leave one out,
        as in ArviZ. The parts are `band`, `trend`, `runs`.

    Returns
    -------
    matplotlib.axes.Axes
        Runs by mixture, with the median trend of each mixture and its 90% band.

    Raises
    ------
    BayesScalingError
        If there is no such task, or nothing can be told of it.

    Examples
    --------
    >>> from bayes_scaling import classify, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("sciq", "acc", tokens_per_param=20)
    >>> ax = plot_trend(classify(runs, "loss_c4", losses=[]), "sciq")
    >>> ax.get_xlabel()
    'loss_c4 (nats); better models to the right'
    """
    look = Visuals(visuals, *_PARTS)
    rows = {row["task"]: row for row in found.table().to_dict("records")}
    one = next((one for one in found.tasks if one.task == task), None)
    if one is None:
        raise BayesScalingError(f"no task {task!r}; there are {', '.join(rows)}")
    fit = one.fits.get(("", found.loss))
    if fit is None:
        raise BayesScalingError(f"{task}: nothing can be told, {rows[task]['reason']}")
    with _style.style():
        if ax is None:
            _, ax = plt.subplots(figsize=(5.2, 3.6))
        mixtures = _mixtures(found)
        _draw(ax, fit, COLOURS[rows[task]["behaviour"]], mixtures, look, size=4)
        _title(ax, task, rows[task])
        ax.set(xlabel=f"{found.loss} (nats); better models to the right", ylabel="Accuracy")
        band = Patch(color=COLOURS[rows[task]["behaviour"]], alpha=0.3, label="trend, 90% band")
        ax.legend(handles=[*_mixture_handles(list(fit.bound.mixtures), mixtures), band])
    return ax


def plot_flips(
    found: Classification, *, ax: Axes | None = None, visuals: VisualsLike | None = None
) -> Figure:
    """Plot the most probable behaviour of each task for each mixture and validation loss.

    Parameters
    ----------
    found : Classification
        From :func:`bayes_scaling.classify`, with a context.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.
    visuals : mapping of str to mapping or False, optional
        Keyword arguments of Matplotlib for parts of the figure, or False to leave one out,
        as in ArviZ. The parts are `cells`.

    Returns
    -------
    matplotlib.figure.Figure
        A row a task and a column for each mixture and loss. Rows whose colour changes are tasks
        whose behaviour depends on the corpus or on the loss.

    Examples
    --------
    >>> from bayes_scaling import classify, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("sciq", "acc", tokens_per_param=20)
    >>> figure = plot_flips(classify(runs, "loss_c4", losses=["loss_c4"]))
    >>> len(figure.axes)
    1
    """
    look = Visuals(visuals, "cells")
    context = found.context()
    context["column"] = [f"{m}\n{loss}" for m, loss in context[["mixture", "loss"]].to_numpy()]
    order = context.sort_values(["mixture", "loss"], kind="stable")["column"].unique()
    wide = context.pivot_table("behaviour", "task", "column", "first", sort=False)[list(order)]
    sure = context.assign(p=context[[f"p_{b}" for b in BEHAVIOURS]].max(axis=1))
    certain = sure.pivot_table("p", "task", "column", "first", sort=False).reindex(wide.index)
    kinds = list(COLOURS)
    codes = wide.map(lambda name: kinds.index(name) if isinstance(name, str) else len(kinds) - 1)
    with _style.style():
        if ax is None:
            size = (0.32 * len(order) + 3.6, 0.2 * len(wide) + 2.6)
            _, ax = plt.subplots(figsize=size)
        figure = cast(Figure, ax.figure)
        strength = certain[list(order)].fillna(1.0).to_numpy()
        usual: dict[str, Any] = {
            "cmap": ListedColormap(list(COLOURS.values())),
            "vmin": -0.5,
            "vmax": len(kinds) - 0.5,
            "alpha": np.clip(strength, 0.3, 1.0),
            "aspect": "auto",
            "interpolation": "none",
        }
        ax.imshow(codes.to_numpy(), **look("cells", **usual))
        labels = [name.replace("\n", ": ") for name in order]
        ax.set_xticks(range(len(order)), labels, rotation=90, fontsize=7)
        ax.set_yticks(range(len(wide)), list(wide.index), fontsize=7)
        ax.set_xlabel("mixture and validation loss; paler: less certain")
        figure.legend(
            handles=_behaviour_handles(set(context["behaviour"])),
            loc="outside upper left",
            ncols=4,
        )
    return figure


def _mixtures(found: Classification) -> list[str]:
    fits = [one.fits.get(("", found.loss)) for one in found.tasks]
    return sorted({m for fit in fits if fit is not None for m in fit.bound.mixtures})


def _title(ax: Axes, task: str, row: Mapping[Any, Any]) -> None:
    what = str(row["behaviour"])
    end = "" if what == CANNOT_TELL else f" {row[f'p_{what}']:.0%}"
    mark = "\nNOT CONVERGED" if row["problems"] else ""
    name = _style.literal(task if len(task) < 27 else f"{task[:25]}…")
    ax.set_title(f"{name}\n{what}{end}{mark}", fontsize=7.5, color=_ink(what))


def _ink(behaviour: str) -> str:
    return "#555555" if behaviour == CANNOT_TELL else COLOURS[behaviour]


def _draw(
    ax: Axes, fit: TrendFit, colour: str, mixtures: list[str], look: Visuals, *, size: float = 2
) -> None:
    """Draw runs, and the trend of each mixture over the losses of its runs."""
    seen, scale, offsets = fit.bound.observations, fit.bound.scale, fit.offsets()
    for mixture in fit.bound.mixtures:
        part = seen.isel(row=np.flatnonzero(seen["mixture"] == mixture))
        first, last = scale.places(np.array([part["loss"].max(), part["loss"].min()]))
        grid = xr.DataArray(scale.losses(np.linspace(first, last, _POINTS)), dims="place")
        curve = fit.curve(grid) + offsets.sel(mixture=mixture)
        low, middle, high = curve.quantile([0.05, 0.5, 0.95], dim="sample").to_numpy()
        ax.fill_between(grid, low, high, **look("band", color=colour, alpha=0.3, lw=0))
        ax.plot(grid, middle, **look("trend", color=colour, lw=1.3))
        mark: dict[str, Any] = {"marker": _marker(mixture, mixtures), "color": _style.FITTED}
        dots = look("runs", ls="none", ms=size, alpha=0.6, **mark)
        ax.plot(part["loss"], part["score"], **dots)
    ax.invert_xaxis()
    ax.tick_params(labelsize=7)


def _behaviour_handles(there: set[str]) -> list[Patch]:
    return [Patch(color=colour, label=name) for name, colour in COLOURS.items() if name in there]


def _mixture_handles(shown: list[str], mixtures: list[str]) -> list[Line2D]:
    """Return legend entries of some mixtures; markers are told by the place among all."""
    return [
        Line2D([], [], ls="", marker=_marker(m, mixtures), color=_style.FITTED, ms=4, label=m)
        for m in shown
    ]


def _marker(mixture: str, mixtures: list[str]) -> str:
    return _MARKERS[mixtures.index(mixture) % len(_MARKERS)]
