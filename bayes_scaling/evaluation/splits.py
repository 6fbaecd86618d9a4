"""What a comparison takes by default: laws, a cut-off, and one k of pass@k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bayes_scaling.errors import RunsError
from bayes_scaling.modelling.model import ScalingModel, load_model
from bayes_scaling.modelling.observations import ratios_vary
from bayes_scaling.runs import Runs

COMPARED_LAWS = (
    "power_law",
    "power_law_ceiling",
    "broken_power_law",
    "drifting_power_law",
    "drifting_power_law_ceiling",
    "loss_power_law_ceiling",
    "loss_drifting_power_law_ceiling",
    "loss_logistic",
    "two_stage_linear",
    "two_stage_logistic",
    "exponential_loss",
)
# Only a ladder of several ratios of tokens to parameters can say what each of the two is worth.
RATIO_LAWS = ("drifting_params_tokens", "loss_drifting_params_tokens")
# The runs in the last factor of 6 of compute are held out, about as in Krajewski et al. 2025.
_HELD_OUT_FACTOR = 6.0


def default_cutoff(runs: Runs) -> float:
    """Return the largest budget to fit, in FLOPs: a sixth of the largest run's.

    Examples
    --------
    >>> from bayes_scaling import load_dataset
    >>> f"{default_cutoff(load_dataset(mixture='c4')):.2g}"
    '9.7e+20'
    """
    if not len(runs):
        raise RunsError("no rows are left; loosen the selection")
    return float(runs.table["flops"].max()) / _HELD_OUT_FACTOR


@dataclass(frozen=True)
class ComparisonPlan:
    """What to compare.

    Attributes
    ----------
    models : mapping of str to ScalingModel
        Models by name.
    runs : Runs
        The series, with pass@k at one k.
    cutoff : float
        Largest budget to fit, in FLOPs; larger runs are held out.
    loss : str
        Loss that two-stage point fits go through.
    """

    models: Mapping[str, ScalingModel]
    runs: Runs
    cutoff: float
    loss: str


def plan_comparison(
    runs: Runs,
    *,
    laws: Sequence[str | Path] = (),
    cutoff: float | None = None,
    loss: str | None = None,
) -> ComparisonPlan:
    """Return what to compare on a ladder, by default with the usual laws and split.

    Parameters
    ----------
    runs : Runs
        One or more series of one mixture.
    laws : sequence of str
        Names or TOML files of models; by default eleven laws, and two in parameters and
        tokens where the ratio of these varies.
    cutoff : float, optional
        Largest budget to fit, in FLOPs; by default a sixth of the largest run's.
    loss : str, optional
        Loss that two-stage laws go through; by default each model's own.

    Raises
    ------
    RunsError
        If there are several mixtures.

    Examples
    --------
    >>> from bayes_scaling.datasets.krajewski2025 import standard_runs
    >>> len(plan_comparison(standard_runs()).models)
    11
    """
    if len(runs.mixtures) > 1:
        raise RunsError(f"choose one with --mixture: {', '.join(runs.mixtures)}")
    runs = with_one_k(runs)
    cutoff = default_cutoff(runs) if cutoff is None else cutoff
    models = default_models(runs.below(cutoff), laws, loss)
    return ComparisonPlan(models, runs, cutoff, loss or "auto")


def default_models(
    fitted: Runs, laws: Sequence[str | Path] = (), loss: str | None = None
) -> dict[str, ScalingModel]:
    """Return the models to compare, by name.

    Parameters
    ----------
    fitted : Runs
        The runs that are to be fitted.
    laws : sequence of str
        Names or TOML files of models; by default eleven laws, and two in parameters and
        tokens where the ratio of these varies.
    loss : str, optional
        Loss that two-stage laws go through.
    """
    usual = (*COMPARED_LAWS, *RATIO_LAWS) if ratios_vary(fitted.table) else COMPARED_LAWS
    models = {Path(law).stem: load_model(law) for law in laws or usual}
    return {n: m.with_options(loss=loss) if m.two_stage else m for n, m in models.items()}


def with_one_k(runs: Runs) -> Runs:
    """Return the runs with pass@k at its smallest k only, which all laws can read."""
    parts = [
        series.select(k=int(series.table["k"].min())) if key.metric == "pass@k" else series
        for key, series in runs.series()
    ]
    return Runs.concat(parts)
