"""Tasks that can be forecast: skill over the mean of the fitted runs, and calibration."""

import numpy as np
import pandas as pd
import pytest
from ladders import as_runs, budgets

from bayes_scaling.errors import ModelError
from bayes_scaling.evaluation.forecastability import forecastable
from bayes_scaling.evaluation.results import Backtest
from bayes_scaling.runs import Runs

CUTOFF = 1e21
NOTHING = pd.DataFrame()


@pytest.fixture(scope="module")
def runs():
    """Return two tasks of ten runs: one rises by 0.02 from run to run, one stays as it is."""
    table = budgets(10)
    rising = as_runs(table, benchmark="rising", score=0.3 + 0.02 * np.arange(10))
    flat = as_runs(table, benchmark="flat", score=np.where(np.arange(10) % 2, 0.31, 0.29))
    return Runs.from_frame(pd.concat([rising.table, flat.table]))


def scores(runs, crps, pit):
    """Return the scores of a model whose forecasts have one CRPS and one PIT."""
    ahead = runs.above(CUTOFF).table
    columns = ["benchmark", "metric", "mixture", "run", "flops"]
    table = ahead[columns].assign(
        observed=ahead["score"], median=ahead["score"], crps=crps, pit=pit
    )
    table = table.assign(model="ours", cutoff=CUTOFF)
    return Backtest(table, NOTHING, NOTHING, NOTHING)


def test_skill_is_measured_against_the_mean_of_the_fitted_runs(runs):
    table = forecastable(scores(runs, 0.01, 0.5), runs, "ours").set_index("task")
    n = len(runs.above(CUTOFF)) // 2
    fitted, ahead = np.arange(10 - n), np.arange(10 - n, 10)
    expected = 0.02 * np.mean(ahead - fitted.mean())
    assert table.loc["rising", "mean_error"] == pytest.approx(expected)
    assert table.loc["rising", "skill"] == pytest.approx(1 - 0.01 / expected)
    assert table["n"].tolist() == [n, n]
    assert table["forecastable"].to_dict() == {"flat": False, "rising": True}


def test_forecasts_that_are_sharp_and_wrong_do_not_count(runs):
    table = forecastable(scores(runs, 0.01, 0.99), runs, "ours").set_index("task")
    assert table["cover90"].tolist() == [0, 0]
    assert not table["forecastable"].any()
    loose = forecastable(scores(runs, 0.01, 0.99), runs, "ours", inside=0.0).set_index("task")
    assert loose.loc["rising", "forecastable"]
    strict = forecastable(scores(runs, 0.01, 0.5), runs, "ours", margin=0.99)
    assert not strict["forecastable"].any()


def test_a_model_without_scores_is_refused(runs):
    with pytest.raises(ModelError, match="no scores of 'theirs'; there are those of ours"):
        forecastable(scores(runs, 0.01, 0.5), runs, "theirs")
