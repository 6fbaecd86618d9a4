"""Pairs of routes: what makes a pair, and differences of known size."""

import numpy as np
import pandas as pd
import pytest
from pymc_extras.prior import Prior

from bayes_scaling import Runs, load_model
from bayes_scaling.errors import ModelError
from bayes_scaling.evaluation.routes import RoutePair, compare_routes, route_pairs

PAIR = RoutePair("power_law", "loss_power_law", "loss_own")
RUNS, BENCHMARKS = 8, 12


def models(**changes):
    return {name: load_model(name) for name in ("power_law", "loss_power_law")} | changes


def test_models_of_one_curve_are_a_pair():
    found = route_pairs(models(other=load_model("loss_power_law_ceiling")))
    assert found == (RoutePair("power_law", "loss_power_law", "auto"),)


def test_the_loss_of_a_pair_is_named_where_the_runs_tell(dclm):
    (pair,) = route_pairs(models(), dclm)
    assert pair.loss == "loss_dclm"
    series = dclm.select("arc_easy", "acc").table
    without = Runs.from_frame(series.drop(columns=list(dclm.losses)))
    assert route_pairs(models(), without)[0].loss == "auto"


@pytest.mark.parametrize(
    "other",
    [
        load_model("power_law").with_options(likelihood="student_t"),
        load_model("power_law").with_options(floor="free"),
        load_model("power_law").with_priors(exponent=Prior("LogNormal", mu=-1.0, sigma=0.7)),
        load_model("power_law").with_priors(level=Prior("Beta", alpha=2.0, beta=2.0)),
        load_model("power_law_ceiling"),
    ],
    ids=["likelihood", "floor", "prior", "level", "law"],
)
def test_models_that_differ_in_more_than_the_route_are_no_pair(other):
    assert route_pairs(models(power_law=other)) == ()


def scores(gap, noise=0.001, seed=0):
    """Return held-out scores where the law through the loss has an error larger by `gap`."""
    rng = np.random.default_rng(seed)
    run, benchmark = (a.ravel() for a in np.mgrid[:RUNS, :BENCHMARKS])
    common = 0.02 + 0.01 * rng.random(BENCHMARKS)[benchmark]
    more = gap + noise * rng.standard_normal(RUNS * BENCHMARKS)
    tables = [
        pd.DataFrame(
            {
                "model": name,
                "family": family,
                "benchmark": [f"quiz {b}" for b in benchmark],
                "metric": "acc",
                "mixture": "web",
                "cutoff": 1e21,
                "run": [f"run {r}" for r in run],
                "training": [f"run {r}" for r in run],
                "flops": 1e21 * 2.0 ** (1 + run),
                "distance": 2.0 ** (1 + run),
                "observed": 0.5 + 0.01 * run,
                "median": 0.5,
                **dict.fromkeys(("q05", "q25", "q75", "q95"), 0.5),
                "elpd": 0.0,
                "pit": 0.5,
                "crps": common + error,
            }
        )
        for name, family, error in (
            ("power_law", "direct", np.zeros(len(run))),
            ("loss_power_law", "two_stage", more),
        )
    ]
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize(
    ("gap", "better"),
    [(-0.005, "through the loss"), (0.005, "direct"), (0.0, "cannot tell")],
)
def test_the_answer_is_the_sign_of_a_clear_difference(gap, better):
    (row,) = compare_routes(scores(gap), [PAIR]).to_dict("records")
    assert row["better"] == better
    assert row["difference"] == pytest.approx(gap, abs=3e-4)
    assert row["low"] < row["difference"] < row["high"]
    assert row["through_mean"] - row["direct_mean"] == pytest.approx(row["difference"])
    assert row["n"] == RUNS * BENCHMARKS
    assert row["loss"] == "loss_own"


def test_distances_are_compared_in_bands():
    table = scores(0.0)
    table.loc[(table["distance"] > 100) & (table["model"] == "loss_power_law"), "crps"] += 0.01
    found = compare_routes(table, [PAIR], by=["distance"]).set_index("distance")["difference"]
    assert list(found.index) == [
        "up to 3 times", "3 to 10 times", "10 to 30 times", "30 to 100 times", "above 100 times",
    ]  # fmt: skip
    assert found["above 100 times"] == pytest.approx(0.01, abs=1e-3)
    assert abs(found["up to 3 times"]) < 1e-3


def test_one_benchmark_gives_no_interval_and_no_answer():
    found = compare_routes(scores(0.005), [PAIR], by=["benchmark"])
    assert len(found) == BENCHMARKS
    assert found["low"].isna().all()
    assert set(found["better"]) == {"cannot tell"}


def test_without_a_pair_it_is_said():
    with pytest.raises(ModelError, match="no two models differ in the route alone"):
        compare_routes(scores(0.0), [])
