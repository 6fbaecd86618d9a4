"""Figures of several models: what they show and how they name it, not how it looks."""

from types import SimpleNamespace

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr
from figure_parts import check_parts

from bayes_scaling.errors import ModelError
from bayes_scaling.evaluation.scoring import with_errors
from bayes_scaling.evaluation.uncertainty import Clusters, clustered_share
from bayes_scaling.fitting.error_budgets import error_budget
from bayes_scaling.laws import TwoStageLaw, get_law, shipped_laws
from bayes_scaling.plots import (
    plot_bands,
    plot_calibration,
    plot_comparison,
    plot_crps_by_distance,
    plot_error_budget,
)
from bayes_scaling.plots._palette import looks

MODELS = {
    "power_law": ("direct", 1.0), "two_stage_linear": ("two_stage", 0.3),
    "stacked": ("stacked", 1.0), "least_squares_direct": ("point", None),
}  # fmt: skip
GRID = np.geomspace(1e18, 1e23, 7)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def made_up(n=40):
    """Return scores of normal forecasts; those of scale 1 are calibrated, of 0.3 too narrow."""
    rows, rng = [], np.random.default_rng(0)
    for benchmark in ("one", "two", "three"):
        errors = 0.01 * rng.standard_normal(n)
        for model, (family, scale) in MODELS.items():
            point = scale is None
            sd = np.nan if point else 0.01 * scale
            bands = {q: 0.5 + sd * scipy.stats.norm.ppf(p) for q, p in QUANTILES.items()}
            rows.append(
                pd.DataFrame(
                    {
                        "model": model, "family": family, "benchmark": benchmark, "metric": "acc",
                        "mixture": "dclm", "cutoff": 1e21, "run": [f"r{i}" for i in range(n)],
                        "flops": np.geomspace(1.1e21, 1e23, n),
                        "distance": np.geomspace(1.1, 100, n),
                        "observed": 0.5 + errors, "median": 0.5, **bands, "crps": np.abs(errors),
                        "elpd": np.nan, "pit": scipy.stats.norm.cdf(errors / sd),
                    }
                )
            )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


QUANTILES = {"q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}


def lines(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


# ---- CRPS by distance ----------------------------------------------------------------------------


def test_error_by_distance_is_the_mean_crps_of_each_bin():
    scores = made_up()
    figure = plot_crps_by_distance(scores)
    (ax,) = figure.axes
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "Extrapolation distance: target compute / largest fitted compute"
    assert ax.get_ylabel() == "Mean CRPS (points of accuracy)"
    drawn = lines(ax)
    assert set(drawn) == set(MODELS)
    x, y = drawn["power_law"].get_data()
    low, high = ax.get_xlim()
    assert low < 1.1 <= x[0] < x[-1] <= 100 < high
    # Bins of equal width in log distance hold about as many of these scores each.
    one = scores[scores["model"] == "power_law"]
    assert np.mean(y) == pytest.approx(100 * one["crps"].mean(), rel=0.1)


def test_models_are_compared_on_the_scores_that_all_forecast():
    scores = made_up()
    scores.loc[scores["benchmark"] == "two", "crps"] = 99.0
    some = scores[(scores["model"] != "stacked") | (scores["benchmark"] != "two")]
    (ax,) = plot_crps_by_distance(some).axes
    assert max(lines(ax)["power_law"].get_ydata()) < 10
    assert "80 scores of 120, those that every model forecast" in ax.get_title(loc="left")
    disjoint = some[(some["model"] == "stacked") ^ (some["benchmark"] == "two")]
    (ax,) = plot_crps_by_distance(disjoint).axes
    assert "not the same for every model" in ax.get_title(loc="left")


def test_families_head_the_legend_and_are_drawn_apart():
    figure = plot_crps_by_distance(made_up())
    assert texts(figure) == [
        *("mixture", "stacked", "direct laws", "power_law"),
        *("laws through a loss", "two_stage_linear"),
        *("point fits (absolute error)", "least_squares_direct"),
    ]
    drawn = lines(figure.axes[0]).values()
    assert len({line.get_color() for line in drawn}) == len(MODELS)


@pytest.mark.parametrize("distance", [2.0, [1.5, 1.6] * 240])
def test_one_distance_or_few_can_be_drawn(distance):
    (ax,) = plot_crps_by_distance(made_up().assign(distance=distance)).axes
    assert len(lines(ax)["stacked"].get_xdata()) == 1


@pytest.mark.parametrize("plot", [plot_crps_by_distance, plot_calibration])
def test_no_scores_are_refused(plot):
    with pytest.raises(ModelError, match="no scores"):
        plot(made_up().iloc[:0])


def test_point_fits_alone_have_no_calibration():
    scores = made_up()
    with pytest.raises(ModelError, match="no scores of forecasts with intervals"):
        plot_calibration(scores[scores["family"] == "point"])


# ---- calibration ---------------------------------------------------------------------------------


def test_coverage_is_the_share_within_each_interval():
    scores = made_up()
    _, ax = plot_calibration(scores).axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["stacked", "power_law", "two_stage_linear"]  # point fits have no interval
    for row, name in enumerate(names):
        of = scores[scores["model"] == name]
        ends = (("q25", "q75"), ("q05", "q95"))
        expected = [of["observed"].between(of[low], of[high]).mean() for low, high in ends]
        marks = [line for line in ax.lines if line.get_marker() not in ("None", "", "|")]
        found = [m.get_xdata()[0] for m in marks if round(m.get_ydata()[0]) == row]
        np.testing.assert_allclose(sorted(found), expected)
    guides = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert guides == [0.5, 0.9]


def test_shares_have_intervals_that_are_clustered():
    """One of the three benchmarks is forecast too low throughout."""
    scores = made_up()
    off = (scores["benchmark"] == "one") & (scores["family"] != "point")
    scores.loc[off, "pit"] = 0.99
    scores.loc[off, "observed"] = 0.9
    _, ax = plot_calibration(scores).axes
    drawn = [s for c in ax.collections for s in c.get_segments()]
    one = scores[scores["model"] == "stacked"]
    for name, height in (("cover50", -0.13), ("cover90", 0.13)):
        share = clustered_share(with_errors(one)[name], one["pit"], Clusters.of(one))
        assert share.high - share.low > 0.5
        assert any(np.allclose(s, [[share.low, height], [share.high, height]]) for s in drawn)


def test_two_benchmarks_have_shares_without_intervals():
    scores = made_up()
    _, ax = plot_calibration(scores[scores["benchmark"] != "one"]).axes
    assert not any(len(s) for c in ax.collections for s in c.get_segments())
    ax.figure.canvas.draw()


def test_pit_of_a_calibrated_forecast_is_flat_and_of_a_narrow_one_is_not():
    ax, _ = plot_calibration(made_up()).axes
    curves = [line.get_ydata() for line in ax.lines if len(line.get_xdata()) > 2]
    stacked, power_law, narrow = (np.abs(curve).max() for curve in curves)
    assert stacked == power_law < 0.15 < narrow


def test_pit_curve_falls_with_the_uniform_distribution_between_scores():
    scores = made_up()
    ax, _ = plot_calibration(scores).axes
    pit = scores.loc[scores["model"] == "stacked", "pit"].to_numpy()
    (curve, *_) = [line for line in ax.lines if len(line.get_xdata()) > 2]
    # Off the jumps, on which the curve has two values.
    at = (np.sort(pit)[1:] + np.sort(pit)[:-1]) / 2
    expected = (pit[:, None] < at).mean(axis=0) - at
    np.testing.assert_allclose(np.interp(at, *curve.get_data()), expected, atol=1e-12)
    np.testing.assert_allclose(curve.get_xydata()[[0, -1]], [[0, 0], [1, 0]])


def test_wide_axis_of_errors_has_more_labels_than_its_decades():
    scores = made_up()
    figure = plot_crps_by_distance(scores.assign(crps=scores["crps"] * scores["distance"]))
    (ax,) = figure.axes
    low, high = ax.get_ylim()
    assert high / low > 12
    shown = [tick for tick in ax.get_yticks() if low <= tick <= high]
    assert len(shown) >= 3


# ---- error budget --------------------------------------------------------------------------------


@pytest.fixture
def budget():
    sources = ["stage-1 parameters", "stage-1 residual", "stage-2 parameters"]
    sources += ["stage-1 × stage-2", "stage-2 scatter", "item noise"]
    share = np.array([[0.1, 0.2, 0.3, 0.01, 0.09, 0.3], [0.5, 0.2, 0.1, 0.0, 0.1, 0.1]])
    total = np.array([4e-4, 9e-4])
    return xr.Dataset(
        {"share": (("budget", "source"), share), "total": ("budget", total)},
        coords={"source": sources, "budget": [0, 1], "flops": ("budget", [1e22, 2.5e23])},
        attrs={"benchmark": "a$b", "metric": "acc", "mixture": "dclm", "law": "two_stage_linear"},
    )


def test_bars_are_the_shares_stacked_to_one(budget):
    figure = plot_error_budget(budget)
    (ax,) = figure.axes
    widths = np.array([[bar.get_width() for bar in bars] for bars in ax.containers])
    np.testing.assert_allclose(widths.T, budget["share"])
    ends = [bar.get_x() + bar.get_width() for bar in ax.containers[-1]]
    np.testing.assert_allclose(ends, 1)
    assert texts(figure) == list(budget["source"].values)
    figure.canvas.draw()


def test_bars_are_named_by_budget_and_spread(budget):
    (ax,) = plot_error_budget(budget).axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == [r"$10^{22}$ FLOPs", r"$2.5 \times 10^{23}$ FLOPs"]
    written = [text.get_text() for text in ax.texts]
    assert {"sd 2 points", "sd 3 points", "30", "50"} <= set(written)
    assert "1" not in written  # no room in a narrow part


def test_colours_of_sources_differ(budget):
    (ax,) = plot_error_budget(budget).axes
    assert len({bars[0].get_facecolor() for bars in ax.containers}) == 6


# ---- comparison ----------------------------------------------------------------------------------


@pytest.fixture
def comparison():
    seen = xr.Dataset(
        {"score": ("row", np.zeros(46))},
        attrs={"benchmark": "arc_easy", "metric": "acc", "mixture": "dclm"},
    )
    fits = {
        name: SimpleNamespace(model=SimpleNamespace(two_stage=two_stage), observations=seen)
        for name, two_stage in {"power_law": False, "two_stage_linear": True}.items()
    }
    table = pd.DataFrame(
        {"elpd_diff": [0.0, -12.0], "dse": [0.0, 3.0], "weight": [0.9, 0.1], "bad_k": [0, 2]},
        index=["power_law", "two_stage_linear"],
    )
    return SimpleNamespace(fits=fits, table=table, weights=table["weight"].to_dict())


def test_differences_are_drawn_with_their_errors(comparison):
    (ax,) = plot_comparison(comparison).axes
    points = {tuple(np.ravel(line.get_data())) for line in ax.lines if len(line.get_xdata()) == 1}
    assert points == {(0.0, 2), (-12.0, 1)}
    bars = [tuple(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2]
    assert (-15.0, -9.0) in bars
    assert "nats" in ax.get_xlabel()


def test_weights_and_refits_are_written_beside(comparison):
    figure = plot_comparison(comparison)
    (ax,) = figure.axes
    written = [text.get_text() for text in ax.texts]
    assert written == ["weight", "bad k", "0.90", "0", "0.10", "2"]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["power_law", "two_stage_linear"]
    assert "arc_easy (acc), dclm" in ax.get_title(loc="left")
    figure.canvas.draw()


# ---- bands ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_bands_are_those_of_each_forecast(power_law_fit, ceiling_fit, held_out):
    fits = {"plain": power_law_fit, "ceiling": ceiling_fit}
    figure = plot_bands(fits, held_out, flops=GRID)
    (ax,) = figure.axes
    assert texts(figure) == [
        *("plain", "ceiling", "largest budget fitted", "fitted runs", "held-out runs")
    ]
    for name, fit in fits.items():
        median = fit.forecast(flops=GRID, tokens_per_param=20)["score"].median(("chain", "draw"))
        np.testing.assert_allclose(lines(ax)[name].get_ydata(), median, atol=0.003)
    np.testing.assert_array_equal(lines(ax)["held-out runs"].get_ydata(), held_out.table["score"])
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "Training compute C (FLOPs)"
    assert ax.get_ylabel() == "Accuracy of arc_easy (acc)"


@pytest.mark.slow
def test_bands_can_be_drawn_on_given_axes(power_law_fit):
    figure, ax = plt.subplots()
    assert plot_bands({"plain": power_law_fit}, ax=ax) is figure
    assert not figure.legends


@pytest.mark.slow
def test_bands_of_different_series_are_refused(power_law_fit, pass_at_k_fit):
    with pytest.raises(ModelError, match="humaneval-py pass@k dclm, not of arc_easy acc dclm"):
        plot_bands({"a": power_law_fit, "b": pass_at_k_fit})
    with pytest.raises(ModelError, match="at one k"):
        plot_bands({"b": pass_at_k_fit})
    with pytest.raises(ModelError, match="at least one fit"):
        plot_bands({})


# ---- on axes of one's own ------------------------------------------------------------------------


def test_figures_can_be_drawn_on_axes_of_a_larger_figure():
    figure, axes = plt.subplots(1, 2)
    budget = xr.Dataset(
        {
            "share": (("source", "budget"), [[0.25], [0.75]]),
            "total": ("budget", [1e-4]),
        },
        coords={"source": ["parameters", "item noise"], "flops": ("budget", [1e22])},
        attrs={"benchmark": "b", "metric": "acc", "mixture": "m", "law": "power_law"},
    )
    assert plot_error_budget(budget, ax=axes[0]) is figure
    assert plot_crps_by_distance(made_up(), ax=axes[1]) is figure
    assert figure.legends == []
    assert all(ax.get_legend() is not None and ax.get_title(loc="left") for ax in axes)


def test_parts_can_be_changed_and_left_out(comparison, power_law_fit, held_out):
    check_parts(plot_bands, {"plain": power_law_fit}, held_out)
    check_parts(plot_comparison, comparison)
    check_parts(plot_calibration, made_up())
    check_parts(plot_crps_by_distance, made_up())
    check_parts(plot_error_budget, error_budget(power_law_fit, flops=[1e22]))


def test_differences_and_calibration_can_be_drawn_on_given_axes(comparison):
    figure, axes = plt.subplots(2, 2)
    assert plot_comparison(comparison, ax=axes[0, 0]) is figure
    assert plot_calibration(made_up(), ax=axes[1]) is figure
    assert "PIT" in axes[1, 0].get_xlabel()
    assert "interval" in axes[1, 1].get_xlabel()
    assert figure.get_suptitle() == ""
    with pytest.raises(ModelError, match=r"ax should hold 2 axes, .* and holds 1"):
        plot_calibration(made_up(), ax=axes[0, 1])


def test_a_law_has_one_colour_whatever_is_shown_beside_it():
    alone = looks({"power_law_ceiling": "direct"})
    direct = [name for name in shipped_laws() if not isinstance(get_law(name), TwoStageLaw)]
    together = looks(dict.fromkeys(direct, "direct"))
    assert alone["power_law_ceiling"] == together["power_law_ceiling"]
    seen = {(look["color"], look["marker"]) for look in together.values()}
    assert len(seen) == len(direct)
    mine = looks({"power_law": "direct", "mine": "direct"})
    assert mine["power_law"] == together["power_law"]
    assert mine["mine"]["color"] != mine["power_law"]["color"]
