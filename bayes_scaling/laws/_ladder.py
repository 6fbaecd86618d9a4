"""The curves of all benchmarks of a ladder; direct laws and laws through the loss are its limits.

    log(−log Q'_b − E_b) = constant − slope_b · [(1 − h_b)·d + h_b·u + drift_b · bends_b(log C)]

d is the log budget itself. u is the log budget at which the median run has this run's loss. Both
are counted from the centroid of the fitted runs. With h_b = 1 and no drift everything goes through
the loss; with h_b = 0 the law is direct. In terms of powers of the reducible loss and of C,
k_b = h_b·slope_b/a and s_b = (1 − h_b)·slope_b, where a is the exponent of the reducible loss.

Each function takes PyTensor tensors or labelled arrays; `xp` is their module.
"""

from __future__ import annotations

from typing import Any

from bayes_scaling.laws._routes import log_loss_above, log_ratio_seen
from bayes_scaling.laws.base import Array, Values
from bayes_scaling.laws.power_law_ceiling import LAW as WITH_CEILING


def loss_slope(p: Values) -> Array:
    """Return a, the exponent of the reducible loss, from that of the whole at the centroid."""
    return p["loss_exponent"] / (1 - p["irreducible_share"])


def loss_compute(p: Values, x: Values, xp: Any) -> Array:
    """Return the log budget on the scale of the loss of a median run, before the loss drifts.

    Without params and tokens it is the log of FLOPs. With them the reducible loss is a sum of a
    power of each, and the budget is scaled so that growing both alike counts as FLOPs.
    """
    if "params_share" not in p:
        return x["flops"]
    share, ratio, slope = p["params_share"], p["exponent_ratio"], loss_slope(p)
    scale = 2 * slope / (share * ratio + 1 - share)
    by_params = share * xp.exp(-scale * ratio * x["params"])
    by_tokens = (1 - share) * xp.exp(-scale * x["tokens"])
    return -xp.log(by_params + by_tokens) / slope


def direct_compute(p: Values, x: Values) -> Array:
    """Return the log budget of the direct route: log FLOPs, tilted to params or to tokens."""
    if "tilt" not in p:
        return x["flops"]
    return x["flops"] + p["tilt"] * (x["params"] - x["tokens"])


def log_loss(p: Values, compute: Array, xp: Any) -> Array:
    """Return the log of the median loss at a log budget on the scale of the loss."""
    return log_loss_above(p, -loss_slope(p) * compute, xp)


def seen_compute(p: Values, loss: Array, central: Any, xp: Any) -> Array:
    """Return the log budget at which the median run has this loss, from that of a central loss.

    The central loss is that of the fitted runs, a number. If budgets were counted from the median
    at the centroid of FLOPs, a parameter, the fit could move that to where priors of levels are
    higher, and give up the loss: such places held chains on 46 benchmarks.
    """
    at, centre = (log_ratio_seen(p, seen - p["loss_level"], xp) for seen in (loss, central))
    return (centre - at) / loss_slope(p)


def irreducible(p: Values, xp: Any) -> Array:
    """Return E in nats: `ceiling_pull`, held smoothly below all of −log Q' at the centroid."""
    return -p["neg_log_q"] * xp.expm1(-p["ceiling_pull"] / p["neg_log_q"])


def quality(p: Values, compute: Array, xp: Any) -> Array:
    """Return Q' at an effective log budget."""
    return WITH_CEILING.normalised_accuracy(p, {"flops": compute}, {}, xp)
