"""The model of a user who names none."""

import pytest

from bayes_scaling import load_dataset
from bayes_scaling.modelling.default_law import choose_default
from bayes_scaling.modelling.model import load_model
from bayes_scaling.runs import Runs


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"benchmark": "arc_easy", "metric": "acc"}, "drifting_params_tokens"),
        (
            {"benchmark": "arc_easy", "metric": "acc", "tokens_per_param": 20},
            "drifting_power_law_ceiling",
        ),
        ({"benchmark": "lbpp", "metric": "pass@k"}, "pass_at_k"),
        ({"benchmark": "lbpp", "metric": "pass@1"}, "drifting_params_tokens"),
    ],
)
def test_it_fits_what_the_runs_have(selection, expected):
    runs = load_dataset(mixture="dclm").select(**selection)
    name, reason = choose_default(runs)
    assert name == expected
    assert reason.startswith(f"{name} is the default")
    assert reason.count(". ") == 0  # one sentence
    load_model(name).on(runs)


def test_runs_without_params_and_tokens_get_the_law_in_compute():
    table = load_dataset(mixture="dclm").select("arc_easy", "acc").table
    bare = Runs.from_frame(table.assign(params=None, tokens=None))
    assert choose_default(bare)[0] == "drifting_power_law_ceiling"


@pytest.mark.parametrize("constant", ["tokens", "params"])
def test_runs_that_differ_in_one_of_them_get_the_law_in_compute(constant):
    """Models of one family are often trained on as many tokens each."""
    table = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20).table
    table = table.assign(**{constant: 180e9})
    table["flops"] = 6 * table["params"] * table["tokens"]
    runs = Runs.from_frame(table.drop(columns="tokens_per_param", errors="ignore"))
    name, reason = choose_default(runs)
    assert name == "drifting_power_law_ceiling"
    assert f"all runs have the same {constant}" in reason
    assert reason.count(". ") == 0
    load_model(name).on(runs)
