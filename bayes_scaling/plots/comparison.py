"""Which model predicts left-out runs best, and how sure that is."""

from __future__ import annotations

import textwrap
from typing import cast

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_scaling.evaluation.comparison import Comparison
from bayes_scaling.plots import _palette, _style
from bayes_scaling.plots._visuals import Visuals, VisualsLike


def plot_comparison(
    comparison: Comparison, *, ax: Axes | None = None, visuals: VisualsLike | None = None
) -> Figure:
    """Plot differences of elpd by leave-one-out, with their standard errors.

    Parameters
    ----------
    comparison : Comparison
        From :func:`bayes_scaling.evaluation.comparison.compare`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure. The weights stand to its right.
    visuals : mapping of str to mapping or False, optional
        Keyword arguments of Matplotlib for parts of the figure, or False to leave one out,
        as in ArviZ. The parts are `zero`, `error`, `model`, `cell`.

    Returns
    -------
    matplotlib.figure.Figure
        One row per model, best on top, with its stacking weight and the number of runs whose
        Pareto k was too large, which were refitted. It is what :func:`arviz_plots.plot_compare`
        draws, on axes of the user's, which that function does not take.

    Examples
    --------
    >>> from bayes_scaling import compare, fit_runs, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> fits = {law: fit_runs(runs.below(6e21), law) for law in ("power_law", "power_law_ceiling")}
    >>> len(plot_comparison(compare(fits)).axes)
    1
    """
    look = Visuals(visuals, "zero", "error", "model", "cell")
    table = comparison.table
    with _style.style():
        if ax is None:
            _, ax = plt.subplots(figsize=(8.8, 1.5 + 0.4 * len(table)))
        _draw_points(ax, comparison, look)
        _annotate(ax, comparison, look)
    return cast(Figure, ax.get_figure(root=True))


def _draw_points(ax: Axes, comparison: Comparison, look: Visuals) -> None:
    """Draw each model in the colour that it has in the other figures, the best one on top."""
    table = comparison.table
    places = {name: len(table) - row for row, name in enumerate(table.index)}
    ax.axvline(0, **look("zero", color=_style.GUIDE, lw=1, ls="--"))
    ax.set_yticks(list(places.values()), [_style.literal(name) for name in places])
    families = {
        name: "two_stage" if fit.model.two_stage else "direct"
        for name, fit in comparison.fits.items()
    }
    looks = _palette.looks(families)
    for name, place in places.items():
        middle, error = table["elpd_diff"][name], table["dse"][name]
        own = {k: v for k, v in looks[name].items() if k in ("color", "marker")}
        bar = look("error", color=_style.GUIDE, lw=1.5)
        ax.plot([middle - error, middle + error], [place, place], **bar)
        ax.plot(middle, place, **look("model", ms=7, mec="white", **own))


def _annotate(ax: Axes, comparison: Comparison, look: Visuals) -> None:
    seen = next(iter(comparison.fits.values())).observations
    columns = {"weight": 1.08, "bad k": 1.2}
    beside = ax.get_yaxis_transform()
    top = len(comparison.table) + 0.75
    for heading, x in columns.items():
        cell = look("cell", transform=beside, ha="right", va="center", color=_style.GUIDE)
        ax.text(x, top, heading, **cell)
    for row, name in enumerate(comparison.table.index):
        place = len(comparison.table) - row
        cells = f"{comparison.weights[name]:.2f}", f"{comparison.table['bad_k'][name]:d}"
        for x, text in zip(columns.values(), cells, strict=True):
            ax.text(x, place, text, **look("cell", transform=beside, ha="right", va="center"))
    ax.set_ylim(0.4, top + 0.3)
    ax.set_xlabel("elpd less the best model's, ± standard error (nats; right is better)")
    title = (
        f"{seen.attrs['benchmark']} ({seen.attrs['metric']}), {seen.attrs['mixture']}: "
        f"leave-one-out over {seen.sizes['row']} scores given budget"
    )
    ax.set_title(_style.literal(textwrap.fill(title, 100)))
