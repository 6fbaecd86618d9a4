"""A posterior of several modes: mixed by its chains, or else weighed, or else said to be neither.

The order is fixed in advance:

1. Chains are spread over the modes. If the draws pass the checks, the chains have mixed.
2. Otherwise, unless their R-hat shows that chains cross, each mode is sampled by chains of its own,
   in three attempts at most, and in no more once all chains visit other modes. If all modes have
   passed and chains have stayed, the modes are weighed and the draws resampled.
3. Otherwise chains cross now and then. They are spread over the modes again, with a target
   acceptance of 0.99. Unless they diverge, chains that jump between the modes follow
   (:mod:`.jumps`). The two come again with 0.999, and then with NUTS 4 and 16 times as long,
   unless that would take more than some minutes. The first attempt that passes is kept. If none
   does, the last is kept, and has not converged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from bayes_scaling.inference.attempts import (
    ORDER,
    Attempt,
    Settings,
    Wanted,
    run_in_order,
)
from bayes_scaling.inference.diagnostics import Diagnostics, diagnose
from bayes_scaling.inference.jumps import Mixture, run_jumps
from bayes_scaling.inference.laplace import Laplace
from bayes_scaling.inference.mixture import (
    LARGEST_SHARE_OUTSIDE,
    Weights,
    resample,
    stay_apart,
    weigh,
)
from bayes_scaling.inference.modes import describe_modes
from bayes_scaling.inference.program import Bound
from bayes_scaling.inference.record import Record

_ALONE = ORDER[:3]  # for the chains of one mode
_CROSSING = (
    Settings(True, 1.0, 0.99, 1),
    *(Settings(True, 1.0, 0.999, thin) for thin in (1, 4, 16)),
)
# Leapfrog steps of one chain, some tens of microseconds each: longer attempts are not made. One
# fit of 200 drawn from the prior of the default law took 27 minutes before.
_MOST_STEPS = 5_000_000
# Chains that stay at different modes have a larger R-hat, whatever is a mode's weight.
_CROSSED = 1.1
_UNKNOWN = float("nan")
_LEFT = "chains leave the modes they start at"
_SHOWN = 4  # parameters of each mode in a sentence

Found = tuple[xr.Dataset, xr.Dataset, Diagnostics]


@dataclass
class _Work:
    """What has been tried so far, and why the modes were not weighed."""

    bound: Bound
    modes: Sequence[Laplace]
    wanted: Wanted
    tried: list[Attempt] = field(default_factory=list)
    reason: str = ""

    def spread(self, order: Sequence[Settings]) -> Attempt:
        """Return the last attempt with chains at every mode."""
        starts = dict(enumerate(self.modes, start=1))
        self.tried += run_in_order(self.bound, starts, order, self.wanted)
        return self.tried[-1]

    def cross(self, first: Attempt) -> Attempt:
        """Return the last attempt with chains at every mode, longer and longer, or that jump."""
        walking = last = first
        for settings in _CROSSING:
            steps = float(walking.sample_stats["n_steps"].mean())
            if steps * settings.thin * self.wanted.draws > _MOST_STEPS:
                longer = f"chains {settings.thin} times as long would take {steps:.0f} steps a draw"
                self.reason = f"{self.reason}, and {longer}" if self.reason else longer
                break
            walking = last = self.spread([settings])
            if last.passed:
                break
            if last.diagnostics.divergences:
                continue  # they would count as divergences of the jumps
            last = run_jumps(self.bound, self.modes, walking, self.wanted)
            self.tried.append(last)
            if last.passed:
                break
        return last

    def sample_each(self) -> list[Attempt] | None:
        """Return draws of each mode by itself; None if they cannot be had."""
        sets = []
        for number, mode in enumerate(self.modes, start=1):
            for attempt in run_in_order(self.bound, {number: mode}, _ALONE, self.wanted):
                self.tried.append(attempt)
                if not attempt.passed and self.all_cross(attempt):
                    self.reason = _LEFT
                    return None
            sets.append(attempt)
            if not attempt.passed:
                self.reason = f"chains of mode {number} alone have not converged"
                return None
        if not stay_apart([one.points for one in sets]):
            self.reason = _LEFT
            return None
        return sets

    def all_cross(self, alone: Attempt) -> bool:
        """Return whether every chain has visited several modes, though all started at one.

        A chain that stays where it went in its warm-up has not.
        """
        flat = alone.points.reshape(-1, self.bound.program.size)
        nearest = Mixture.fit(flat, self.modes).nearest(flat).reshape(alone.points.shape[:2])
        most = [max(np.bincount(chain)) / chain.size for chain in nearest]
        return max(most) < 1 - LARGEST_SHARE_OUTSIDE

    def has_crossed(self, spread: Attempt) -> bool:
        """Return whether chains cross so often that nothing can be learnt of one mode alone."""
        crossed = spread.diagnostics.max_rhat < _CROSSED
        if crossed:
            self.reason = _LEFT
        return crossed

    def weigh_each(self) -> Found | None:
        """Return draws of all modes in proportion to their weights; None if they are unknown."""
        sets = self.sample_each()
        if sets is None:
            return None
        weights = weigh(self.bound, sets, self.wanted.seed)
        if not weights.are_known:
            self.reason = "their weights are not known well enough"
            return None
        posterior, stats = resample(sets, weights, self.wanted)
        stats = self.record(sets, weights, "").attach(stats)
        return posterior, stats, diagnose(posterior, stats)

    def record(self, kept: Sequence[Attempt], weights: Weights | None, problem: str) -> Record:
        """Return the record of all attempts."""
        unknown = [_UNKNOWN] * len(self.modes)
        shares = unknown if weights is None else weights.shares.tolist()
        errors = unknown if weights is None else weights.errors.tolist()
        return Record(
            [one.entry(any(one is other for other in kept)) for one in self.tried],
            describe_modes(self.bound, self.modes, shares, errors),
            problem,
        )


def sample_several(bound: Bound, modes: Sequence[Laplace], wanted: Wanted) -> Found:
    """Sample a posterior of several modes; see the top of this file for the order of attempts.

    Parameters
    ----------
    bound : Bound
        The density.
    modes : sequence of Laplace
        Its modes, two or more.
    wanted : Wanted
        What the caller asks for. With more modes than chains, draws of chains spread over the
        modes have a chain for each mode.

    Returns
    -------
    posterior, sample_stats : xarray.Dataset
        Dimensions (chain, draw).
    diagnostics : Diagnostics
        Whether the draws can be trusted.
    """
    work = _Work(bound, modes, wanted)
    first = work.spread(ORDER[:1])
    if first.passed:
        return _finish(work, first, "")
    if not work.has_crossed(first) and (weighed := work.weigh_each()):
        return weighed
    last = work.cross(first)
    return _finish(work, last, "" if last.passed else _describe_problem(work))


def _finish(work: _Work, kept: Attempt, problem: str) -> Found:
    stats = work.record([kept], None, problem).attach(kept.sample_stats)
    return kept.posterior, stats, replace(kept.diagnostics, unweighed=problem)


def _describe_problem(work: _Work) -> str:
    """Return a sentence that names the modes."""
    entries = describe_modes(work.bound, work.modes, *[[_UNKNOWN] * len(work.modes)] * 2)
    named = [
        f"mode {number} (log density {entry['log_density']:.1f}) at {_values_of(entry)}"
        for number, entry in enumerate(entries, start=1)
    ]
    return (
        f"{len(entries)} modes between which chains do not mix and which could not be weighed, "
        f"because {work.reason}: {'; '.join(named)}"
    )


def _values_of(entry: dict[str, Any]) -> str:
    shown = [
        f"{name} {value:.3g}"
        for name, values in entry["parameters"].items()
        for value in np.ravel(values)
    ]
    return ", ".join(shown[:_SHOWN])
