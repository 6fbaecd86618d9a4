"""The rules that tell behaviours apart, on curves that are known and on fits."""

import numpy as np
import pytest
from trends import CURVES, place, task

from bayes_scaling.errors import ModelError
from bayes_scaling.evaluation.behaviours import (
    BEHAVIOURS,
    BehaviourRules,
    Measures,
    behaviour_of,
    behaviour_probabilities,
)
from bayes_scaling.fitting.trend_fit import fit_trend


def measures(**values):
    usual = {"visible": 0.9, "explained": 0.95, "reversal": 0.0, "rising": True, "jump": 0.2}
    return Measures(**{name: np.array([value]) for name, value in (usual | values).items()})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "predictable"),
        ({"jump": 0.7}, "breakthrough"),
        ({"rising": False, "jump": 0.7}, "inverse"),
        ({"reversal": 0.3, "rising": False}, "nonmonotone"),
        ({"explained": 0.7, "reversal": 0.3}, "noisy"),
        ({"visible": 0.1, "explained": 0.7}, "trendless"),
    ],
)
def test_rules_are_asked_in_their_order(values, expected):
    (found,) = behaviour_of(measures(**values), BehaviourRules())
    assert BEHAVIOURS[found] == expected


def test_each_number_is_a_rule_of_its_own():
    one = measures(explained=0.85, jump=0.5, reversal=0.2, visible=0.3)
    changes = {"explained": "noisy", "jump": "breakthrough", "reversal": "nonmonotone"}
    for name, expected in changes.items():
        value = 0.9 if name == "explained" else 0.1
        (found,) = behaviour_of(one, BehaviourRules(**{name: value}))
        assert BEHAVIOURS[found] == expected
    with pytest.raises(ModelError, match="rule jump is a share between 0 and 1, not 2"):
        BehaviourRules(jump=2)


@pytest.mark.parametrize("behaviour", CURVES)
def test_a_task_of_known_behaviour_is_told(behaviour):
    runs = task(CURVES[behaviour], np.random.default_rng(4), apart=0.03)
    fit = fit_trend(runs, "loss_web")
    found = behaviour_probabilities(Measures.of(fit, BehaviourRules()), BehaviourRules())
    assert max(found, key=found.get) == behaviour
    assert found[behaviour] > 0.7
    assert sum(found.values()) == pytest.approx(1)


def test_the_share_explained_is_that_of_a_line_by_least_squares():
    """Scatter of sd 0.06 beside a trend of sd 0.087: about two thirds are explained."""
    runs = task(CURVES["predictable"], np.random.default_rng(5), n=80, scatter=0.06)
    table = runs.table
    u, score = place(table["loss_web"].to_numpy()), table["score"].to_numpy()
    line = np.polyval(np.polyfit(u, score, 1), u)
    expected = line.var() / (line.var() + (score - line).var())
    found = Measures.of(fit_trend(runs, "loss_web"), BehaviourRules())
    assert np.median(found.explained) == pytest.approx(expected, abs=0.03)
    assert behaviour_probabilities(found, BehaviourRules())["noisy"] > 0.8
