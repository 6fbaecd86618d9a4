"""The figure of a ladder: what it shows, on draws that were not sampled."""

from dataclasses import replace

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from figure_parts import check_parts
from pooled import BENCHMARKS, fit_of_prior, grid_of_budgets, simulate

from bayes_scaling.errors import ConvergenceWarning, ModelError
from bayes_scaling.plots import plot_ladder

CUTOFF = 1e20


@pytest.fixture(scope="module")
def runs():
    return simulate(grid_of_budgets(4), through=True, rng=np.random.default_rng(3))


@pytest.fixture(scope="module")
def fit(runs):
    return fit_of_prior(runs.below(CUTOFF), draws=50)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_each_benchmark_and_the_average_have_a_panel_with_runs(fit, runs):
    figure = plot_ladder(fit, runs.above(CUTOFF))
    panels = {ax.get_title(loc="left"): ax for ax in figure.axes if ax.get_visible()}
    assert set(panels) == {*BENCHMARKS, "average of all"}
    assert all(ax.get_xscale() == "log" for ax in panels.values())
    lines = {line.get_label(): line for line in panels["average of all"].lines}
    table = runs.above(CUTOFF).table
    expected = table.groupby("run")["score"].mean().sort_values()
    shown = np.sort(np.asarray(lines["held-out runs"].get_ydata(), float))
    np.testing.assert_allclose(shown, expected)
    assert "FLOPs" in figure.get_supxlabel()


def test_draws_that_did_not_converge_say_so_in_the_title(fit):
    stats = fit.sample_stats.copy(deep=True)
    stats["diverging"][0, 0] = True
    with pytest.warns(ConvergenceWarning):
        figure = plot_ladder(replace(fit, sample_stats=stats))
    assert "NOT CONVERGED" in figure.get_suptitle()


def test_panels_can_be_drawn_on_given_axes(fit):
    stats = fit.sample_stats.copy(deep=True)
    stats["diverging"][0, 0] = True
    figure, axes = plt.subplots(2, 4)
    with pytest.warns(ConvergenceWarning):
        assert plot_ladder(replace(fit, sample_stats=stats), ax=axes) is figure
    assert "NOT CONVERGED" in axes[0, 0].get_title(loc="left")
    assert axes.flat[len(BENCHMARKS)].get_title(loc="left") == "average of all"
    with pytest.raises(ModelError, match="one for each benchmark"):
        plot_ladder(fit, ax=axes[0, 0])


def test_parts_can_be_changed_and_left_out(fit, runs):
    check_parts(plot_ladder, fit, runs.above(CUTOFF))
