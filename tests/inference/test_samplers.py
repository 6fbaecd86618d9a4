"""Samplers behind one door: one posterior, whichever samples it and whatever has moved."""

import ast
import importlib
import sys
import warnings

import numpy as np
import pytest

from bayes_scaling import fit_runs, load_model
from bayes_scaling.errors import ModelError, SamplerWarning
from bayes_scaling.inference import _private_names, samplers
from bayes_scaling.inference.target import Samples

pytestmark = pytest.mark.slow

# The modules that are imported anew, so that a missing name is missed.
_ON_PRIVATE_NAMES = (
    *("_private_names", "log_gamma", "machine_code", "program", "laplace", "modes", "attempts"),
    *("bridge", "mixture", "several", "fast"),
)


def assert_same_posterior(fit, other, names=("level", "exponent", "scatter")):
    """Means and sds agree within what Monte Carlo error allows."""
    for name in names:
        ours, theirs = fit.posterior[name], other.posterior[name]
        sd = float(ours.std())
        assert float(theirs.mean()) == pytest.approx(float(ours.mean()), abs=0.15 * sd), name
        assert float(theirs.std()) == pytest.approx(sd, rel=0.15), name


@pytest.fixture(scope="module")
def nutpie_fit(arc_easy):
    return fit_runs(arc_easy, "power_law", sampler="nutpie", seed=1)


@pytest.fixture(scope="module")
def pymc_fit(arc_easy):
    return fit_runs(arc_easy, "power_law", sampler="pymc", seed=1)


@pytest.fixture(scope="module")
def numpyro_fit(arc_easy):
    pytest.importorskip("numpyro")
    return fit_runs(arc_easy, "power_law", sampler="numpyro", seed=1)


def as_samples(fit):
    return Samples(fit.posterior, fit.sample_stats, fit.diagnostics, fit.sampler)


@pytest.mark.parametrize("sampler", ["nutpie", "pymc", "numpyro"])
def test_every_sampler_gives_the_same_posterior(sampler, power_law_fit, request):
    fit = request.getfixturevalue(f"{sampler}_fit")
    assert fit.sampler == sampler
    assert_same_posterior(power_law_fit, fit)
    assert set(fit.posterior.data_vars) == set(power_law_fit.posterior.data_vars)
    assert fit.diagnostics.max_rhat < 1.01
    assert "diverging" in fit.sample_stats
    (attempt,) = fit.attempts.to_dict("records")
    assert (attempt["coordinates"], attempt["tune"], attempt["kept"]) == ("plain", 1000, True)
    assert len(fit.modes) == 0
    xr_forecast = fit.forecast(flops=1e22)
    assert xr_forecast["score"].sizes["draw"] == 1000


def test_an_unknown_sampler_is_refused_with_the_list(arc_easy):
    with pytest.raises(
        ModelError, match=r"no sampler 'stan'\. Samplers: fast, nutpie, pymc, numpyro"
    ):
        fit_runs(arc_easy, "power_law", sampler="stan")


def test_numpyro_says_what_to_install_where_it_is_absent(arc_easy, monkeypatch):
    monkeypatch.setitem(sys.modules, "numpyro", None)
    with pytest.raises(ModelError, match=r"install bayes-scaling\[numpyro\]"):
        fit_runs(arc_easy, "power_law", sampler="numpyro")


# ---- what other libraries do not promise ---------------------------------------------------------


def private_names():
    """Return every (module, name) that the one file imports from other libraries' internals."""
    with open(_private_names.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    return [
        (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        and node.module.split(".")[0] in ("nutpie", "numba", "pytensor", "pymc")
        for alias in node.names
    ]


def test_there_are_private_names_to_break():
    found = private_names()
    assert ("nutpie.compile_pymc", "CompiledPyMCModel") in found
    assert ("pytensor.link.numba.cache", "CACHED_SRC_FUNCTIONS") in found
    assert len(found) >= 15


@pytest.fixture
def anew(monkeypatch):
    """Let what leans on private names be imported anew, and put back afterwards."""
    for name in _ON_PRIVATE_NAMES:
        monkeypatch.delitem(sys.modules, f"bayes_scaling.inference.{name}", raising=False)
    package = importlib.import_module("bayes_scaling.inference")
    for name in _ON_PRIVATE_NAMES:
        monkeypatch.delattr(package, name, raising=False)
    monkeypatch.setattr(samplers, "_told", set())
    return monkeypatch


@pytest.fixture(scope="module")
def by_nutpie(nutpie_fit):
    """Return what stands for nutpie's own path: it compiles for seconds, the same every time."""
    return as_samples(nutpie_fit)


@pytest.mark.parametrize(("module", "name"), private_names())
def test_without_one_of_them_the_same_posterior_is_sampled(
    module, name, anew, by_nutpie, power_law_fit, arc_easy
):
    """Each name missing in turn: the door warns once, names it, and falls back on nutpie.

    nutpie has been run once; its draws stand for those of each further fallback.
    """
    anew.delattr(f"{module}.{name}")
    anew.setattr(samplers, "_sample_nutpie", lambda *_: by_nutpie)
    with pytest.warns(SamplerWarning, match=name) as caught:
        fit = fit_runs(arc_easy, "power_law", seed=1)
    assert "nutpie samples the same posterior" in str(caught[0].message)
    assert caught[0].filename == __file__, "the warning should point at the caller"
    assert fit.sampler == "nutpie"
    assert_same_posterior(power_law_fit, fit)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SamplerWarning)
        fit_runs(arc_easy, "power_law", seed=1)  # said once


def test_a_name_that_nutpie_needs_as_well_leads_to_pymc(anew, pymc_fit, power_law_fit, arc_easy):
    anew.setattr(samplers, "_sample_pymc", lambda *_: as_samples(pymc_fit))
    anew.delattr("nutpie.compile_pymc_model")
    anew.delattr("nutpie.compile_pymc.CompiledPyMCModel")
    with pytest.warns(SamplerWarning, match="nor nutpie, AttributeError") as caught:
        fit = fit_runs(arc_easy, "power_law", seed=1)
    assert "pymc samples the same posterior" in str(caught[0].message)
    assert fit.sampler == "pymc"
    assert_same_posterior(power_law_fit, fit)


def test_a_changed_signature_is_found_at_first_use(anew, by_nutpie, power_law_fit, arc_easy):
    def changed(*, model):
        raise AssertionError

    anew.setattr("nutpie.compile_pymc.CompiledPyMCModel", changed)
    anew.setattr(samplers, "_sample_nutpie", lambda *_: by_nutpie)
    with pytest.warns(SamplerWarning, match="TypeError: .*unexpected keyword"):
        assert_same_posterior(power_law_fit, fit_runs(arc_easy, "power_law", seed=1))


def test_without_numbas_function_in_pytensors_the_same_is_sampled(anew, by_nutpie, arc_easy):
    private = importlib.import_module("bayes_scaling.inference._private_names")

    def moved(function):
        raise AttributeError("'VM' object has no attribute 'jit_fn'")

    anew.setattr(private, "jitted", moved)
    anew.setattr("pytensor.config.numba__cache", False)
    anew.setattr(samplers, "_sample_nutpie", lambda *_: by_nutpie)
    with pytest.warns(SamplerWarning, match="jit_fn"):
        assert fit_runs(arc_easy, "power_law", seed=1).sampler == "nutpie"


@pytest.mark.parametrize(
    ("where", "words"), [("value", "is not PyMC's"), ("slope", "is not the slope")]
)
def test_machine_code_that_computes_something_else_is_not_used(
    anew, by_nutpie, arc_easy, where, words
):
    """The self-check: code that a change elsewhere has made wrong must not sample anything."""
    program = importlib.import_module("bayes_scaling.inference.program")
    sound = program.Bound.log_density

    def wrong(self, point):
        value, slopes = sound(self, point)
        return (value + 0.5, slopes) if where == "value" else (value, 1.5 * slopes)

    anew.setattr(program.Bound, "log_density", wrong)
    anew.setattr(samplers, "_sample_nutpie", lambda *_: by_nutpie)
    with pytest.warns(SamplerWarning, match=words):
        assert fit_runs(arc_easy, "power_law", seed=1).sampler == "nutpie"


@pytest.mark.parametrize("law", ["drifting_power_law_ceiling", "two_stage_logistic"])
def test_sound_machine_code_passes_its_check(law, arc_easy):
    fast = importlib.import_module("bayes_scaling.inference.fast")
    bound = fast.prepare(load_model(law).on(arc_easy))
    bound.check()
    assert np.isfinite(bound.log_density(bound.start)[0])
