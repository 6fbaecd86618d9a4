"""Which model predicts left-out runs best, and how sure that is."""

from __future__ import annotations

import textwrap

from arviz_plots import plot_compare
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_scaling.evaluation.comparison import Comparison
from bayes_scaling.plots import _palette, _style

_DPI = 100


def plot_comparison(comparison: Comparison) -> Figure:
    """Plot differences of elpd by leave-one-out, with their standard errors.

    Parameters
    ----------
    comparison : Comparison
        From :func:`bayes_scaling.evaluation.comparison.compare`.

    Returns
    -------
    matplotlib.figure.Figure
        One row per model, best on top, by :func:`arviz_plots.plot_compare`, with its stacking
        weight and the number of runs whose Pareto k was too large, which were refitted.

    Examples
    --------
    >>> from bayes_scaling import compare, fit_runs, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> fits = {law: fit_runs(runs.below(6e21), law) for law in ("power_law", "power_law_ceiling")}
    >>> len(plot_comparison(compare(fits)).axes)
    1
    """
    table = comparison.table
    with _style.style():
        collection = plot_compare(
            table,
            backend="matplotlib",
            visuals={
                "title": False,
                "labels": False,
                "error_bar": {"color": _style.GUIDE, "width": 1.5},
                "point_estimate": {"alpha": 0.0},
                "ref_line": {"color": _style.GUIDE},
            },
            figure_kwargs={"figsize": (8.8, 1.5 + 0.4 * len(table)), "figsize_units": "inches"},
        )
        figure, ax = (collection.viz[name].item() for name in ("figure", "plot"))
        figure.set_dpi(_DPI)
        _draw_points(ax, comparison)
        _annotate(ax, comparison)
    return figure


def _draw_points(ax: Axes, comparison: Comparison) -> None:
    """Draw each model in the colour that it has in the other figures."""
    families = {
        name: "two_stage" if fit.model.two_stage else "direct"
        for name, fit in comparison.fits.items()
    }
    looks = _palette.looks(families)
    for row, name in enumerate(comparison.table.index):
        place = len(comparison.table) - row
        look = {k: v for k, v in looks[name].items() if k in ("color", "marker")}
        ax.plot(comparison.table["elpd_diff"][name], place, ms=7, mec="white", **look)


def _annotate(ax: Axes, comparison: Comparison) -> None:
    seen = next(iter(comparison.fits.values())).observations
    columns = {"weight": 1.08, "bad k": 1.2}
    beside = ax.get_yaxis_transform()
    top = len(comparison.table) + 0.75
    for heading, x in columns.items():
        ax.text(x, top, heading, transform=beside, ha="right", va="center", color=_style.GUIDE)
    for row, name in enumerate(comparison.table.index):
        place = len(comparison.table) - row
        cells = f"{comparison.weights[name]:.2f}", f"{comparison.table['bad_k'][name]:d}"
        for x, text in zip(columns.values(), cells, strict=True):
            ax.text(x, place, text, transform=beside, ha="right", va="center")
    ax.set_ylim(0.4, top + 0.3)
    ax.set_xlabel("elpd less the best model's, ± standard error (nats; right is better)")
    title = (
        f"{seen.attrs['benchmark']} ({seen.attrs['metric']}), {seen.attrs['mixture']}: "
        f"leave-one-out over {seen.sizes['row']} scores given budget"
    )
    ax.set_title(_style.literal(textwrap.fill(title, 100)))
