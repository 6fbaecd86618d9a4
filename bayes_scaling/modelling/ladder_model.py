"""LadderModel: one model of all benchmarks of a ladder, partially pooled, not yet bound to runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pymc_extras.prior import Prior

from bayes_scaling.errors import ModelError
from bayes_scaling.laws import Parameter
from bayes_scaling.laws._reverting import DECADE, KNOT
from bayes_scaling.modelling.bound_ladder import BoundLadder
from bayes_scaling.modelling.defaults import ladder_defaults
from bayes_scaling.modelling.ladder_observations import NEAR_CHANCE, observe_ladder
from bayes_scaling.modelling.priors import check_names, check_prior
from bayes_scaling.runs import Runs

_EACH = {"benchmark": 1}
_SHARE = "share of the binomial variance that runs on one test set show between them"

PARAMETERS = tuple(
    Parameter(name, meaning, unit, start, dims=dims)
    for name, meaning, unit, start, dims in (
        ("floor", "accuracy of a run that has learnt nothing", "accuracy", 0.1, {NEAR_CHANCE: 1}),
        ("neg_log_q", "−log Q' of the curve at the centroid of the runs", "nats", 1.0, _EACH),
        ("exponent", "fall of log(−log Q') per unit of log C at the centroid", "", 0.15, _EACH),
        ("ceiling_pull", "irreducible part of −log Q', if it were small", "nats", 0.1, _EACH),
        ("drift", "sd of the local exponent over its mean", "", 0.2, _EACH),
        ("bends", "bends of each curve, in standard units", "", 0.0, {**_EACH, KNOT: 1}),
        ("through", "share of the slope that goes through the loss", "", 0.5, _EACH),
        ("tilt", "how much more params count than tokens, directly", "", 0.0, {}),
        ("scatter", "sd of a run's true accuracy round the curve, at 50%", "accuracy", 0.01, _EACH),
        ("binomial_share", _SHARE, "", 0.5, _EACH),
        ("run_share", "share of the scatter common to a run's benchmarks", "", 0.3, {}),
        ("loss_level", "median loss at the centroid", "nats", 3.0, {}),
        ("irreducible_share", "irreducible share of the loss at the centroid", "", 0.5, {}),
        ("loss_exponent", "exponent of the whole loss at the centroid", "", 0.06, {}),
        ("loss_scatter", "sd of a run's log loss round its median", "", 0.01, {}),
        ("loss_drift", "sd of the reducible loss's local exponent over its mean", "", 0.1, {}),
        ("loss_bends", "bends of the loss, in standard units", "", 0.0, {KNOT: 1}),
        ("params_share", "share of the reducible loss that params reduce", "", 0.5, {}),
        ("exponent_ratio", "exponent of the loss in params over that in tokens", "", 1.0, {}),
    )
)
_CUT = ("floor",)


@dataclass(frozen=True, repr=False)
class LadderModel:
    """One posterior over all benchmarks of a ladder.

    All benchmarks share the runs, their losses and their luck. Each has a level, an exponent, a
    ceiling, a drift and noise of its own, and what benchmarks have in common is learned
    (partial pooling). A share of each benchmark's slope goes through the loss of a run, and the
    rest depends on its budget directly; see the equation in `laws/_ladder.py`.

    Parameters
    ----------
    priors : mapping of str to pymc_extras.prior.Prior, optional
        Priors in place of those of `models/ladder.toml`.
    loss : str or None
        Column of the loss that runs have in common; "auto" as for laws with two stages. None
        is the pooled direct model.
    length : float
        Distance in log C over which a deviation of an exponent from its mean falls by e: by
        default one decade of compute.

    Raises
    ------
    ModelError
        If a prior belongs to no parameter, or cannot be honoured.

    Examples
    --------
    >>> from bayes_scaling import load_dataset
    >>> runs = load_dataset(mixture="dclm").select(tokens_per_param=20)
    >>> pair = runs.select(["piqa", "sciq"], "acc").below(6e21)
    >>> LadderModel(loss="loss_dclm").on(pair)
    <BoundLadder of 2 benchmarks on dclm through loss_dclm: 46 runs>
    """

    priors: Mapping[str, Prior] = field(default_factory=dict)
    loss: str | None = "auto"
    length: float = DECADE

    def __post_init__(self) -> None:
        if not self.length > 0:
            raise ModelError(f"length must be positive, got {self.length}")
        known = {p.name: p for p in PARAMETERS}
        check_names(self.priors, known, "the ladder model")
        object.__setattr__(self, "priors", ladder_defaults()[0] | dict(self.priors))
        for name, parameter in known.items():
            check_prior(parameter, self.priors[name], bounded=name in _CUT)

    def __repr__(self) -> str:
        return f"<LadderModel: {f'through {self.loss} loss' if self.loss else 'direct'}>"

    def __str__(self) -> str:
        lines = [f"  {p.name} ~ {self.priors[p.name]}: {p.meaning}" for p in PARAMETERS]
        return "\n".join([repr(self), *lines])

    def with_priors(self, **priors: Prior) -> Self:
        """Return the model with some priors replaced."""
        return replace(self, priors={**self.priors, **priors})

    def on(self, runs: Runs) -> BoundLadder:
        """Return the model bound to the runs of one ladder.

        Raises
        ------
        ModelError
            If the runs are not one ladder; see
            :func:`bayes_scaling.modelling.ladder_observations.observe_ladder`.
        """
        return BoundLadder(self, runs, observe_ladder(runs, self.loss))

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain numbers and text, for a file."""
        priors = {name: prior.to_dict() for name, prior in self.priors.items()}
        return {"loss": self.loss, "length": self.length, "priors": priors}

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> Self:
        """Return the model that :meth:`to_dict` described."""
        priors = {name: Prior.from_dict(prior) for name, prior in spec["priors"].items()}
        return cls(priors, spec["loss"], spec["length"])
