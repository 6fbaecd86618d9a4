"""Figures of behaviours: a panel a task, and what flips."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from figure_parts import check_parts
from trends import CURVES, task

from bayes_scaling.plots import plot_behaviours, plot_flips, plot_trend
from bayes_scaling.runs import Runs
from bayes_scaling.study.classifying import classify

NAMES = ["dull", "inverse", "predictable"]


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(8)
    parts = [task(CURVES[name], rng, name=name).table for name in ("predictable", "inverse")]
    parts.append(parts[0].assign(benchmark="dull", score=0.25))
    runs = Runs.from_frame(pd.concat(parts))
    return classify(runs, "loss_web", losses=runs.losses, draws=500, tune=300)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_each_task_has_a_panel_that_names_its_behaviour(found):
    figure = plot_behaviours(found)
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()]
    assert [title.split("\n")[0] for title in titles] == NAMES
    assert titles[2].split("\n")[1].startswith("predictable ")
    assert titles[0].endswith("cannot tell")
    first = figure.axes[1]
    assert first.xaxis_inverted()
    assert len(first.lines) == 4  # runs and trend of two mixtures
    assert "loss_web (nats)" in figure.get_supxlabel()


def test_tasks_can_be_drawn_on_given_axes(found):
    figure, axes = plt.subplots(1, 4)
    assert plot_behaviours(found, ax=axes) is figure
    assert [ax.get_title(loc="left").split("\n")[0] for ax in axes] == [*NAMES, ""]
    assert figure.legends == []


def test_parts_can_be_changed_and_left_out(found):
    check_parts(plot_behaviours, found)
    check_parts(plot_trend, found, NAMES[-1])
    check_parts(plot_flips, found)


def test_flips_have_a_row_a_task_and_a_column_a_context(found):
    ax = plot_flips(found).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == NAMES
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        f"{mixture}: {loss}" for mixture in "ab" for loss in ("loss_code", "loss_web")
    ]
