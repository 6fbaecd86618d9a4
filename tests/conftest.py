"""Fits that many tests look at: each is sampled once a session, each law compiled once."""

import pytest

CUTOFF = 6e21  # the published split: fitted at or below, held out above


def pytest_collection_modifyitems(items):
    """Begin with the two longest files, so that neither of two processes waits at the end."""
    items.sort(key=lambda item: item.path.name not in ("test_notebooks.py", "test_properties.py"))


@pytest.fixture(scope="session")
def dclm():
    from bayes_scaling.datasets import load_dataset

    return load_dataset("krajewski2025", mixture="dclm")


@pytest.fixture(scope="session")
def series(dclm):
    """Return a function that selects the fitted part of a real series."""

    def select(benchmark, metric, **kwargs):
        chosen = {"tokens_per_param": 20, **kwargs}
        return dclm.select(benchmark=benchmark, metric=metric, **chosen).below(CUTOFF)

    return select


@pytest.fixture(scope="session")
def arc_easy(series):
    return series("arc_easy", "acc")


@pytest.fixture(scope="session")
def held_out(dclm):
    return dclm.select(benchmark="arc_easy", metric="acc", tokens_per_param=20).above(CUTOFF)


@pytest.fixture(scope="session")
def all_ratios(series):
    """Return arc_easy at every number of tokens per parameter, for laws in both."""
    return series("arc_easy", "acc", tokens_per_param=None)


@pytest.fixture(scope="session")
def humaneval(series):
    return series("humaneval-py", "pass@k")


@pytest.fixture(scope="session")
def power_law_fit(arc_easy):
    from bayes_scaling import fit_runs

    return fit_runs(arc_easy, "power_law")


@pytest.fixture(scope="session")
def ceiling_fit(arc_easy):
    from bayes_scaling import fit_runs

    return fit_runs(arc_easy, "power_law_ceiling")


@pytest.fixture(scope="session")
def params_tokens_fit(all_ratios):
    from bayes_scaling import fit_runs

    return fit_runs(all_ratios, "params_tokens")


@pytest.fixture(scope="session")
def pass_at_k_fit(humaneval):
    from bayes_scaling import fit_runs

    return fit_runs(humaneval, "pass_at_k")
