"""Ordinary fits agree with reference posteriors by another sampler, within Monte Carlo error."""

import numpy as np
import pandas as pd
import pytest
from reference_posteriors import KEYS, LAWS, QUANTILES, REFERENCE, elements, pairs, summarise

from bayes_scaling import fit_runs

# Some 400 numbers are compared; a normal error beyond 5 sd has a probability of 6e-7.
MAX_ERRORS = 5.0


def expected(runs, law):
    """Return the reference of one pair by parameter; a skip if the CSV does not have it."""
    if not REFERENCE.exists():
        pytest.skip("no reference posteriors yet: benchmarks/reference_posteriors.py makes them")
    table = pd.read_csv(REFERENCE)
    key = [runs.benchmarks[0], runs.metrics[0], law]
    rows = table[(table[KEYS] == key).all(axis=1)]
    if rows.empty:
        pytest.skip(f"no reference posterior of {law} on {key[0]}")
    return rows.set_index("parameter")


def errors(found, reference):
    """Return how far each number lies from its reference, in errors of both."""
    return pd.DataFrame(
        {
            name: (found[name] - reference[name])
            / np.hypot(found[f"{name}_mcse"], reference[f"{name}_mcse"])
            for name in ("mean", *QUANTILES)
        }
    )


def test_each_standard_series_gets_one_law_in_turn():
    laws = [law for _, law in pairs()]
    assert len(laws) == 12
    assert laws == [*LAWS, *LAWS[:4]]
    assert all(runs.table["flops"].max() <= 6e21 for runs, _ in pairs())


@pytest.mark.slow
@pytest.mark.parametrize("place", range(12))
def test_a_fit_agrees_with_its_reference(place):
    runs, law = list(pairs())[place]
    reference = expected(runs, law)
    fit = fit_runs(runs, law)
    found = summarise(elements(fit.bound, fit.posterior))
    assert sorted(found.index) == sorted(reference.index), "the model has changed: run it again"
    far = errors(found, reference).abs().max(axis=1)
    assert far.max() < MAX_ERRORS, far.nlargest(5).to_string()
