"""Which tasks are predictable for forecasting: against the mean of the fitted runs."""

from __future__ import annotations

import pandas as pd

from bayes_scaling.errors import ModelError
from bayes_scaling.evaluation.results import Backtest
from bayes_scaling.evaluation.scoring import with_errors
from bayes_scaling.fitting.task_trends import task_names
from bayes_scaling.runs import Runs

_KEY = ["benchmark", "metric", "mixture", "cutoff"]


def forecastable(
    result: Backtest, runs: Runs, model: str, *, margin: float = 0.5, inside: float = 0.75
) -> pd.DataFrame:
    """Return for each task whether its larger runs are forecast from its smaller ones.

    A task is predictable for forecasting if the mean CRPS of the forecasts of its larger runs is
    smaller, by a share of at least `margin`, than the mean absolute error of the mean score of
    the fitted runs, and at least a share of `inside` of them lie inside their 90% intervals. The
    latter is below 90% because a task has few larger runs.

    Parameters
    ----------
    result : Backtest
        From :func:`bayes_scaling.backtest`.
    runs : Runs
        The runs that were given to it.
    model : str
        Name of the model whose forecasts are looked at.
    margin, inside : float
        Shares, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row per task, all mixtures and cut-offs together: task, n (larger runs), crps,
        mean_error (of the mean of the fitted runs), skill (1 less the first over the second),
        cover90, and forecastable.

    Raises
    ------
    ModelError
        If the model has no scores.

    Examples
    --------
    >>> from bayes_scaling import backtest, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> result = backtest({"power law": "power_law"}, runs, [6e21], baselines=False)
    >>> forecastable(result, runs, "power law")["task"].tolist()
    ['arc_easy']
    """
    scores = result.scores[result.scores["model"] == model]
    if scores.empty:
        there = ", ".join(sorted(set(result.scores["model"])))
        raise ModelError(f"no scores of {model!r}; there are those of {there}")
    means = []
    for cutoff in sorted(set(scores["cutoff"])):
        fitted = runs.below(cutoff).table.groupby(_KEY[:3])["score"].mean()
        means.append(fitted.rename("usual").reset_index().assign(cutoff=cutoff))
    joined = with_errors(scores).merge(pd.concat(means), on=_KEY)
    joined["mean_error"] = (joined["observed"] - joined["usual"]).abs()
    joined["task"] = task_names(joined)
    groups = joined.groupby("task", sort=False)
    table = groups[["crps", "mean_error", "cover90"]].mean()
    table.insert(0, "n", groups.size())
    table.insert(3, "skill", 1 - table["crps"] / table["mean_error"])
    table["forecastable"] = (table["skill"] >= margin) & (table["cover90"] >= inside)
    return table.reset_index()
