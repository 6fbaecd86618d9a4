"""Every public name says what it takes, and shows it in an example that runs."""

import doctest
import importlib
import inspect
import warnings
from pathlib import Path

import matplotlib as mpl
import pytest

import bayes_scaling

PACKAGE = Path(bayes_scaling.__file__).parent
NEEDLESS = {"BayesScalingError", "ConvergenceWarning", "ModelError", "RunsError", "RunsWarning"}
NEEDLESS |= {"ExtrapolationWarning", "SamplerWarning", "__version__"}
# Objects that functions return: their examples are those of the functions.
RETURNED = {"Backtest", "Classification", "Comparison", "LadderFit", "RequiredBudget", "TrendFit"}


def modules():
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if ">>>" in path.read_text(encoding="utf-8"):
            names.append(".".join(part for part in parts if part != "__init__"))
    return names


@pytest.fixture(scope="module")
def fit_once():
    """Return `fit_runs`, which gives the fit of before to examples that make the same one."""
    fits = {}

    def fit_runs(runs, law=None, **settings):
        if settings or not (law is None or isinstance(law, str)):
            return fitted(runs, law, **settings)
        key = (runs.to_frame().to_csv(), law)
        if key not in fits:
            fits[key] = fitted(runs, law)
        return fits[key]

    fitted = bayes_scaling.fit_runs
    return fit_runs


@pytest.mark.slow
@pytest.mark.parametrize("name", modules())
def test_examples_run(name, tmp_path, monkeypatch, fit_once):
    monkeypatch.chdir(tmp_path)
    # Thirty examples fit the default law to the same runs.
    monkeypatch.setattr(bayes_scaling, "fit_runs", fit_once)
    mpl.use("agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(bayes_scaling.__all__) - NEEDLESS - RETURNED))
def test_public_names_have_an_example(name):
    assert ">>>" in inspect.getdoc(getattr(bayes_scaling, name))


@pytest.mark.slow
def test_figures_have_an_example():
    from bayes_scaling import plots

    for name in plots.__all__:
        assert ">>>" in inspect.getdoc(getattr(plots, name)), name


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(bayes_scaling.__all__) - NEEDLESS - RETURNED))
def test_public_functions_name_every_argument(name):
    thing = getattr(bayes_scaling, name)
    text = inspect.getdoc(thing)
    arguments = [
        argument
        for argument in inspect.signature(thing).parameters
        if argument not in ("self", "args", "kwargs") and not argument.startswith("_")
    ]
    missing = [argument for argument in arguments if argument not in text]
    assert missing == []
