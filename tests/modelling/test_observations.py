"""Observations: what a model sees of one series, and every reason to refuse one."""

import numpy as np
import pandas as pd
import pytest
from ladders import as_runs, budgets

from bayes_scaling.errors import ModelError, RunsError
from bayes_scaling.laws import get_law
from bayes_scaling.modelling.model import load_model
from bayes_scaling.modelling.observations import centre_of, observe
from bayes_scaling.runs import Runs

SCORES = np.linspace(0.3, 0.7, 8)


@pytest.fixture
def ladder():
    return budgets(8)


def seen_by(law, table, **columns):
    return observe(as_runs(table, **columns), get_law(law))


def test_scores_inputs_and_centre(ladder):
    ladder = ladder.assign(flops=[1e18, 2e18, 3e18, 5e18, 1e19, 3e20, 1e21, 6e22])  # uneven
    seen = seen_by("power_law", ladder, score=SCORES, n_items=500)
    logs = np.log(ladder["flops"])
    assert dict(seen.sizes) == {"row": 8}
    np.testing.assert_array_equal(seen["flops"], ladder["flops"])
    assert float(seen["centre_flops"]) == pytest.approx(logs.mean())
    assert float(seen["reach"]) == pytest.approx(logs.max() - logs.mean())
    assert float(seen["chance"]) == 0.25
    assert seen["n_items"].to_numpy().tolist() == [500.0] * 8
    assert seen.attrs == {"benchmark": "simulated", "metric": "acc", "mixture": "unspecified"}
    assert seen["run"].to_numpy().tolist() == [f"run-{i:03d}" for i in range(8)]


def test_unknown_item_counts_are_0(ladder):
    seen = seen_by("power_law", ladder, score=SCORES, n_items=[np.nan, *[500] * 7])
    assert seen["n_items"].to_numpy().tolist() == [0.0, *[500.0] * 7]


def test_reach_is_the_distance_of_the_farthest_run_in_the_first_input():
    params = [1e8, 1.1e8, 1.2e8, 1.3e8, 1.4e8, 9e8]
    table = pd.DataFrame({"params": params, "tokens": np.geomspace(1e9, 5e11, 6)})
    seen = seen_by("params_tokens", table, score=SCORES[:6])
    assert float(seen["reach"]) == pytest.approx(np.log(9e8) - np.log(params).mean())


def test_centre_is_handed_to_laws_without_the_prefix(ladder):
    table = ladder.assign(tokens=lambda t: t["tokens"] * np.geomspace(1, 9, 8)).drop(
        columns="flops"
    )
    c = centre_of(seen_by("params_tokens", table, score=SCORES))
    assert set(c) == {"params", "tokens", "reach"}
    assert c["tokens"] == pytest.approx(np.log(table["tokens"]).mean())


# ---- refusals ------------------------------------------------------------------------------------


def test_samples_of_one_run_are_not_several_runs(ladder):
    few = ladder.head(3).loc[np.repeat([0, 1, 2], 4)].reset_index(drop=True)
    few["run"] = np.repeat(["a", "b", "c"], 4)
    columns = {"k": np.tile([1, 2, 4, 8], 3), "score": np.linspace(0.1, 0.6, 12)}
    runs = as_runs(few, metric="pass@k", chance=0, **columns)
    assert load_model("pass_at_k").on(runs).n_numbers == 3


def test_missing_k(ladder):
    with pytest.raises(ModelError, match=r"pass_at_k needs 'k', missing in 8 of 8 rows.*pass@k"):
        seen_by("pass_at_k", ladder, score=SCORES)


def test_one_k_only(ladder):
    columns = {"score": SCORES, "k": 1, "metric": "pass@k", "chance": 0}
    with pytest.raises(ModelError, match="all runs have the same 'k'"):
        seen_by("pass_at_k", ladder, **columns)


@pytest.mark.parametrize("name", ["params", "tokens"])
def test_missing_params_or_tokens(ladder, name):
    table = ladder.drop(columns=name)
    table.loc[0, "params" if name == "tokens" else "tokens"] = np.nan
    with pytest.raises(ModelError, match=r"params_tokens needs .* add a (params|tokens) column"):
        seen_by("params_tokens", table, score=SCORES)


def test_flops_are_the_same(ladder):
    table = ladder.assign(params=1e9, tokens=2e10, flops=1.2e20)
    with pytest.raises(
        ModelError, match="all runs have the same 'flops'; power_law needs at least"
    ):
        seen_by("power_law", table, score=SCORES)


def test_constant_ratio_for_a_law_in_params_and_tokens(ladder):
    with pytest.raises(ModelError, match="about the same tokens per parameter"):
        seen_by("params_tokens", ladder, score=SCORES)


@pytest.mark.parametrize(("spread", "refused"), [(1.45, True), (1.55, False)])
def test_how_much_the_ratio_must_vary(ladder, spread, refused):
    table = ladder.assign(tokens=lambda t: t["tokens"] * np.geomspace(1, spread, 8))
    table = table.drop(columns="flops")
    if refused:
        with pytest.raises(ModelError, match="same tokens per parameter"):
            seen_by("params_tokens", table, score=SCORES)
    else:
        assert seen_by("params_tokens", table, score=SCORES).sizes["row"] == 8


def test_scores_that_are_all_zero(ladder):
    with pytest.raises(ModelError, match="every score is 0, which tells a law nothing"):
        seen_by("power_law", ladder, score=0.0, chance=0.0)


def test_scores_that_are_all_zero_of_known_counts_say_something(ladder):
    seen = seen_by("power_law", ladder, n_correct=0, n_items=164, chance=0.0)
    assert float(seen["score"].max()) == 0.0


def test_two_series(ladder):
    one, two = (
        as_runs(ladder, benchmark=name, score=SCORES).to_frame() for name in ("arc_easy", "sciq")
    )
    both = Runs.from_frame(pd.concat([one, two], ignore_index=True))
    with pytest.raises(RunsError, match=r"2 benchmarks are mixed.*select\(benchmark="):
        observe(both, get_law("power_law"), 3)


def test_no_runs(ladder):
    with pytest.raises(RunsError, match="no rows are left"):
        observe(as_runs(ladder, score=SCORES).below(1e3), get_law("power_law"), 3)
