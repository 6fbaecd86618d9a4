"""Trial values of a law, to test its contract and to tell two laws apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from bayes_scaling.laws.base import Parameter, ScalingLaw, TwoStageLaw

# As in a real ladder: natural logarithms of FLOPs, parameters, tokens and samples.
_CENTRES = {"flops": 46.5, "params": 20.3, "tokens": 23.3, "k": 2.2}
REACH = 4.0
CHAIN, DRAW, PLACE = "chain", "draw", "place"
_DRAWS = 3


def trial_centre(law: ScalingLaw) -> dict[str, float]:
    """Return a centre `c` as a ladder of runs would give it."""
    centre = {i.name: _CENTRES.get(i.name, 0.5) if i.centred else 0.0 for i in law.reads}
    return centre | {"reach": REACH}


def trial_inputs(law: ScalingLaw, places: Any) -> dict[str, xr.DataArray]:
    """Return the inputs of a law at places along each of them, and its features there."""
    names = (*law.columns, "loss") if isinstance(law, TwoStageLaw) else law.columns
    places = np.asarray(places, float)
    # No two inputs move alike, so that a law that confuses two is found; a loss moves by a nat.
    scales = [0.25 if n == "loss" else 1 / (1 + 0.3 * i) for i, n in enumerate(names)]
    x = {
        name: xr.DataArray(scale * places, dims=PLACE)
        for name, scale in zip(names, scales, strict=True)
    }
    return x | law.features(x, trial_centre(law))


def trial_values(law: ScalingLaw) -> dict[str, xr.DataArray]:
    """Return three draws of the parameters of a law, round their starts."""
    values = {"neg_log_q": xr.DataArray([[0.7, 0.35, 1.4]], dims=(CHAIN, DRAW))}
    for place, parameter in enumerate(law.parameters):
        values[parameter.name] = _around_start(parameter, place)
    return values


def _around_start(parameter: Parameter, place: int) -> xr.DataArray:
    shape = (1, _DRAWS, *parameter.shape)
    waves = np.cos(1.0 + place + np.arange(np.prod(shape, dtype=int))).reshape(shape)
    step = 0.2 * abs(parameter.start) if parameter.start else 0.1
    return xr.DataArray(parameter.start + step * waves, dims=(CHAIN, DRAW, *parameter.dims))


def fingerprint(law: ScalingLaw) -> str:
    """Return a short text that tells laws apart by what they compute.

    Two laws of one name have one fingerprint only if their curves, constants, parameters and
    inputs agree at trial values, whatever their code looks like.
    """
    text = hashlib.sha256(repr((law.name, law.reads)).encode())
    for parameter in law.parameters:
        text.update(repr((parameter.name, parameter.start, parameter.shape)).encode())
    for numbers in _computed(law):
        # Nine digits: a new NumPy may change the last bits, and that is not another law.
        text.update(" ".join(f"{value:.8e}" for value in np.ravel(numbers)).encode())
    return text.hexdigest()[:16]


def _computed(law: ScalingLaw) -> Iterator[Any]:
    x, c = trial_inputs(law, np.linspace(-REACH, REACH, 5)), trial_centre(law)
    p = trial_values(law)
    yield law.normalised_accuracy(p, x, c, np)
    if isinstance(law, TwoStageLaw):
        yield law.log_loss(p, x, c, np)
    for name, value in sorted(law.textbook(p, c, np).items()):
        yield from ([float(ord(letter)) for letter in name], value)
    for parameter in law.parameters:
        if parameter.upper is not None:
            yield parameter.upper(p, np)
