"""Budgets of future runs, and covariates of one's own in runs and budgets."""

import numpy as np
import pandas as pd
import pytest
from tables import ladder

from bayes_scaling import Budgets, Runs
from bayes_scaling.errors import ModelError, RunsError


def test_covariates_come_by_name():
    inputs = Budgets.of(flops=[1e21, 1e22], code_share=0.3).inputs
    assert inputs["code_share"].to_numpy().tolist() == [0.3, 0.3]
    assert inputs["flops"].dims == ("budget",)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"flops": 1.2e21, "tokens_per_param": 20}, (np.sqrt(1e19), 20 * np.sqrt(1e19))),
        ({"params": 1e9, "tokens_per_param": 20}, (1e9, 2e10)),
        ({"tokens": 2e10, "tokens_per_param": 20}, (1e9, 2e10)),
    ],
)
def test_the_ratio_is_used_whatever_stands_beside_it(given, found):
    inputs = Budgets.of(**given).inputs
    assert (float(inputs["params"][0]), float(inputs["tokens"][0])) == pytest.approx(found)
    assert float(inputs["flops"][0]) == pytest.approx(6 * found[0] * found[1])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"params": 1e9, "tokens": 1e10, "tokens_per_param": 20}, "not all three"),
        ({"k": 4, "tokens_per_param": 20}, "a forecast needs budgets"),
        ({"code_share": 0.2, "tokens_per_param": 20}, "tokens_per_param needs flops"),
        ({"flops": 1e21, "tokens_per_param": -1.0}, "tokens_per_param must be positive"),
        ({"flops": 1e21, "code_share": np.nan}, "code_share must be finite"),
        ({"flops": [1e21, 1e22], "code_share": [0.1, 0.2, 0.3]}, "lengths differ"),
    ],
)
def test_nothing_that_is_given_is_ignored(given, words):
    with pytest.raises(ModelError, match=words):
        Budgets.of(**given)


def test_ready_budgets_and_arguments_do_not_mix():
    ready = Budgets.of(flops=1e21)
    assert Budgets.of(ready) is ready
    with pytest.raises(ModelError, match="give budgets, or flops, n_items, not both"):
        Budgets.of(ready, flops=1e22, n_items=100)


def test_budgets_of_runs_have_their_own_items():
    runs = Runs.from_frame(ladder(n_items=[100, 200, 300, np.nan], score=[0.3, 0.4, 0.5, 0.6]))
    budgets = Budgets.of_runs(runs, ("flops", "params"))
    assert set(budgets.inputs.data_vars) == {"flops", "params"}
    assert budgets.n_items.to_numpy().tolist() == [100, 200, 300, 0]


# ---- covariates of runs --------------------------------------------------------------------------


def with_depth(**columns):
    return ladder(depth=[6, 8, 12, 16], colour="red", **columns)


def test_a_covariate_is_kept_when_asked_for():
    runs = Runs.from_frame(with_depth(), covariates=["depth"])
    assert runs.covariates == ("depth",)
    assert runs.losses == ()
    assert runs.table["depth"].tolist() == [6, 8, 12, 16]
    assert runs.notes == ("left out columns colour; name them as covariates to keep them",)
    assert Runs.from_frame(with_depth()).covariates == ()


def test_covariates_go_round_every_way(tmp_path):
    runs = Runs.from_frame(with_depth(loss_web=[3, 2.9, 2.8, 2.7]), covariates=["depth"])
    runs.to_csv(tmp_path / "runs.csv")
    assert Runs.from_csv(tmp_path / "runs.csv", covariates=["depth"]) == runs
    assert Runs.from_xarray(runs.to_xarray()) == runs
    assert Runs.from_xarray(runs.to_xarray()).covariates == ("depth",)
    parts = [runs.below(1e20), runs.above(1e20)]
    assert Runs.concat(part for part in parts if len(part)) == runs
    other = Runs.from_frame(ladder(benchmark="sciq"))
    both = Runs.concat([runs, other])
    assert both.select("sciq").table["depth"].isna().all()


@pytest.mark.parametrize(
    ("table", "covariates", "words"),
    [
        (with_depth(), ["width"], "column 'width': is asked for as a covariate, but is missing"),
        (with_depth(), ["tokens"], "column 'tokens': is a column of its own"),
        (with_depth(loss_a=2.0), ["loss_a"], "column 'loss_a': is a column of its own"),
        (with_depth(), ["colour"], "row 0, column 'colour': 'red' is not a number"),
        (
            pd.concat(
                [with_depth(), with_depth(benchmark="sciq").assign(depth=[6, 8, 12, 17])],
                ignore_index=True,
            ),
            ["depth"],
            "column 'depth': run d has 16 and 17",
        ),
    ],
)
def test_a_covariate_that_cannot_be_used_is_named(table, covariates, words):
    with pytest.raises(RunsError) as error:
        Runs.from_frame(table, covariates=covariates)
    assert words in str(error.value)
