"""The joint forecast of all benchmarks of a ladder: one panel each, and one of their average."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from bayes_scaling.fitting.ladder_fit import LadderFit
from bayes_scaling.plots import _style
from bayes_scaling.plots._visuals import Visuals, VisualsLike
from bayes_scaling.runs import Runs

_GRID = 60
_COLUMNS = 4
_AVERAGE = "average of all"
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def plot_ladder(
    fit: LadderFit,
    held_out: Runs | None = None,
    *,
    flops: ArrayLike | None = None,
    ax: _style.Panels | None = None,
    visuals: VisualsLike | None = None,
) -> Figure:
    """Plot the score that one future run would have on each benchmark, and on average.

    Parameters
    ----------
    fit : LadderFit
        The fit.
    held_out : Runs, optional
        Runs that were not fitted, to compare with.
    flops : array_like, optional
        Budgets at which bands are evaluated; by default a grid from the smallest run to three
        times the largest, at the median ratio of tokens to parameters.
    ax : array of matplotlib.axes.Axes, optional
        Axes to draw on, one for each benchmark and a last one for their average; by default on a
        new figure.
    visuals : mapping of str to mapping or False, optional
        Keyword arguments of Matplotlib for parts of the figure, or False to leave one out,
        as in ArviZ. The parts are `band_90`, `band_50`, `median`, `cutoff`, `fitted`,
        `held_out`.

    Returns
    -------
    matplotlib.figure.Figure
        Bands of the score: 50% and 90%, on the fitted test sets.

    Raises
    ------
    ModelError
        If `ax` holds too few axes.

    Warns
    -----
    ConvergenceWarning
        If the draws should not be trusted.

    Examples
    --------
    Compiling takes most of a minute, so the fit is left out where examples are tested.

    >>> from bayes_scaling import fit_ladder, load_dataset
    >>> runs = load_dataset(mixture="dclm").select(["piqa", "sciq"], "acc", tokens_per_param=20)
    >>> fit = fit_ladder(runs.below(6e21))  # doctest: +SKIP
    >>> plot_ladder(fit, runs.above(6e21)).get_supxlabel()  # doctest: +SKIP
    'Training compute C (FLOPs); dotted line: largest fitted run'
    """
    look = Visuals(visuals, "band_90", "band_50", "median", "cutoff", "fitted", "held_out")
    fitted = fit.runs.table
    unseen = held_out.table if held_out is not None else fitted.iloc[:0]
    budgets = np.concatenate([fitted["flops"], unseen["flops"]])
    usual = np.geomspace(budgets.min(), budgets.max() * 3, _GRID)
    grid = usual if flops is None else np.sort(np.asarray(flops, float).ravel())
    score = fit.forecast(flops=grid, tokens_per_param=fit.usual_ratio)["score"]
    average = score.mean("benchmark").expand_dims(benchmark=[_AVERAGE])
    bands = xr.concat([score, average], "benchmark").quantile(_QUANTILES, dim=("chain", "draw"))
    names = bands["benchmark"].to_numpy().tolist()
    with _style.style():
        if ax is None:
            figure, axes = _canvas(len(names))
        else:
            what = "one for each benchmark and one for their average"
            figure, axes = _style.given_panels(ax, len(names), what)
        for panel, name in zip(axes, names, strict=True):
            _draw_band(panel, grid, bands.sel(benchmark=name), look)
            for part, table in (("fitted", fitted), ("held_out", unseen)):
                _draw_runs(panel, _scores(table, name, len(names) - 1), part, look)
            guide = look("cutoff", color=_style.GUIDE, lw=0.8, ls=":")
            panel.axvline(fitted["flops"].max(), **guide)
            panel.set(xscale="log", title=_style.literal(name))
        if ax is None:
            _head(figure, axes, fit)
        else:
            axes[0].legend()
            _style.warn_above(axes[0], fit.diagnostics.problems())
    return figure


def _canvas(n: int) -> tuple[Figure, list[Axes]]:
    rows = -(-n // _COLUMNS)
    figure, axes = plt.subplots(
        rows, _COLUMNS, figsize=(11, 2.2 * rows + 0.8), sharex=True, squeeze=False
    )
    for spare in axes.flat[n:]:
        spare.set_visible(False)
    # The lowest visible panel of each column has the labels of the budgets.
    for place in range(max(0, n - _COLUMNS), n):
        axes.flat[place].tick_params(labelbottom=True)
    return figure, list(axes.flat[:n])


def _head(figure: Figure, axes: list[Axes], fit: LadderFit) -> None:
    """Add labels, legend and title to a new figure."""
    figure.supxlabel("Training compute C (FLOPs); dotted line: largest fitted run", fontsize=10)
    figure.supylabel("Accuracy of one run", fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))
    figure.suptitle(_title(fit), x=0.01, ha="left", fontsize=10.5, color=_colour(fit))


def _title(fit: LadderFit) -> str:
    seen, problems = fit.bound.observations, fit.diagnostics.problems()
    route = f"through {seen.attrs['loss']}" if fit.bound.has_loss else "without a loss"
    title = f"{_style.literal(seen.attrs['mixture'])}: ladder model {route}"
    return title + (f"\nNOT CONVERGED: {'; '.join(problems)}" if problems else "")


def _colour(fit: LadderFit) -> str:
    return _style.ALARM if fit.diagnostics.problems() else "black"


def _draw_band(ax: Axes, grid: NDArray[np.float64], bands: xr.DataArray, look: Visuals) -> None:
    low, lower, middle, upper, high = (bands.sel(quantile=q).to_numpy() for q in _QUANTILES)
    wide = look("band_90", color=_style.SCORE_BANDS["90%"], lw=0, label="90% of scores")
    narrow = look("band_50", color=_style.SCORE_BANDS["50%"], lw=0, label="50%")
    ax.fill_between(grid, low, high, **wide)
    ax.fill_between(grid, lower, upper, **narrow)
    ax.plot(grid, middle, **look("median", color=_style.SCORE, lw=1.2, label="median"))


def _scores(table: pd.DataFrame, name: str, benchmarks: int) -> pd.DataFrame:
    """Return the scores of one benchmark, or the averages of runs that have all scores."""
    if name != _AVERAGE:
        return table[table["benchmark"] == name]
    runs = table.groupby("run").agg({"flops": "first", "score": "mean", "benchmark": "nunique"})
    return runs[runs["benchmark"] == benchmarks]


def _draw_runs(ax: Axes, table: pd.DataFrame, part: str, look: Visuals) -> None:
    usual: dict[str, Any] = {"color": _style.FITTED, "marker": "o", "label": "fitted runs"}
    if part == "held_out":
        usual = {"color": _style.HELD_OUT, "marker": "D", "label": "held-out runs"}
    if len(table):
        ax.plot(table["flops"], table["score"], **look(part, ls="none", ms=3, **usual))
