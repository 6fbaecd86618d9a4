"""Checks of a fit: what its draws, residuals and priors say against its model."""

from __future__ import annotations

from functools import cached_property
from math import nan
from typing import TYPE_CHECKING

import pandas as pd
import scipy.stats

from bayes_scaling.fitting.outcomes import Check, failures
from bayes_scaling.fitting.residual_checks import LEVEL, check_pit, check_residuals
from bayes_scaling.fitting.sensitivity import (
    CONFLICT,
    Sensitivity,
    forecast_sensitivity,
    prior_conflicts,
)
from bayes_scaling.inference.diagnostics import MAX_RHAT

if TYPE_CHECKING:
    from bayes_scaling.fitting.fit import Fit

# Rule of thumb of Kallioinen et al. 2023: a normal forecast reaches it if its mean moves by a
# quarter of its sd when the log density of the priors is doubled.
SENSITIVE = 0.05
# Names of the checks whose subject is the forecast itself, whatever its direction.
SENSITIVITY = "prior sensitivity"
NUMBER = "number of runs"
_ON_FORECASTS = (SENSITIVITY, NUMBER)
# A parameter that keeps more than this share of its prior's variance is little learned.
_KEPT = 0.5


class FitChecks:
    """The checks of one fit, each computed at its first use.

    Parameters
    ----------
    fit : Fit
        The fit.
    """

    def __init__(self, fit: Fit) -> None:
        self._fit = fit

    @cached_property
    def residuals(self) -> list[Check]:
        """Those of residuals, which compile nothing."""
        return check_residuals(self._fit)

    @cached_property
    def conflicts(self) -> pd.DataFrame:
        """How far parameters lie from their priors, by :func:`prior_conflicts`."""
        return prior_conflicts(self._fit)

    @cached_property
    def all(self) -> list[Check]:
        """Every check."""
        return [
            check_convergence(self._fit),
            *self.residuals,
            *check_pit(self._fit),
            check_rise(self._fit),
            check_number(self._fit, self.conflicts),
            check_conflicts(self.conflicts),
            check_sensitivity(forecast_sensitivity(self._fit)),
        ]

    @property
    def quick_failures(self) -> list[Check]:
        """Failed checks of residuals; none if the draws cannot be trusted, which tell nothing."""
        return [] if self._fit.diagnostics.problems() else failures(self.residuals)

    def cautions(self) -> list[str]:
        """Return what failures say of forecasts of larger runs; see :meth:`Fit.cautions`."""
        return [c.sentence for c in failures(self.all) if c.direction or c.check in _ON_FORECASTS]


# ---- convergence ---------------------------------------------------------------------------------


def check_convergence(fit: Fit) -> Check:
    """Return whether the draws can be trusted; see :attr:`Fit.diagnostics`."""
    found = fit.diagnostics
    problems = found.problems()
    said = (
        f"R-hat is at most {found.max_rhat:.3f}, effective sample sizes are at least "
        f"{min(found.min_ess_bulk, found.min_ess_tail):.0f}, and {found.divergences} transitions "
        "diverged"
    )
    sentence = f"NOT CONVERGED: {'; '.join(problems)}." if problems else f"Converged: {said}."
    return Check("convergence", found.max_rhat, nan, MAX_RHAT, nan, not problems, "", sentence)


# ---- scores --------------------------------------------------------------------------------------


def check_rise(fit: Fit) -> Check:
    """Return whether scores rise with compute, or at least do not fall.

    Every law rises in the end. One whose exponent drifts can follow scores that fall, and then
    forecasts a rise that no run has shown.
    """
    scores = fit.observations[["run", "score"]].to_dataframe()
    if "k" in fit.observations:
        scores = scores[(fit.observations["k"] == fit.observations["k"].min()).to_numpy()]
    flops = fit.runs.table.groupby("run")["flops"].first()
    falling = scipy.stats.kendalltau(flops.loc[scores["run"]], scores["score"], alternative="less")
    tau, p = float(falling.statistic), float(falling.pvalue)
    passed = not p < LEVEL  # written so that the NaN of equal scores passes
    how = f"Kendall's tau of scores and compute is {tau:.2f}"
    sentence = f"Scores do not fall as compute grows ({how})."
    if not passed:
        sentence = (
            f"Scores fall as compute grows ({how}), but every law rises in the end: forecasts of "
            "larger runs are likely too high."
        )
    return Check("rise", tau, nan, nan, p, passed, "" if passed else "too high", sentence)


# ---- priors --------------------------------------------------------------------------------------


def check_number(fit: Fit, conflicts: pd.DataFrame) -> Check:
    """Return whether the runs give as many numbers as the model has parameters.

    Parameters
    ----------
    fit : Fit
        The fit.
    conflicts : pandas.DataFrame
        From :func:`bayes_scaling.fitting.sensitivity.prior_conflicts`.
    """
    found, needed = fit.bound.n_numbers, fit.bound.n_parameters
    prior = conflicts.index[conflicts["contraction"] < 1 - _KEPT].tolist()
    little = f" They say little of {', '.join(prior)}, which keep most of their prior." * bool(
        prior
    )
    enough = found >= needed
    sentence = f"The runs give {found} numbers for {needed} parameters.{'' if enough else little}"
    return Check(NUMBER, found, needed, nan, nan, enough, "", sentence)


def check_conflicts(conflicts: pd.DataFrame) -> Check:
    """Return whether any parameter lies far from its prior.

    Parameters
    ----------
    conflicts : pandas.DataFrame
        From :func:`bayes_scaling.fitting.sensitivity.prior_conflicts`.
    """
    bad = conflicts[conflicts["conflict"]].reset_index().to_dict("records")
    told = [
        f"{row['parameter']} is {row['posterior_mean']:.3g}, {abs(row['distance']):.1f} prior sd "
        f"from its prior mean ({row['prior_mean']:.3g} ± {row['prior_sd']:.2g})"
        for row in bad
    ]
    sentence = (
        f"{'; '.join(told)}: the scores disagree with the prior, or the parameter stands for "
        "something else than it is named for."
        if told
        else f"All posterior means are within {CONFLICT:g} prior sd of their prior means."
    )
    value = float(conflicts["distance"].abs().max())
    return Check("prior conflict", value, nan, CONFLICT, nan, not told, "", sentence)


def check_sensitivity(found: Sensitivity) -> Check:
    """Return whether the priors dominate a forecast.

    They do if it is sensitive to them, and more so than to the scores.

    Parameters
    ----------
    found : Sensitivity
        From :func:`bayes_scaling.fitting.sensitivity.forecast_sensitivity`.
    """
    dominated = found.prior >= SENSITIVE and found.prior > found.likelihood
    how = "little on the priors"
    if found.prior >= SENSITIVE:
        how = "on the priors more than on the scores" if dominated else "on scores and on priors"
    sentence = (
        f"The forecast at {found.flops:.2g} FLOPs depends {how} (sensitivity {found.prior:.3f} to "
        f"priors, {found.likelihood:.3f} to scores); priors twice as strong would move it by about "
        f"{100 * found.shift:+.2f} points."
    )
    return Check(SENSITIVITY, found.prior, nan, SENSITIVE, nan, not dominated, "", sentence)
