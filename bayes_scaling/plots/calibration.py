"""How good forecasts of larger runs were: error by distance, and calibration."""

from __future__ import annotations

from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter
from numpy.typing import NDArray

from bayes_scaling.errors import ModelError
from bayes_scaling.evaluation.intervals import estimate
from bayes_scaling.evaluation.scoring import with_errors
from bayes_scaling.plots import _palette, _style
from bayes_scaling.plots._visuals import Visuals, VisualsLike

# What identifies a held-out score: the same run may be held out at several cut-offs.
_SCORE = ["benchmark", "metric", "mixture", "cutoff", "run", "flops", "observed"]
_MOST_BINS = 7
_HEADINGS = {
    "stacked": "mixture",
    "direct": "direct laws",
    "two_stage": "laws through a loss",
    "point": "point fits (absolute error)",
}
# Both shares of a model are drawn beside its name, so that their intervals do not overlap.
_APART = 0.13
_COVERAGE = {0.5: "cover50", 0.9: "cover90"}


def plot_crps_by_distance(
    scores: pd.DataFrame, *, ax: Axes | None = None, visuals: VisualsLike | None = None
) -> Figure:
    """Plot the error of forecasts against how far they extrapolate.

    Parameters
    ----------
    scores : pandas.DataFrame
        One row per model × held-out score, as :attr:`Backtest.scores`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure, with the legend beside it.
    visuals : mapping of str to mapping or False, optional
        Keyword arguments of Matplotlib for parts of the figure, or False to leave one out,
        as in ArviZ. The parts are `model`, `edge`.

    Returns
    -------
    matplotlib.figure.Figure
        Mean CRPS of each model (mean absolute error for point fits) in bins of distance, over
        the scores that every model forecast.

    Raises
    ------
    ModelError
        If there are no scores.

    Examples
    --------
    >>> from bayes_scaling import backtest, load_dataset, load_model
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> models = {law: load_model(law) for law in ("power_law", "power_law_ceiling")}
    >>> figure = plot_crps_by_distance(backtest(models, runs, [6e21]).scores)
    >>> figure.axes[0].get_yscale()
    'log'
    """
    drawn = Visuals(visuals, "model", "edge")
    looks = _looks(scores)
    shared, note = _shared(scores)
    edges = _edges(shared["distance"].to_numpy(float))
    with _style.style():
        beside = ax is None
        if ax is None:
            _, ax = plt.subplots(figsize=(8.8, 4.6))
        figure = cast(Figure, ax.figure)
        for model, look in looks.items():
            x, y = _binned(shared[shared["model"] == model], edges)
            line = drawn("model", label=_style.literal(model), ms=5.5, mec="white", **look)
            ax.plot(x, 100 * y, **line)
        for edge in edges[1:-1]:
            ax.axvline(edge, **drawn("edge", color=_style.GUIDE, lw=0.5, alpha=0.4, zorder=0))
        ax.set(xscale="log", yscale="log", xlim=(edges[0], edges[-1]))
        ax.set_xlabel("Extrapolation distance: target compute / largest fitted compute")
        ax.set_ylabel("Mean CRPS (points of accuracy)")
        ax.set_title(f"Error of forecasts by distance, {note}")
        _plain_ticks(ax)
        _add_legend(figure if beside else ax, ax, looks, scores)
    return figure


def plot_calibration(
    scores: pd.DataFrame, *, ax: _style.Panels | None = None, visuals: VisualsLike | None = None
) -> Figure:
    """Plot whether forecast intervals hold as often as they say.

    Parameters
    ----------
    scores : pandas.DataFrame
        One row per model × held-out score, as :attr:`Backtest.scores`. Point fits have no
        intervals and are left out.
    ax : array of matplotlib.axes.Axes, optional
        Two axes to draw on; by default on a new figure.
    visuals : mapping of str to mapping or False, optional
        Keyword arguments of Matplotlib for parts of the figure, or False to leave one out,
        as in ArviZ. The parts are `zero`, `pit`, `nominal`, `share`, `interval`.

    Returns
    -------
    matplotlib.figure.Figure
        Left, the distribution of the PIT (the share of the forecast below the observed score)
        minus the uniform one that it should be. Right, the share of scores within 50% and 90%
        intervals, each with a 90% interval that is clustered by run and benchmark. There is none
        below three runs or three benchmarks.

    Raises
    ------
    ModelError
        If no score has an interval, or `ax` holds fewer than two axes.

    Examples
    --------
    >>> from bayes_scaling import backtest, load_dataset, load_model
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> models = {law: load_model(law) for law in ("power_law", "power_law_ceiling")}
    >>> len(plot_calibration(backtest(models, runs, [6e21]).scores).axes)
    2
    """
    drawn = Visuals(visuals, "zero", "pit", "nominal", "share", "interval")
    with_pit = scores[scores["pit"].notna()]
    looks = _looks(with_pit)
    shared, note = _shared(with_pit)
    with _style.style():
        if ax is None:
            height = max(4.4, 1.8 + 0.36 * len(looks))
            figure, (left, right) = plt.subplots(1, 2, figsize=(11.0, height))
            figure.suptitle(f"Calibration of forecasts, {note}", x=0.01, ha="left", size=10.5)
        else:
            figure, (left, right) = _style.given_panels(ax, 2, "for the PIT and for coverage")
        _draw_pit(left, shared, looks, drawn)
        _draw_coverage(right, shared, looks, drawn)
    return figure


# ---- scores ------------------------------------------------------------------------------------


def _looks(scores: pd.DataFrame) -> dict[str, dict[str, Any]]:
    if scores.empty:
        raise ModelError("there are no scores of forecasts with intervals to plot")
    families = scores.drop_duplicates("model").set_index("model")["family"]
    return _palette.looks({str(model): str(family) for model, family in families.items()})


def _shared(scores: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the scores that every model forecast, and in words how many; else all."""
    models = scores.groupby(_SCORE)["model"].transform("nunique")
    everywhere = scores[models == scores["model"].nunique()]
    total = len(scores[_SCORE].drop_duplicates())
    if everywhere.empty:
        return scores, f"{total} scores, not the same for every model"
    kept = len(everywhere[_SCORE].drop_duplicates())
    more = f" of {total}, those that every model forecast" if kept < total else ""
    return everywhere, f"{kept} scores{more}"


def _edges(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return edges of bins of equal width in log distance, each at least a factor of 1.5."""
    low, high = distance.min() / 1.05, distance.max() * 1.05
    bins = int(np.clip(np.log(high / low) / np.log(1.5), 1, _MOST_BINS))
    return np.geomspace(low, high, bins + 1)


def _binned(
    scores: pd.DataFrame, edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean distance (geometric) and mean CRPS of each bin that is not empty."""
    groups = scores.groupby(np.digitize(scores["distance"], edges))
    distance = groups["distance"].apply(lambda values: np.exp(np.log(values).mean()))
    return distance.to_numpy(float), groups["crps"].mean().to_numpy(float)


# ---- drawing -----------------------------------------------------------------------------------


def _draw_pit(
    ax: Axes, scores: pd.DataFrame, looks: dict[str, dict[str, Any]], drawn: Visuals
) -> None:
    ax.axhline(0, **drawn("zero", color=_style.GUIDE, lw=1))
    for model, look in looks.items():
        pit = np.sort(scores.loc[scores["model"] == model, "pit"].to_numpy(float))
        # The line rises at each score, and falls along the uniform distribution between scores.
        x = np.concatenate([[0], np.repeat(pit, 2), [1]])
        below = np.repeat(np.arange(len(pit) + 1) / len(pit), 2)
        stroke = {k: v for k, v in look.items() if k != "marker"}
        ax.plot(x, below - x, **drawn("pit", **stroke))
    ax.set(xlim=(0, 1))
    ax.set_xlabel("PIT: share of the forecast below the observed score")
    ax.set_ylabel("ECDF of the PIT less the uniform one")
    ax.set_title(
        "above 0: forecasts too high; below 0: too low;\nfirst above, then below: too narrow"
    )


def _draw_coverage(
    ax: Axes, scores: pd.DataFrame, looks: dict[str, dict[str, Any]], drawn: Visuals
) -> None:
    for level in _COVERAGE:
        ax.axvline(level, **drawn("nominal", color=_style.GUIDE, lw=1, ls=(0, (5, 3))))
    for row, (model, look) in enumerate(looks.items()):
        rows = with_errors(scores[scores["model"] == model])
        for level, name in _COVERAGE.items():
            share = estimate(rows, name)
            face = look["color"] if level > 0.5 else "white"
            height = row + (_APART if level > 0.5 else -_APART)
            own = {"color": look["color"], "marker": look["marker"], "mfc": face}
            ax.plot(share.mean, height, **drawn("share", ms=6.5, ls="none", zorder=3, **own))
            line = drawn("interval", color=look["color"], lw=1.2)
            ax.hlines(height, share.low, share.high, **line)
    ax.set_yticks(range(len(looks)), [_style.literal(model) for model in looks])
    for label, look in zip(ax.get_yticklabels(), looks.values(), strict=True):
        label.set_color(look["color"])
    ax.invert_yaxis()
    ax.set(xlim=(-0.02, 1.02))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel("Share of held-out scores within the interval")
    ax.set_title(
        "hollow: 50% interval; filled: 90% interval\n"
        "(dashed: as they should be; lines: 90% uncertainty)"
    )


def _plain_ticks(ax: Axes) -> None:
    """Label log axes by plain numbers: all digits where there is room, else 1, 2 and 5."""
    formatter = FuncFormatter(lambda value, _: f"{value:g}")
    for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        wide = high / low > 12
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if wide else (1.0,)))
        axis.set_major_formatter(formatter)
        axis.set_minor_formatter(NullFormatter() if wide else formatter)


def _add_legend(
    owner: Figure | Axes, ax: Axes, looks: dict[str, dict[str, Any]], scores: pd.DataFrame
) -> None:
    """Name the models under their families, in the order of the palette."""
    family = scores.drop_duplicates("model").set_index("model")["family"]
    handles, labels = ax.get_legend_handles_labels()
    if not handles:  # the models were left out
        return
    grouped: list[tuple[Any, str]] = []
    for (model, handle), label in zip(zip(looks, handles, strict=True), labels, strict=True):
        heading = _HEADINGS[family[model]]
        if heading not in [text for _, text in grouped]:
            grouped.append((Line2D([], [], ls="none"), heading))
        grouped.append((handle, label))
    place: Any = "outside right center" if isinstance(owner, Figure) else "best"
    entries, names = zip(*grouped, strict=True)
    legend = owner.legend(entries, names, loc=place)
    for text in legend.get_texts():
        if text.get_text() in _HEADINGS.values():
            text.set_fontweight("bold")
