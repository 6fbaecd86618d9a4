"""What the fit has learnt from the runs: each parameter's posterior beside its prior."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
from arviz_stats.base import array_stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from bayes_scaling.errors import ModelError
from bayes_scaling.fitting.fit import Fit
from bayes_scaling.laws import Constant, Parameter
from bayes_scaling.plots import _style
from bayes_scaling.plots._visuals import Visuals, VisualsLike

_MOST_COLUMNS = 3
_PRIOR_DRAWS = 1000
# A prior is often far wider than the posterior. An axis shows at most this many widths of
# the posterior's 90% interval, so that its shape can be read.
_MOST_WIDTHS = 8.0


def plot_priors(
    fit: Fit,
    parameters: Sequence[str] | None = None,
    *,
    ax: _style.Panels | None = None,
    visuals: VisualsLike | None = None,
) -> Figure:
    """Plot the posterior of each parameter with its prior.

    Parameters
    ----------
    fit : Fit
        Any fit.
    parameters : sequence of str, optional
        Sampled or textbook parameters; by default all sampled ones. If the law shows a constant
        in place of a parameter, such as the ceiling for its logarithm, that is plotted.
    ax : array of matplotlib.axes.Axes, optional
        Axes to draw on, one for each parameter; by default on a new figure.
    visuals : mapping of str to mapping or False, optional
        Keyword arguments of Matplotlib for parts of the figure, or False to leave one out,
        as in ArviZ. The parts are `posterior_band`, `posterior`, `prior`, `interval`.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per parameter. Densities are to scale, so a prior much wider than the posterior
        lies flat along the bottom.

    Raises
    ------
    ModelError
        If the fit has no such parameter, or `ax` holds too few axes.

    Examples
    --------
    >>> from bayes_scaling import fit_runs, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> figure = plot_priors(fit_runs(runs.below(6e21)), ["exponent"])
    >>> figure.axes[0].get_xlabel()
    'exponent'
    """
    look = Visuals(visuals, "posterior_band", "posterior", "prior", "interval")
    single = [str(name) for name, draws in fit.posterior.items() if draws.ndim == 2]
    names = _default(fit, single) if parameters is None else list(parameters)
    unknown = [name for name in names if name not in single]
    if unknown or not names:
        raise ModelError(
            f"no parameter {', '.join(unknown) or 'given'} to plot; the fit has {', '.join(single)}"
        )
    prior = fit.prior(_PRIOR_DRAWS)
    with _style.style():
        if ax is None:
            figure, axes = _canvas(len(names))
        else:
            figure, axes = _style.given_panels(ax, len(names), "one for each parameter")
        for panel, name in zip(axes, names, strict=True):
            learned, before = (d[name].to_numpy().ravel() for d in (fit.posterior, prior))
            _draw(panel, learned, before, look)
            _name(panel, fit, name)
        if ax is None:
            _head(figure, axes, fit)
        else:
            axes[0].legend()
            _style.warn_above(axes[0], fit.diagnostics.problems())
    return figure


def _head(figure: Figure, axes: list[Axes], fit: Fit) -> None:
    """Add title and legend to a new figure."""
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=len(labels))
    title, colour = _style.heading(fit), _style.heading_colour(fit)
    figure.suptitle(title, color=colour, x=0.01, ha="left", size=10.5)
    # Labels of ticks reach beyond their axis.
    cast(ConstrainedLayoutEngine, figure.get_layout_engine()).set(w_pad=0.1)


def _default(fit: Fit, single: list[str]) -> list[str]:
    sampled = [p for p in fit.bound.parameters if p.name in single]
    own = [p.name for p in sampled if p.shown_as not in single]
    return own + [p.shown_as for p in sampled if p.shown_as in single]


def _canvas(n: int) -> tuple[Figure, list[Axes]]:
    columns = 2 if n == 4 else min(n, _MOST_COLUMNS)
    rows = -(-n // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(max(4.4, 3.4 * columns), 0.9 + 2.5 * rows), squeeze=False
    )
    for spare in axes.flat[n:]:
        spare.remove()
    return figure, list(axes.flat[:n])


def _draw(
    ax: Axes, posterior: NDArray[np.float64], prior: NDArray[np.float64], look: Visuals
) -> None:
    low, high = np.quantile(posterior, [0.05, 0.95])
    x, density, _ = array_stats.kde(posterior, bw="silverman")
    ax.fill_between(x, density, **look("posterior_band", color=_style.CURVE_BANDS["90%"], lw=0))
    ax.plot(x, density, **look("posterior", color=_style.CURVE, lw=1.4, label="posterior"))
    line = look("prior", color=_style.PRIOR, lw=1.4, ls="--", label="prior")
    ax.plot(*array_stats.kde(prior, bw="silverman")[:2], **line)
    usual: dict[str, Any] = {"color": _style.CURVE, "lw": 4, "solid_capstyle": "butt"}
    bar = look("interval", clip_on=False, label="90% of the posterior", **usual)
    ax.plot([low, high], [0, 0], **bar)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set(xlim=_span(posterior, prior), ylim=(0, None), yticks=[])
    ax.spines["left"].set_visible(False)


def _span(posterior: NDArray[np.float64], prior: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of the axis: the whole posterior, and as much of the prior as fits."""
    low, high = np.quantile(posterior, [0.05, 0.95])
    room = (_MOST_WIDTHS - 1) / 2 * (high - low)
    prior_low, prior_high = np.quantile(prior, [0.01, 0.99])
    return (
        min(posterior.min(), max(prior_low, low - room)),
        max(posterior.max(), min(prior_high, high + room)),
    )


def _name(ax: Axes, fit: Fit, name: str) -> None:
    declared: tuple[Parameter | Constant, ...] = fit.bound.parameters
    named = {one.name: one for one in (*declared, *fit.model.law.constants)}
    unit = named[name].unit if name in named else ""
    meaning = named[name].meaning if name in named else ""
    ax.set_xlabel(f"{name} ({unit})" if unit else name)
    ax.set_title(textwrap.fill(meaning, 42), size=8.5, color=_style.GUIDE)
