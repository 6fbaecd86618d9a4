"""Accuracy against training compute: runs, curve, and what a future run may score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from bayes_scaling.errors import ModelError, RunsError
from bayes_scaling.fitting.fit import Fit
from bayes_scaling.fitting.forecasts import QUANTILES, summarise
from bayes_scaling.plots import _style
from bayes_scaling.plots._visuals import Visuals, VisualsLike
from bayes_scaling.runs import Runs

_GRID = 80
_MOST_PANELS = 4
# Ratios of tokens to parameters that differ by less than this factor are one nominal ratio.
_SAME_RATIO = 1.25
# Order of the legend, by the beginnings of its entries.
_LEGEND = (
    *("fitted", "left out", "held-out", "median", "50% of the curve", "90% of the curve"),
    *("50% of the score", "90% of the score", "posterior of", "chance", "largest"),
)
_PARTS = (
    "score_band",
    "score_edge",
    "curve_band",
    "curve",
    "cutoff",
    "fitted",
    "left_out",
    "held_out",
    "chance",
    "ceiling",
)


@dataclass(frozen=True)
class _Panel:
    """The part of the runs for which accuracy is a function of compute alone."""

    title: str
    inputs: dict[str, Any]
    fitted: pd.DataFrame
    held_out: pd.DataFrame
    left_out: pd.DataFrame


@dataclass(frozen=True)
class _Bands:
    """Quantiles of score and curve at each budget."""

    flops: NDArray[np.float64]
    score: pd.DataFrame
    curve: pd.DataFrame


def plot_forecast(
    fit: Fit,
    runs_held_out: Runs | None = None,
    *,
    flops: ArrayLike | None = None,
    panels: Sequence[float] | None = None,
    ax: Axes | None = None,
    visuals: VisualsLike | None = None,
) -> Figure:
    """Plot accuracy against training compute, with the bands of the curve and of the score.

    The band of the curve is the uncertainty about the law. The band of the score is for the
    measured score of one future run on the same test set: it holds the curve, the scatter of
    runs, and the noise of the items that runs do not share.

    Parameters
    ----------
    fit : Fit
        Any fit. A law in FLOPs and samples k is drawn with a panel for each k, a law in
        parameters and tokens with a panel for each ratio of the two.
    runs_held_out : Runs, optional
        Runs that were not fitted, to compare with.
    flops : array_like, optional
        Budgets at which curve and bands are evaluated; by default a grid from below the
        smallest run to three times the largest.
    panels : sequence of float, optional
        Which k, or tokens per parameter, to draw; by default up to four that span the runs.
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel.
    visuals : mapping of str to mapping or False, optional
        Keyword arguments of Matplotlib for parts of the figure, or False to leave one out,
        as in ArviZ. The parts are `score_band`, `score_edge`, `curve_band`, `curve`,
        `cutoff`, `fitted`, `left_out`, `held_out`, `chance`, `ceiling`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ModelError
        If `ax` is given and there are several panels, or `panels` is given for one panel.
    RunsError
        If the held-out runs are not of the benchmark and metric that were fitted.

    Warns
    -----
    ConvergenceWarning
        If the draws should not be trusted; the title says so too.

    Examples
    --------
    >>> from bayes_scaling import fit_runs, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> figure = plot_forecast(fit_runs(runs.below(6e21)), runs.above(6e21))
    >>> figure.axes[0].get_xscale()
    'log'
    """
    look = Visuals(visuals, *_PARTS)
    if runs_held_out is not None and len(runs_held_out):
        _require_same_series(fit, runs_held_out)
    parts = _panels(fit, runs_held_out, panels)
    grid = _grid(fit, runs_held_out) if flops is None else np.sort(np.asarray(flops, float).ravel())
    with _style.style():
        figure, axes, strip = _canvas(len(parts), ax)
        for axis, part in zip(axes, parts, strict=True):
            bands = _bands(fit, part, grid)
            _draw(axis, fit, bands, part, look)
            _draw_ends(axis, fit, part, look)
        if strip is not None:
            _draw(strip, fit, *_residuals(bands, part), look)
            strip.set_ylabel("less the median\n(points)")
        _annotate(figure, axes, strip, fit, _title(fit, runs_held_out, parts))
        _add_legend(figure, axes, outside=ax is None)
    return figure


# ---- what to draw ------------------------------------------------------------------------------


def _require_same_series(fit: Fit, held_out: Runs) -> None:
    held_out.require_one_series()
    for column in ("benchmark", "metric"):
        fitted, other = fit.observations.attrs[column], held_out.table[column].iloc[0]
        if other != fitted:
            raise RunsError(f"held-out runs are of {column} {other}, the fit is of {fitted}")


def _panels(fit: Fit, held_out: Runs | None, wanted: Sequence[float] | None) -> list[_Panel]:
    fitted = fit.runs.table
    unseen = held_out.table if held_out is not None else fitted.iloc[:0]
    name, values = _facets(fit, pd.concat([fitted, unseen]), wanted)
    return [_panel(fit, fitted, unseen, name, value) for value in values]


def _facets(
    fit: Fit, table: pd.DataFrame, wanted: Sequence[float] | None
) -> tuple[str | None, list[float]]:
    """Return what tells the panels apart, and its values."""
    columns = set(fit.model.law.columns)
    if not columns & {"k", "params", "tokens"}:
        if wanted is not None:
            raise ModelError(f"{fit.model.law_name} has one panel; leave out panels")
        return None, [np.nan]
    name = "k" if "k" in columns else "tokens_per_param"
    if wanted is not None:
        return name, [float(value) for value in wanted]
    present = _distinct(table[name].to_numpy(float), 1.0 if name == "k" else _SAME_RATIO)
    places = np.linspace(0, len(present) - 1, min(_MOST_PANELS, len(present)))
    return name, [present[i] for i in np.unique(places.round().astype(int))]


def _distinct(values: NDArray[np.float64], tolerance: float) -> list[float]:
    """Return the values that differ by more than a factor, each the median of its neighbours."""
    values = np.sort(values)
    breaks = np.flatnonzero(values[1:] > values[:-1] * tolerance) + 1
    return [float(np.median(group)) for group in np.split(values, breaks)]


def _panel(
    fit: Fit, fitted: pd.DataFrame, unseen: pd.DataFrame, name: str | None, value: float
) -> _Panel:
    if name is not None:
        fitted, unseen = (
            t[(t[name] / value).between(1 / _SAME_RATIO, _SAME_RATIO)] for t in (fitted, unseen)
        )
    seen = fitted["run"].isin(fit.observations["run"].to_numpy())
    return _Panel(
        title={None: "", "k": f"k = {value:g}"}.get(name, f"{value:.3g} tokens per parameter"),
        inputs=_held(fit) | ({} if name is None else {name: value}),
        fitted=fitted[seen],
        held_out=unseen,
        left_out=fitted[~seen],
    )


def _held(fit: Fit) -> dict[str, float]:
    """Return the covariates that a law reads, at their medians over the fitted runs."""
    names = [name for name in fit.model.law.columns if name in fit.runs.covariates]
    return {name: float(fit.runs.table[name].median()) for name in names}


def _grid(fit: Fit, held_out: Runs | None) -> NDArray[np.float64]:
    tables = [fit.runs.table] + ([held_out.table] if held_out is not None else [])
    budgets = pd.concat([table["flops"] for table in tables])
    return np.geomspace(budgets.min() / 1.5, budgets.max() * 3, _GRID)


def _bands(fit: Fit, part: _Panel, grid: NDArray[np.float64]) -> _Bands:
    forecast = fit.forecast(flops=grid, **part.inputs)
    score, curve = summarise(forecast, "score"), summarise(forecast, "curve")
    return _Bands(grid, score[list(QUANTILES)], curve[list(QUANTILES)])


def _residuals(bands: _Bands, part: _Panel) -> tuple[_Bands, _Panel]:
    """Return bands and runs minus the median of the curve, in points of accuracy."""
    median = bands.curve["median"]

    def less_median(table: pd.DataFrame) -> pd.DataFrame:
        there = np.interp(np.log(table["flops"]), np.log(bands.flops), median)
        return table.assign(score=100 * (table["score"] - there))

    score, curve = (100 * table.sub(median, axis=0) for table in (bands.score, bands.curve))
    tables = (less_median(table) for table in (part.fitted, part.held_out, part.left_out))
    return _Bands(bands.flops, score, curve), _Panel(part.title, part.inputs, *tables)


# ---- drawing -----------------------------------------------------------------------------------


def _canvas(n_panels: int, ax: Axes | None) -> tuple[Figure, list[Axes], Axes | None]:
    """Return the figure, one axes per panel and, below a single panel, a strip for residuals."""
    if ax is not None:
        if n_panels > 1:
            raise ModelError(f"{n_panels} panels do not fit one ax; choose one with panels=[...]")
        return cast(Figure, ax.figure), [ax], None
    if n_panels == 1:
        figure, (main, strip) = plt.subplots(
            2, figsize=(7.6, 6.6), sharex=True, height_ratios=(3.4, 1)
        )
        return figure, [main], strip
    rows = -(-n_panels // 2)
    size = (11.0, 0.9 + 3.2 * rows)
    figure, axes = plt.subplots(rows, 2, figsize=size, sharey=True, squeeze=False)
    for spare in axes.flat[n_panels:]:
        spare.remove()
    return figure, list(axes.flat[:n_panels]), None


def _draw(ax: Axes, fit: Fit, bands: _Bands, part: _Panel, look: Visuals) -> None:
    """Draw what panels and residual strip share: bands, cut-off and runs."""
    grid = bands.flops
    of_score = "of the score of one run on the same test set"
    _fill(ax, grid, bands.score, _style.SCORE_BANDS, of_score, "score_band", look)
    _fill(ax, grid, bands.curve, _style.CURVE_BANDS, "of the curve", "curve_band", look)
    # Where the law itself is uncertain, its bands cover those of the score; edges show on top.
    edges = look("score_edge", color=_style.SCORE, lw=0.6)
    ax.plot(grid, bands.score[["q05", "q25", "q75", "q95"]], **edges)
    median = look("curve", color=_style.CURVE, lw=1.3, label="median of the curve")
    ax.plot(grid, bands.curve["median"], **median)
    cut = fit.runs.table["flops"].max()
    guide: dict[str, Any] = {"color": _style.GUIDE, "lw": 1, "ls": (0, (5, 3))}
    ax.axvline(cut, **look("cutoff", label="largest budget fitted", **guide))
    usual: dict[str, Any] = {"ls": "none", "ms": 5.2, "mec": "white", "mew": 0.6, "zorder": 3}
    for name, runs, label, marker, colour in (
        ("fitted", part.fitted, "fitted runs", "o", _style.FITTED),
        ("left_out", part.left_out, "left out, near chance", "X", _style.LEFT_OUT),
        ("held_out", part.held_out, "held-out runs", "D", _style.HELD_OUT),
    ):
        shown = runs[runs["flops"].between(grid[0], grid[-1])]
        mark = look(name, marker=marker, color=colour, label=label, **usual)
        if len(shown):
            ax.plot(shown["flops"], shown["score"], **mark)
    ax.set(xscale="log", xlim=(grid[0], grid[-1]))


def _fill(
    ax: Axes,
    grid: NDArray[np.float64],
    table: pd.DataFrame,
    colours: dict[str, str],
    of: str,
    part: str,
    look: Visuals,
) -> None:
    for share, low, high in (("90%", "q05", "q95"), ("50%", "q25", "q75")):
        band = look(part, color=colours[share], lw=0, label=f"{share} {of}")
        ax.fill_between(grid, table[low], table[high], **band)


def _draw_ends(ax: Axes, fit: Fit, part: _Panel, look: Visuals) -> None:
    """Draw where the curve comes from and where it tends to."""
    chance = float(fit.observations["chance"])
    guide: dict[str, Any] = {"color": _style.GUIDE, "lw": 1, "ls": (0, (1, 2))}
    ax.axhline(chance, **look("chance", label=f"chance level ({chance:.3g})", **guide))
    if fit.model.law.ceiling:
        _draw_ceiling(ax, fit, look)
    ax.set_title(part.title)


def _draw_ceiling(ax: Axes, fit: Fit, look: Visuals) -> None:
    """Draw the posterior of the accuracy at endless compute, sideways at the right edge."""
    floor = fit.posterior["floor"] if "floor" in fit.posterior else fit.observations["chance"]
    ceiling = (floor + (1 - floor) * fit.posterior[fit.model.law.ceiling]).to_numpy().ravel()
    accuracy, density, _ = array_stats.kde(ceiling)
    edge = ax.inset_axes((1.0, 0.0, 0.09, 1.0), sharey=ax)
    usual: dict[str, Any] = {"color": _style.CEILING, "alpha": 0.6, "lw": 0}
    edge.fill_betweenx(
        accuracy, density, **look("ceiling", label="posterior of the ceiling", **usual)
    )
    edge.set(xlim=(0, 1.1 * density.max()), xticks=[])
    edge.spines[:].set_visible(False)
    edge.tick_params(left=False, labelleft=False)


def _title(fit: Fit, held_out: Runs | None, parts: list[_Panel]) -> str:
    n_held_out = len(held_out) if held_out is not None else 0
    counts = f"{fit.observations.sizes['row']} scores fitted, {n_held_out} held out"
    # Several panels each have their own title.
    panel = [part.title for part in parts if part.title and len(parts) == 1]
    panel += [f"{name} = {value:.3g}" for name, value in _held(fit).items()]
    return _style.heading(fit, counts, *panel)


def _annotate(figure: Figure, axes: list[Axes], strip: Axes | None, fit: Fit, title: str) -> None:
    seen = fit.observations.attrs
    for ax in axes:
        ax.set_ylabel(_style.literal(f"Accuracy of {seen['benchmark']} ({seen['metric']})"))
    for ax in axes if strip is None else [strip]:
        ax.set_xlabel("Training compute C (FLOPs)")
    bottom, top = axes[0].get_ylim()
    axes[0].set_ylim(max(bottom, -0.02), min(top, 1.02))
    colour = _style.heading_colour(fit)
    if len(axes) == 1:
        axes[0].set_title(title, color=colour)
    else:
        figure.suptitle(title, color=colour, x=0.01, ha="left", size=10.5)


def _add_legend(figure: Figure, axes: list[Axes], *, outside: bool) -> None:
    named: dict[str, Artist] = {}
    for ax in (*axes, *cast(list[Axes], axes[0].child_axes)):
        handles, labels = ax.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    order = {label: i for i, s in enumerate(_LEGEND) for label in named if label.startswith(s)}
    labels = sorted(named, key=lambda label: order.get(label, len(_LEGEND)))
    handles = [named[label] for label in labels]
    if outside:
        figure.legend(handles, labels, loc="outside lower left", ncols=2)
    else:
        axes[0].legend(handles, labels)
