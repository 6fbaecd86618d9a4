"""Figures: what they show and how they name it, not how it looks."""

from dataclasses import replace

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from figure_parts import check_parts

from bayes_scaling.errors import ConvergenceWarning, ModelError, RunsError
from bayes_scaling.plots import plot_forecast, plot_priors

pytestmark = pytest.mark.slow

GRID = np.geomspace(9e17, 1e23, 7)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def diverged(power_law_fit):
    """Return the fit as if one transition had diverged."""
    stats = power_law_fit.sample_stats.copy(deep=True)
    stats["diverging"][0, 0] = True
    return replace(power_law_fit, sample_stats=stats)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def drawn(ax, label):
    """Return the x and y of the line or markers with a label."""
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def band(ax, label):
    """Return the lower and the upper edge of a band drawn on GRID."""
    (area,) = [area for area in ax.collections if area.get_label() == label]
    corners = area.get_paths()[0].vertices
    edges = [corners[np.isclose(corners[:, 0], x), 1] for x in GRID]
    return np.array([edge.min() for edge in edges]), np.array([edge.max() for edge in edges])


# ---- forecast ----------------------------------------------------------------------------------


def test_axes_are_labelled_with_units_and_compute_is_logarithmic(power_law_fit):
    figure = plot_forecast(power_law_fit)
    main, strip = figure.axes
    assert strip.get_xlabel() == "Training compute C (FLOPs)"
    assert main.get_ylabel() == "Accuracy of arc_easy (acc)"
    assert strip.get_ylabel() == "less the median\n(points)"
    assert main.get_xscale() == strip.get_xscale() == "log"
    figure.canvas.draw()
    ticks = [tick.get_text() for tick in strip.get_xticklabels()]
    assert r"$\mathdefault{10^{20}}$" in ticks


def test_everything_drawn_is_in_the_legend(power_law_fit, held_out):
    assert legend(plot_forecast(power_law_fit, held_out)) == [
        "fitted runs",
        "held-out runs",
        "median of the curve",
        "50% of the curve",
        "90% of the curve",
        "50% of the score of one run on the same test set",
        "90% of the score of one run on the same test set",
        "chance level (0.25)",
        "largest budget fitted",
    ]


def test_bands_are_the_quantiles_of_the_forecast(power_law_fit):
    ax = plot_forecast(power_law_fit, flops=GRID).axes[0]
    forecast = power_law_fit.forecast(flops=GRID)
    names = {"curve": "of the curve", "score": "of the score of one run on the same test set"}
    for variable, name in names.items():
        draws = forecast[variable].to_numpy().reshape(-1, len(GRID))
        for share, levels in {"50%": (0.25, 0.75), "90%": (0.05, 0.95)}.items():
            expected = np.quantile(draws, levels, axis=0)
            np.testing.assert_allclose(band(ax, f"{share} {name}"), expected, rtol=1e-9)
    np.testing.assert_allclose(
        drawn(ax, "median of the curve")[1], forecast["curve"].median(("chain", "draw"))
    )


def test_runs_are_drawn_where_they_are_and_told_apart(power_law_fit, held_out):
    ax = plot_forecast(power_law_fit, held_out).axes[0]
    for label, runs in {"fitted runs": power_law_fit.runs, "held-out runs": held_out}.items():
        table = runs.table
        np.testing.assert_array_equal(drawn(ax, label), (table["flops"], table["score"]))
    looks = {
        (line.get_marker(), line.get_color()) for line in ax.lines if "runs" in line.get_label()
    }
    assert len(looks) == len({marker for marker, _ in looks}) == 2


def test_cut_off_and_chance_level_are_marked(power_law_fit):
    ax = plot_forecast(power_law_fit).axes[0]
    assert drawn(ax, "largest budget fitted")[0][0] == power_law_fit.runs.table["flops"].max()
    assert drawn(ax, "chance level (0.25)")[1][0] == 0.25


def test_strip_shows_points_of_accuracy_above_the_median(power_law_fit, held_out):
    table = held_out.table
    strip = plot_forecast(power_law_fit, held_out, flops=table["flops"]).axes[1]
    median = power_law_fit.forecast(flops=table["flops"].to_numpy())["curve"].median(
        ("chain", "draw")
    )
    expected = 100 * (table["score"] - median.to_numpy())
    np.testing.assert_allclose(drawn(strip, "held-out runs")[1], expected, atol=1e-9)


def test_ceiling_is_drawn_on_the_scale_of_accuracy(ceiling_fit):
    figure = plot_forecast(ceiling_fit)
    (edge,) = figure.axes[0].child_axes
    heights = edge.collections[0].get_paths()[0].vertices[:, 1]
    p = ceiling_fit.posterior
    accuracy = 0.25 + 0.75 * p["ceiling"]  # the floor is chance
    assert heights.min() == pytest.approx(float(accuracy.min()), abs=1e-3)
    assert heights.max() == pytest.approx(float(accuracy.max()), abs=1e-3)
    assert "posterior of the ceiling" in legend(figure)


def test_law_without_ceiling_has_none(power_law_fit):
    assert not plot_forecast(power_law_fit).axes[0].child_axes


def test_runs_left_out_near_chance_are_marked(power_law_fit, series):
    near_chance = series("arc_challenge", "acc_norm")
    model = power_law_fit.model.with_options(floor="filter")
    figure = plot_forecast(replace(power_law_fit, bound=model.on(near_chance)))
    left_out = near_chance.table.query("score <= chance + 0.05")
    assert len(drawn(figure.axes[0], "left out, near chance")[0]) == len(left_out) > 0
    assert "left out, near chance" in legend(figure)


def test_title_says_what_was_fitted(power_law_fit, held_out):
    title = plot_forecast(power_law_fit, held_out).axes[0].get_title(loc="left")
    assert title == (
        "arc_easy, dclm: power_law\nnormal likelihood, fixed floor, 46 scores fitted, 8 held out"
    )


def test_title_says_when_a_fit_has_not_converged(diverged):
    with pytest.warns(ConvergenceWarning):
        title = plot_forecast(diverged).axes[0].get_title(loc="left")
    assert title.endswith("NOT CONVERGED: 1 divergent transitions")
    assert "NOT CONVERGED" in plot_priors(diverged).get_suptitle()


def test_names_are_not_read_as_formulas(power_law_fit):
    table = power_law_fit.runs.to_frame().assign(benchmark="a$b$^", mixture="$")
    runs = type(power_law_fit.runs).from_frame(table)
    figure = plot_forecast(replace(power_law_fit, bound=power_law_fit.model.on(runs)))
    figure.canvas.draw()
    assert figure.axes[0].get_ylabel() == r"Accuracy of a\$b\$^ (acc)"


def test_one_panel_can_be_drawn_on_given_axes(power_law_fit):
    figure, ax = plt.subplots()
    assert plot_forecast(power_law_fit, ax=ax) is figure
    assert figure.axes == [ax]
    assert len(ax.get_legend().get_texts()) == 8


def test_settings_of_the_user_are_left_alone(power_law_fit):
    before = dict(plt.rcParams)
    plot_forecast(power_law_fit)
    plot_priors(power_law_fit)
    assert dict(plt.rcParams) == before


def test_pass_at_k_has_a_panel_a_k(pass_at_k_fit):
    figure = plot_forecast(pass_at_k_fit, flops=GRID)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["k = 1", "k = 4", "k = 32", "k = 128"]
    forecast = pass_at_k_fit.forecast(flops=GRID, k=32)
    expected = forecast["curve"].median(("chain", "draw"))
    np.testing.assert_allclose(drawn(figure.axes[2], "median of the curve")[1], expected)
    table = pass_at_k_fit.runs.table.query("k == 32")
    assert len(drawn(figure.axes[2], "fitted runs")[0]) == len(table)


def test_panels_can_be_chosen(pass_at_k_fit):
    ax = plt.figure().add_subplot()
    plot_forecast(pass_at_k_fit, panels=[8], ax=ax)
    assert ax.get_title(loc="left").endswith("368 scores fitted, 0 held out, k = 8")
    with pytest.raises(ModelError, match="2 panels do not fit one ax"):
        plot_forecast(pass_at_k_fit, panels=[1, 8], ax=ax)


def test_held_out_runs_of_another_series_are_refused(power_law_fit, dclm):
    with pytest.raises(RunsError, match="one series is needed"):
        plot_forecast(power_law_fit, dclm)
    other = dclm.select("arc_easy", "acc_norm")
    with pytest.raises(RunsError, match="are of metric acc_norm, the fit is of acc"):
        plot_forecast(power_law_fit, other)


def test_law_in_flops_has_one_panel(power_law_fit):
    with pytest.raises(ModelError, match="power_law has one panel"):
        plot_forecast(power_law_fit, panels=[1])


def test_params_tokens_has_a_panel_a_ratio(params_tokens_fit):
    figure = plot_forecast(params_tokens_fit, flops=GRID)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == [f"{ratio} tokens per parameter" for ratio in (10, 20, 80, 160)]
    forecast = params_tokens_fit.forecast(flops=GRID, tokens_per_param=80)
    expected = forecast["curve"].median(("chain", "draw"))
    np.testing.assert_allclose(drawn(figure.axes[2], "median of the curve")[1], expected)


# ---- priors ------------------------------------------------------------------------------------


def test_each_parameter_has_its_posterior_and_its_prior(ceiling_fit):
    figure = plot_priors(ceiling_fit)
    labels = [ax.get_xlabel() for ax in figure.axes]
    assert labels == [
        *("level (accuracy)", "exponent", "scatter (accuracy)", "binomial_share", "ceiling")
    ]
    assert legend(figure) == ["posterior", "prior", "90% of the posterior"]
    for ax in figure.axes:
        posterior, prior = drawn(ax, "posterior"), drawn(ax, "prior")
        # Densities to scale: each has area one, so the less certain prior lies lower.
        for x, density in (posterior, prior):
            assert np.trapezoid(density, x) == pytest.approx(1, abs=0.06)
        assert posterior[1].max() > 0.9 * prior[1].max()
        low, high = ax.get_xlim()
        assert low <= posterior[0].min() < posterior[0].max() <= high


def test_interval_is_that_of_the_parameters_table(ceiling_fit):
    (ax,) = plot_priors(ceiling_fit, ["alpha"]).axes
    expected = ceiling_fit.parameters().loc["alpha", ["q05", "q95"]]
    np.testing.assert_allclose(drawn(ax, "90% of the posterior")[0], expected.to_numpy())


def test_parameters_can_be_drawn_on_given_axes(ceiling_fit, diverged):
    figure, axes = plt.subplots(1, 2)
    assert plot_priors(ceiling_fit, ["alpha", "exponent"], ax=axes) is figure
    assert [ax.get_xlabel() for ax in axes] == ["alpha", "exponent"]
    assert figure.legends == []
    plot_priors(diverged, ["exponent"], ax=axes[0])
    assert "NOT CONVERGED" in axes[0].get_title(loc="left")


@pytest.mark.parametrize("names", [["beta"], []])
def test_parameters_that_there_are_not_are_refused(ceiling_fit, names):
    with pytest.raises(ModelError, match="the fit has level, exponent"):
        plot_priors(ceiling_fit, names)


# ---- looks of the user's -------------------------------------------------------------------------


def test_parts_can_be_changed_and_left_out(ceiling_fit, held_out):
    check_parts(plot_forecast, ceiling_fit, held_out, unused=["left_out"])
    check_parts(plot_priors, ceiling_fit)


def test_a_look_of_the_users_takes_the_place_of_the_usual_one(power_law_fit):
    """Under any of Matplotlib's names for it, and the legend follows."""
    given = {"curve": {"linewidth": 7, "c": "green", "label": "mine"}, "chance": False}
    figure = plot_forecast(power_law_fit, visuals=given)
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "mine"]
    assert (line.get_linewidth(), line.get_color()) == (7, "green")
    assert "mine" in legend(figure)
    assert not any("chance" in text for text in legend(figure))
