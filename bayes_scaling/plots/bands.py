"""Forecasts of several models in one panel: direct beside two-stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from bayes_scaling.errors import ModelError
from bayes_scaling.fitting.fit import Fit
from bayes_scaling.fitting.forecasts import summarise
from bayes_scaling.plots import _palette, _style
from bayes_scaling.plots._visuals import Visuals, VisualsLike
from bayes_scaling.runs import Runs

_GRID = 80


def plot_bands(
    fits: Mapping[str, Fit],
    held_out: Runs | None = None,
    *,
    flops: ArrayLike | None = None,
    ax: Axes | None = None,
    visuals: VisualsLike | None = None,
) -> Figure:
    """Plot the forecasts of several fits of one series in one panel.

    Parameters
    ----------
    fits : mapping of str to Fit
        Fits of one benchmark, metric and mixture, by name.
    held_out : Runs, optional
        Runs that were not fitted, to compare with.
    flops : array_like, optional
        Budgets at which bands are evaluated; by default a grid from below the smallest run to
        three times the largest. A law in parameters and tokens is drawn at the median ratio of
        the two.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    visuals : mapping of str to mapping or False, optional
        Keyword arguments of Matplotlib for parts of the figure, or False to leave one out,
        as in ArviZ. The parts are `band`, `edge`, `median`, `cutoff`, `fitted`, `held_out`.

    Returns
    -------
    matplotlib.figure.Figure
        The median and the 90% interval of the score of one future run, for each fit.

    Raises
    ------
    ModelError
        If the fits are of different series, or of scores at several k.

    Warns
    -----
    ConvergenceWarning
        If draws should not be trusted.

    Examples
    --------
    >>> from bayes_scaling import fit_runs, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> figure = plot_bands({"power law": fit_runs(runs.below(6e21))}, runs.above(6e21))
    >>> figure.axes[0].get_xlabel()
    'Training compute C (FLOPs)'
    """
    drawn = Visuals(visuals, "band", "edge", "median", "cutoff", "fitted", "held_out")
    first = _same_series(fits)
    fitted = first.runs.table
    unseen = held_out.table if held_out is not None else fitted.iloc[:0]
    grid = _grid(fitted, unseen) if flops is None else np.sort(np.asarray(flops, float).ravel())
    families = {n: "two_stage" if f.model.two_stage else "direct" for n, f in fits.items()}
    with _style.style():
        axes = plt.subplots(figsize=(8.8, 4.8))[1] if ax is None else ax
        for name, look in _palette.looks(families).items():
            _draw_band(axes, fits[name], name, grid, look, drawn)
        _draw_runs(axes, fitted, unseen, drawn)
        _annotate(axes, first, grid)
        figure = cast(Figure, axes.figure)
        if ax is None:
            figure.legend(loc="outside right center")
        else:
            axes.legend()
    return figure


def _same_series(fits: Mapping[str, Fit]) -> Fit:
    """Return the first fit, if all are of one series."""
    if not fits:
        raise ModelError("plot_bands needs at least one fit")
    (_, first), *others = fits.items()
    for name, fit in others:
        if fit.observations.attrs != first.observations.attrs:
            ours, theirs = (" ".join(f.observations.attrs.values()) for f in (first, fit))
            raise ModelError(f"{name} is a fit of {theirs}, not of {ours}; draw them apart")
    if len(first.runs.table["k"].unique()) > 1:
        raise ModelError("plot_bands draws scores at one k; fit runs.select(k=...)")
    return first


def _grid(fitted: pd.DataFrame, unseen: pd.DataFrame) -> NDArray[np.float64]:
    budgets = pd.concat([fitted["flops"], unseen["flops"]])
    return np.geomspace(budgets.min() / 1.5, budgets.max() * 3, _GRID)


def _draw_band(
    ax: Axes,
    fit: Fit,
    name: str,
    grid: NDArray[np.float64],
    look: dict[str, Any],
    drawn: Visuals,
) -> None:
    table = fit.runs.table
    more: dict[str, Any] = {
        column: float(table[column].median())
        for column in _beside_flops(fit)
        if table[column].notna().all()
    }
    band = summarise(fit.forecast(flops=grid, **more), "score")
    colour, stroke = look["color"], {"lw": look["lw"], "ls": look["ls"]}
    ends = drawn("band", color=colour, alpha=0.16, lw=0)
    ax.fill_between(grid, band["q05"], band["q95"], **ends)
    ax.plot(grid, band[["q05", "q95"]], **drawn("edge", color=colour, lw=0.7, ls=look["ls"]))
    line = drawn("median", color=colour, label=_style.literal(name), **stroke)
    ax.plot(grid, band["median"], **line)


def _beside_flops(fit: Fit) -> list[str]:
    """Return what a law reads besides FLOPs, parameters and tokens as their ratio."""
    columns = fit.model.law.columns
    ratio = ["tokens_per_param"] if {"params", "tokens"} & set(columns) else []
    return ratio + [name for name in columns if name not in ("flops", "params", "tokens")]


def _draw_runs(ax: Axes, fitted: pd.DataFrame, unseen: pd.DataFrame, drawn: Visuals) -> None:
    cut = fitted["flops"].max()
    guide: dict[str, Any] = {"color": _style.GUIDE, "lw": 1, "ls": (0, (5, 3))}
    ax.axvline(cut, **drawn("cutoff", label="largest budget fitted", **guide))
    shared: dict[str, Any] = {"ls": "none", "ms": 5.2, "mec": "white", "mew": 0.6, "zorder": 3}
    seen = drawn("fitted", marker="o", color=_style.FITTED, label="fitted runs", **shared)
    ax.plot(fitted["flops"], fitted["score"], **seen)
    if len(unseen):
        # Black, because the colours stand for models.
        hollow = shared | {"mfc": "white", "mec": "black", "mew": 1.2, "marker": "D"}
        new = drawn("held_out", label="held-out runs", **hollow)
        ax.plot(unseen["flops"], unseen["score"], **new)


def _annotate(ax: Axes, fit: Fit, grid: NDArray[np.float64]) -> None:
    seen = fit.observations.attrs
    ax.set(xscale="log", xlim=(grid[0], grid[-1]))
    ax.set_xlabel("Training compute C (FLOPs)")
    ax.set_ylabel(_style.literal(f"Accuracy of {seen['benchmark']} ({seen['metric']})"))
    bottom, top = ax.get_ylim()
    ax.set_ylim(max(bottom, -0.02), min(top, 1.02))
    what = _style.literal(f"{seen['benchmark']}, {seen['mixture']}")
    ax.set_title(f"{what}: median and 90% interval of the score of one future run")
