"""Sampling: one program per structure, draws that depend on the seed alone, and diagnostics."""

import threading
import time
import warnings

import arviz as az
import numpy as np
import pytest
import xarray as xr

from bayes_scaling import fit_runs, load_model
from bayes_scaling.errors import ConvergenceWarning
from bayes_scaling.inference import attempts, fast
from bayes_scaling.inference.diagnostics import Diagnostics, diagnose
from bayes_scaling.inference.samplers import sample


def draw(model, runs, **kwargs):
    given = load_model(model) if isinstance(model, str) else model
    return sample(given.on(runs), **{"draws": 200, "tune": 200, **kwargs}).posterior


def assert_same_draws(one, other):
    assert set(one.data_vars) == set(other.data_vars)
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name].to_numpy(), other[name].to_numpy(), name)


# ---- compile once --------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_program_serves_every_series_and_prior_of_a_law(power_law_fit, series):
    programs = len(fast._programs)
    for benchmark, metric in (("sciq", "acc"), ("piqa", "acc_norm"), ("triviaqa_1shot", None)):
        model = load_model("power_law").with_options(floor="fixed")
        draw(model, series(benchmark, metric))
    draw("power_law", series("arc_easy", "acc").below(1e20))  # fewer runs
    assert len(fast._programs) == programs


def test_threads_do_not_compile_twice(arc_easy, monkeypatch):
    calls = []

    compile_program = fast.compile_program

    def slow_compile(model):
        calls.append(1)
        time.sleep(0.05)
        return compile_program(model)

    monkeypatch.setattr(fast, "_programs", {})
    monkeypatch.setattr(fast, "compile_program", slow_compile)
    bound = load_model("power_law").on(arc_easy)
    threads = [threading.Thread(target=fast.prepare, args=(bound,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


# ---- the seed ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_draws_depend_on_the_seed_and_not_on_the_cores(power_law_fit, arc_easy):
    first = draw("power_law", arc_easy, seed=3, cores=1)
    assert_same_draws(first, draw("power_law", arc_easy, seed=3, cores=2))
    other = draw("power_law", arc_easy, seed=4)
    assert not np.array_equal(first["exponent"], other["exponent"])


@pytest.mark.slow
def test_draws_do_not_depend_on_the_series_compiled_first(arc_easy, series, monkeypatch):
    """With a fixed floor, because the level is then bounded by the series' own chance level."""
    model = load_model("power_law").with_options(floor="fixed")
    compiled_first = draw(model, arc_easy, seed=3)
    monkeypatch.setattr(fast, "_programs", {})
    draw(model, series("winogrande", "acc"), seed=9)
    assert_same_draws(compiled_first, draw(model, arc_easy, seed=3))
    assert len(fast._programs) == 1


@pytest.mark.slow
def test_draws_have_the_asked_shape(power_law_fit, arc_easy):
    bound = load_model("power_law").on(arc_easy)
    samples = sample(bound, draws=70, tune=50, chains=3)
    posterior, stats = samples.posterior, samples.sample_stats
    assert dict(posterior.sizes) == {"chain": 3, "draw": 70}
    assert {p.name for p in bound.parameters} <= set(posterior.data_vars)
    assert {"A", "alpha"} <= set(posterior.data_vars)
    assert stats["diverging"].shape == (3, 70)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("length", "last"), [(3, 0.0), (5, np.nan)], ids=["fewer draws", "padded draws"]
)
def test_draws_cut_short_by_ctrl_c_are_no_posterior(
    power_law_fit, arc_easy, monkeypatch, length, last
):
    """nutpie returns what it has, as if nothing had happened."""
    calls = []

    def interrupted(model, **_):
        calls.append(model)
        logp = np.zeros((2, length))
        logp[-1, -1] = last
        points = xr.DataArray(np.zeros((2, length, model.n_dim)), dims=("chain", "draw", "i"))
        stats = {"logp": (("chain", "draw"), logp), "diverging": (("chain", "draw"), logp > 1)}
        return xr.DataTree.from_dict(
            {
                "posterior": xr.Dataset({"unconstrained": points}),
                "sample_stats": xr.Dataset(stats),
            }
        )

    monkeypatch.setattr(attempts.nutpie, "sample", interrupted)
    with pytest.raises(KeyboardInterrupt):
        draw("power_law", arc_easy, draws=5, chains=2)
    assert len(calls) == 1  # and are not tried again


# ---- diagnostics ---------------------------------------------------------------------------------

GOOD = Diagnostics(0, 1.002, 1800.0, 1500.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"divergences": 3}, ["3 divergent transitions"]),
        ({"max_rhat": 1.0101}, ["R-hat 1.010 above 1.01"]),
        ({"min_ess_bulk": 399.0}, ["bulk ESS 399 below 400"]),
        ({"min_ess_tail": 12.0}, ["tail ESS 12 below 400"]),
        ({"max_rhat": np.nan, "min_ess_bulk": np.nan}, ["R-hat nan", "bulk ESS nan"]),
    ],
)
def test_problems_in_words(change, words):
    found = Diagnostics(**{**GOOD.to_dict(), **change}).problems()
    assert len(found) == len(words)
    assert all(problem.startswith(word[:7]) for problem, word in zip(found, words, strict=True))
    assert all(word in "; ".join(found) for word in words)


def chains(shift=0.0, stuck=False):
    values = np.random.default_rng(0).normal(size=(4, 500))
    values[0] += shift
    return xr.Dataset(
        {
            "good": (("chain", "draw"), np.random.default_rng(1).normal(size=(4, 500))),
            "doubtful": (("chain", "draw"), np.zeros((4, 500)) if stuck else values),
        }
    )


def stats(divergences=0):
    diverging = np.zeros((4, 500), bool)
    diverging[1, :divergences] = True
    return xr.Dataset({"diverging": (("chain", "draw"), diverging)})


def test_diagnostics_are_those_of_the_worst_parameter():
    found = diagnose(chains(shift=1.0), stats(divergences=2))
    expected = az.summary(chains(shift=1.0), round_to="none")
    assert found.divergences == 2
    assert found.max_rhat == pytest.approx(float(expected["r_hat"].max()))
    assert found.min_ess_bulk == pytest.approx(float(expected["ess_bulk"].min()))
    assert found.min_ess_tail == pytest.approx(float(expected["ess_tail"].min()))
    assert len(found.problems()) >= 2


def test_independent_draws_have_no_problems():
    assert diagnose(chains(), stats()).problems() == []


def test_chains_that_never_move_are_a_problem():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert diagnose(chains(stuck=True), stats()).problems()


@pytest.mark.slow
def test_a_bad_fit_says_so_loudly(power_law_fit, arc_easy):
    with pytest.warns(ConvergenceWarning, match="power_law has not converged") as caught:
        bad = fit_runs(arc_easy, "power_law", draws=20, tune=5)
    assert caught[0].filename == __file__, "the warning should point at the caller"
    assert "NOT CONVERGED" in bad.describe()
    for use in (bad.summary, lambda: bad.forecast(flops=1e22)):
        with pytest.warns(ConvergenceWarning):
            use()


@pytest.mark.slow
def test_a_good_fit_says_nothing(series):
    fit = fit_runs(series("piqa", "acc_norm"), "power_law")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        fit.summary()
        fit.forecast(flops=1e22)
    assert fit.describe().endswith("; converged")


@pytest.mark.parametrize("rhats", [(1.9, 1.02, 1.4, 1.1), (1.02, 1.4, 1.3, np.nan)])
def test_where_no_attempt_will_do_the_last_is_kept(arc_easy, monkeypatch, rhats):
    """Whichever looks best: to choose by the diagnostics would make them look better than true."""
    seen = []

    def diagnose(posterior, sample_stats):
        seen.append(posterior)
        return Diagnostics(0, rhats[len(seen) - 1], 50.0, 50.0)

    monkeypatch.setattr(attempts, "diagnose", diagnose)
    posterior = sample(load_model("power_law").on(arc_easy), draws=20, tune=50).posterior
    assert len(seen) == len(rhats)
    assert posterior.identical(seen[-1])


def test_later_attempts_keep_every_fourth_draw_and_every_divergence(arc_easy, monkeypatch):
    calls = []

    def made_up(model, *, draws, chains, **_):
        calls.append(draws)
        shape = (chains, draws)
        points = np.broadcast_to(np.arange(draws)[:, None] * 1e-3, (*shape, model.n_dim))
        diverging = np.zeros(shape, bool)
        diverging[0, -2] = True  # not of a draw that is kept when thinning
        dims = ("chain", "draw")
        stats = {
            "logp": (dims, np.zeros(shape)),
            "diverging": (dims, diverging),
            "n_steps": (dims, np.broadcast_to(np.arange(draws), shape)),
        }
        return xr.DataTree.from_dict(
            {
                "posterior": xr.Dataset({"unconstrained": ((*dims, "i"), points)}),
                "sample_stats": xr.Dataset(stats, coords={"draw": range(draws)}),
            }
        )

    monkeypatch.setattr(attempts.nutpie, "sample", made_up)
    samples = sample(load_model("power_law").on(arc_easy), draws=5, chains=2, tune=10)
    posterior, stats, found = samples.posterior, samples.sample_stats, samples.diagnostics
    assert calls[-1] == 20
    assert stats["n_steps"][0].values.tolist() == [3, 7, 11, 15, 19]
    assert stats["draw"].equals(posterior["draw"])
    assert stats["diverging"][0].values.tolist() == [False, False, False, False, True]
    assert found.divergences == 1
    steps = np.diff(np.log(posterior["scatter"][0]))
    np.testing.assert_allclose(steps, 4e-3)  # plain coordinates: the log of a scatter
