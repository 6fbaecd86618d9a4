"""Figures released with Krajewski et al. 2025, arXiv:2512.08894."""

import pandas as pd

from bayes_scaling._resources import resource_dir
from bayes_scaling.errors import RunsError
from bayes_scaling.runs import Runs
from bayes_scaling.validation import examine

_MIXTURES = ("dclm", "c4")


def load_krajewski2025(mixture: str | None = None) -> Runs:
    """Load the embedded tables; see `load_dataset`."""
    if mixture is not None and mixture not in _MIXTURES:
        raise RunsError(
            f"krajewski2025 has no mixture {mixture!r}. Available: {', '.join(_MIXTURES)}"
        )
    return Runs.concat(_load(name) for name in ([mixture] if mixture else _MIXTURES))


def _load(mixture: str) -> Runs:
    folder = resource_dir("data")
    runs = pd.read_csv(folder / f"krajewski2025_{mixture}_runs.csv")
    scores = pd.read_csv(folder / f"krajewski2025_{mixture}_scores.csv")
    table = task_loss_column(scores.rename(columns={"value": "score"}))
    table = table.merge(runs.drop(columns="source_row"), on="run", validate="many_to_one")
    # The embedded figures are known to be sound; what would be warned of is in data/README.md.
    found = examine(table.assign(mixture=mixture))
    return Runs._of(found.table, found.notes)


def task_loss_column(scores: pd.DataFrame) -> pd.DataFrame:
    """Move rows of metric "nll" into a column ``task_loss`` of the same run and benchmark."""
    is_loss = scores["metric"] == "nll"
    losses = scores.loc[is_loss, ["run", "benchmark", "score"]]
    losses = losses.rename(columns={"score": "task_loss"})
    return scores[~is_loss].merge(
        losses, on=["run", "benchmark"], how="left", validate="many_to_one"
    )
