"""Where the uncertainty of a forecast comes from."""

from __future__ import annotations

from typing import cast

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bayes_scaling.plots import _style
from bayes_scaling.plots._visuals import Visuals, VisualsLike

# Parameters in blues, scatter of runs in oranges, the noise of a finite test in grey; stage 1
# dark, stage 2 light.
_COLOURS = {
    "parameters": "#08457E",
    "scatter": "#E69F00",
    "stage-1 parameters": "#08457E",
    "stage-1 residual": "#C25A00",
    "stage-2 parameters": "#6BAED6",
    "stage-1 × stage-2": "#CC79A7",
    "stage-2 scatter": "#F3BC57",
    "item noise": "#BDBDBD",
}
_DARK = {"parameters", "stage-1 parameters", "stage-1 residual"}
# A part narrower than this has no room for a number.
_LEAST_LABELLED = 0.04


def plot_error_budget(
    budget: xr.Dataset, *, ax: Axes | None = None, visuals: VisualsLike | None = None
) -> Figure:
    """Plot the share of a forecast's variance from each source.

    Parameters
    ----------
    budget : xarray.Dataset
        From :func:`bayes_scaling.fitting.error_budgets.error_budget`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.
    visuals : mapping of str to mapping or False, optional
        Keyword arguments of Matplotlib for parts of the figure, or False to leave one out,
        as in ArviZ. The parts are `bar`, `share`, `sd`.

    Returns
    -------
    matplotlib.figure.Figure
        One bar per future run, with the standard deviation of its forecast score beside it.

    Examples
    --------
    >>> from bayes_scaling import error_budget, fit_runs, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> figure = plot_error_budget(error_budget(fit_runs(runs.below(6e21)), flops=[1e22, 1e23]))
    >>> figure.axes[0].get_xlabel()
    'Share of the predictive variance'
    """
    look = Visuals(visuals, "bar", "share", "sd")
    with _style.style():
        names = [f"{budget.attrs[name]}" for name in ("benchmark", "metric", "mixture", "law")]
        what = "{} ({}), {}: {}".format(*names)
        title = _style.literal(f"{what}\nshare of the variance of one run's score, by source")
        if ax is not None:
            _draw(ax, budget, look)
            ax.set_title(title)
            ax.legend(loc="upper left", bbox_to_anchor=(0, -0.25), ncols=3)
            return cast(Figure, ax.figure)
        figure, ax = plt.subplots(figsize=(8.8, 1.7 + 0.46 * budget.sizes["budget"]))
        _draw(ax, budget, look)
        figure.suptitle(title, x=0.01, ha="left", size=10.5)
        figure.legend(loc="outside lower left", ncols=3)
    return figure


def _draw(ax: Axes, budget: xr.Dataset, look: Visuals) -> None:
    places = np.arange(budget.sizes["budget"])
    left = np.zeros(len(places))
    for source in budget["source"].values:
        share = budget["share"].sel(source=source).to_numpy()
        bar = look("bar", color=_COLOURS[source], label=source, height=0.72)
        bars = ax.barh(places, share, left=left, **bar)
        text = [f"{100 * s:.0f}" if s >= _LEAST_LABELLED else "" for s in share]
        colour = "white" if source in _DARK else "black"
        ax.bar_label(bars, text, label_type="center", **look("share", color=colour, size=9))
        left = left + share
    for place, total in enumerate(budget["total"].to_numpy()):
        ax.text(1.01, place, f"sd {100 * total**0.5:.2g} points", **look("sd", va="center"))
    ax.set_yticks(places, [_name(budget.isel(budget=place)) for place in places])
    ax.invert_yaxis()
    ax.set(xlim=(0, 1), xlabel="Share of the predictive variance")
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _name(run: xr.Dataset) -> str:
    """Return a future run in words."""
    if "flops" in run.coords:
        exponent = int(np.floor(np.log10(float(run["flops"]))))
        figure = f"{float(run['flops']) / 10.0**exponent:.3g}"
        times = "" if figure == "1" else rf"{figure} \times "
        name = rf"${times}10^{{{exponent}}}$ FLOPs"
    else:
        name = f"{float(run['params']):.3g} parameters"
    return name + (f", k = {float(run['k']):g}" if "k" in run.coords else "")
