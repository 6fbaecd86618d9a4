"""Direct laws against laws through the loss, in pairs that differ in nothing but the route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from bayes_scaling.errors import ModelError
from bayes_scaling.evaluation.intervals import paired_differences
from bayes_scaling.modelling.model import ScalingModel
from bayes_scaling.modelling.observations import choose_loss
from bayes_scaling.runs import Runs

# Upper ends of the bands of compute over the largest fitted.
DISTANCES = (3.0, 10.0, 30.0, 100.0, np.inf)


@dataclass(frozen=True)
class RoutePair:
    """Names of two models of one curve: direct, and through a loss.

    Attributes
    ----------
    direct, through : str
        Names of the models.
    loss : str
        Column of the loss.

    Examples
    --------
    >>> RoutePair("power_law", "loss_power_law", "auto").direct
    'power_law'
    """

    direct: str
    through: str
    loss: str


def route_pairs(
    models: Mapping[str, ScalingModel], runs: Runs | None = None
) -> tuple[RoutePair, ...]:
    """Return the pairs among models that differ in nothing but the route.

    With runs of one mixture, the loss of a pair is the column that "auto" stands for there.

    A law through a loss names its direct law. The two models must also have the same likelihood,
    the same treatment of the floor, and the same priors of what they share.

    Examples
    --------
    >>> from bayes_scaling import load_model
    >>> models = {name: load_model(name) for name in ("power_law", "loss_power_law")}
    >>> [pair.through for pair in route_pairs(models)]
    ['loss_power_law']
    """
    return tuple(
        RoutePair(direct, through, _loss_of(two_stage, runs))
        for through, two_stage in models.items()
        for direct, model in models.items()
        if _is_pair(model, two_stage)
    )


def _loss_of(model: ScalingModel, runs: Runs | None) -> str:
    if runs is not None and len(runs.mixtures) == 1:
        with suppress(ModelError):
            return choose_loss(runs, model.loss)
    return model.loss


def _is_pair(model: ScalingModel, two_stage: ScalingModel) -> bool:
    if getattr(two_stage.law, "direct", None) != model.law:
        return False
    alike = (model.likelihood_name, model.floor) == (two_stage.likelihood_name, two_stage.floor)
    return alike and all(two_stage.priors[p.name] == model.priors[p.name] for p in model.parameters)


def compare_routes(
    scores: pd.DataFrame, pairs: Sequence[RoutePair], score: str = "crps", by: Sequence[str] = ()
) -> pd.DataFrame:
    """Return how much larger the mean score through the loss is than that of the direct law.

    Parameters
    ----------
    scores : pandas.DataFrame
        Rows of held-out runs, as in :attr:`Backtest.scores`.
    pairs : sequence of RoutePair
        What to compare.
    score : {"crps", "mae", "cover50", "cover90"}
        The score.
    by : sequence of str
        Columns to compare within; "distance" stands for bands of compute over the largest fitted.

    Returns
    -------
    pandas.DataFrame
        One row per pair and group: the columns of `by`, mixture, direct, through, loss, the mean
        of both (`direct_mean`, `through_mean`), `difference` (through less direct), `low` and
        `high` of its 90% interval, clustered by run and benchmark, `n`, and `better`: "direct",
        "through the loss", or "cannot tell" where the interval holds 0 or there is none; empty
        for a coverage.

    Raises
    ------
    ModelError
        If there is no pair.
    """
    if not pairs:
        raise ModelError(
            "no two models differ in the route alone; compare power_law and loss_power_law, say"
        )
    known = scores.assign(distance=pd.cut(scores["distance"], (0, *DISTANCES), labels=_bands()))
    columns = list(by)
    if "distance" in columns:
        known = known.sort_values("distance", kind="stable")
    groups = known.groupby(columns, sort=False, observed=True) if columns else [((), known)]
    rows = [
        {**dict(zip(columns, key, strict=True)), **row}
        for key, part in groups
        for pair in pairs
        for row in _rows(part, pair, score)
    ]
    return pd.DataFrame(rows)


def _bands() -> list[str]:
    """Return words for the bands of distance."""
    ends = [f"{end:g}" for end in DISTANCES[:-1]]
    between = [f"{low} to {high} times" for low, high in pairwise(ends)]
    return [f"up to {ends[0]} times", *between, f"above {ends[-1]} times"]


def _rows(scores: pd.DataFrame, pair: RoutePair, score: str) -> list[dict[str, object]]:
    both = scores[scores["model"].isin([pair.direct, pair.through])]
    if set(both["model"]) != {pair.direct, pair.through}:
        return []
    return [
        {
            "mixture": row["mixture"],
            "direct": pair.direct,
            "through": pair.through,
            "loss": pair.loss,
            "direct_mean": row["reference_mean"],
            "through_mean": row["reference_mean"] + row["difference"],
            "difference": row["difference"],
            "low": row["low"],
            "high": row["high"],
            "n": row["n"],
            "better": _better(row["low"], row["high"]) if score in ("crps", "mae") else "",
        }
        for row in paired_differences(both, pair.direct, score).to_dict("records")
    ]


def _better(low: float, high: float) -> str:
    """Say which route has the smaller mean, if the interval does."""
    if high < 0:
        return "through the loss"
    return "direct" if low > 0 else "cannot tell"
