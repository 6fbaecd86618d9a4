"""Several modes: they are found, sampled in proportion to their mass, and told of."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pymc as pm
import pytest
import scipy.stats
import xarray as xr
from hills import WEIGHTS, Hills

from bayes_scaling import Fit, fit_runs, load_dataset, load_model
from bayes_scaling.inference import attempts, fast, jumps, mixture, several
from bayes_scaling.inference.bridge import Normal, estimate_log_evidence
from bayes_scaling.inference.diagnostics import Diagnostics, diagnose
from bayes_scaling.inference.modes import describe_modes, search_modes
from bayes_scaling.inference.record import Record
from bayes_scaling.inference.samplers import sample


@pytest.fixture(scope="module")
def arc(dclm):
    return dclm.select("arc_easy", "acc", tokens_per_param=20).below(6e21)


# ---- the search ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 6])
def test_both_hills_are_found_with_their_evidence(size):
    target = Hills(size)
    found = search_modes(fast.prepare(target), 0)
    assert len(found) == 2
    for mode, i in zip(found, (1, 0), strict=True):  # best first
        np.testing.assert_allclose(mode.mode, target.centres[i], atol=1e-3)
        assert mode.log_evidence == pytest.approx(np.log(WEIGHTS[i]), abs=1e-3)


@pytest.mark.slow
def test_a_hill_too_light_to_matter_is_left_out():
    found = search_modes(fast.prepare(Hills(2, weights=(1e-6, 1 - 1e-6))), 0)
    assert len(found) == 1


@pytest.mark.slow
def test_hills_without_a_barrier_are_one_mode():
    close = Hills(2, apart=2.5, scales=(1.0, 1.0), weights=(0.4, 0.6))
    assert len(search_modes(fast.prepare(close), 0)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("law", ["power_law", "drifting_power_law"])
def test_a_law_with_one_mode_has_one(law, arc):
    bound = fast.prepare(load_model(law).on(arc))
    for seed in range(2):
        (mode,) = search_modes(bound, seed)
        assert mode.steepness < 0.1


@pytest.mark.slow
def test_the_seed_decides_what_is_found(arc):
    bound = fast.prepare(load_model("broken_power_law").on(arc))
    first, again = search_modes(bound, 5), search_modes(bound, 5)
    np.testing.assert_array_equal([m.mode for m in first], [m.mode for m in again])


@pytest.mark.slow
def test_starts_are_draws_of_the_prior(arc):
    model = load_model("power_law_ceiling").with_options(floor="free").on(arc)
    bound = fast.prepare(model)
    points = bound.prior_points(400, 3)
    np.testing.assert_array_equal(points[:2], bound.prior_points(2, 3))
    drawn, expected = bound.constrain(points[None]), model.prior(4000)
    for name in ("level", "floor", "E", "scatter"):
        same = scipy.stats.ks_2samp(drawn[name].to_numpy()[0], expected[name].to_numpy()[0])
        assert same.pvalue > 1e-3, name


@pytest.mark.slow
def test_a_flat_prior_gives_no_starts():
    @dataclass(frozen=True)
    class Flat(Hills):
        @cached_property
        def pymc(self):
            with pm.Model() as model:
                zero = pm.Data("weights", 0.0)
                x = pm.Flat("x")
                pm.Potential("density", -((x - zero) ** 2) / 2)
            return model

        def structure(self):
            return ("a flat prior of a test",)

        def data(self):
            return {"weights": 0.0}

    bound = fast.prepare(Flat(1))
    assert bound.prior_points(3, 0).shape == (0, 1)
    assert len(search_modes(bound, 0)) == 1


# ---- weights -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 6])
def test_draws_have_the_weights_and_moments_of_the_whole(size):
    target = Hills(size)
    samples = sample(target, seed=0)
    assert samples.diagnostics.problems() == []
    x = samples.posterior["x"]
    assert dict(x.sizes) == {"chain": 4, "draw": 1000, "axis": size}
    right = (x.mean("axis") > 0).mean("draw").to_numpy()
    np.testing.assert_allclose(right, 0.7, atol=0.02)  # in every chain
    mean, covariance = target.moments()
    flat = x.to_numpy().reshape(-1, size)
    np.testing.assert_allclose(flat.mean(axis=0), mean, atol=0.12)
    np.testing.assert_allclose(np.cov(flat, rowvar=False), covariance, atol=0.35)
    modes = Record.read(samples.sample_stats).modes
    for mode, weight in zip(modes, (0.7, 0.3), strict=True):
        assert mode["weight"] == pytest.approx(weight, abs=0.02)
        assert abs(mode["weight"] - weight) < 5 * mode["weight_se"]
    assert samples.sample_stats["logp"].dims == ("chain", "draw")


@pytest.mark.slow
def test_evidence_of_a_known_density_and_its_error():
    """A normal away from its proposal: the errors said are those made."""
    target = Hills(6, weights=(1e-12, 1 - 1e-12))
    bound, rng = fast.prepare(target), np.random.default_rng(0)
    proposal = Normal.fit(target.centres[1] + 0.3 + 1.2 * rng.standard_normal((500, 6)))
    found = []
    for _ in range(20):
        draws = target.centres[1] + rng.standard_normal((4, 500, 6))
        everywhere = lambda at: np.ones(at.shape[:-1], bool)  # noqa: E731
        found.append(estimate_log_evidence(bound, draws, proposal, everywhere, rng))
    values, errors = np.array(found).T
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(20)
    assert errors.mean() == pytest.approx(values.std(), rel=0.5)


def test_counts_of_resampled_draws_keep_the_shares():
    rng, shares = np.random.default_rng(0), np.array([0.1234, 0.8761, 0.0005])
    chosen = [mixture._choose(shares, 1000, (c + 0.5) / 4, rng) for c in range(4)]
    assert all(one.shape == (1000, 2) for one in chosen)
    assert all(len(np.unique(one, axis=0)) == 1000 for one in chosen)  # each draw once at most
    counts = np.bincount(np.concatenate(chosen)[:, 0], minlength=3)
    np.testing.assert_allclose(counts, 4000 * shares, atol=1)


def test_resampled_draws_do_not_look_better_than_those_of_the_modes():
    dims, rng = ("chain", "draw"), np.random.default_rng(0)
    posterior = xr.Dataset({"x": (dims, rng.normal(size=(4, 500)))})
    bare = xr.Dataset({"diverging": (dims, np.zeros((4, 500), bool))})
    entry = {"max_rhat": 1.004, "min_ess_bulk": 900.0, "min_ess_tail": 450.0, "kept": True}
    worse = {**entry, "max_rhat": 1.009, "min_ess_bulk": 410.0}
    found = diagnose(posterior, Record([entry, worse]).attach(bare))
    assert (found.max_rhat, found.min_ess_bulk, found.min_ess_tail) == (1.009, 410.0, 450.0)
    # One kept attempt says nothing that its own draws do not.
    assert diagnose(posterior, Record([entry]).attach(bare)) == diagnose(posterior, bare)


# ---- mmlu ----------------------------------------------------------------------------------------

# The mode that chains round the first one found never reached.
HIGHER = {"exponent": 0.67, "exponent_change": -0.41, "break_position": 0.66, "break_width": 0.34}


@pytest.fixture(scope="module")
def mmlu_fits():
    runs = load_dataset("krajewski2025", "dclm").select("mmlu", "acc")
    return [fit_runs(runs, "broken_power_law", seed=seed) for seed in range(3)]


@pytest.mark.slow
def test_the_higher_mode_of_mmlu_is_found_whatever_the_seed(mmlu_fits):
    for fit in mmlu_fits:
        best = fit.modes.loc[fit.modes["log_density"].idxmax()]
        np.testing.assert_allclose(best[list(HIGHER)], list(HIGHER.values()), atol=0.02)
        assert best["log_density"] > mmlu_fits[0].modes["log_density"].max() - 0.01
        assert best["weight"] > 0.9
        assert fit.diagnostics.problems() == []


@pytest.mark.slow
def test_curves_of_mmlu_agree_between_seeds(mmlu_fits):
    curves = [fit.forecast(flops=1e23)["curve"] for fit in mmlu_fits]
    means = np.array([float(curve.mean()) for curve in curves])
    sd = float(curves[0].std())
    # Of 400 independent draws at least: two means differ by 0.07 sd.
    assert np.ptp(means) < 4 * sd * np.sqrt(2 / 400)
    np.testing.assert_allclose([float(curve.std()) for curve in curves], sd, rtol=0.15)


@pytest.mark.slow
def test_a_file_keeps_the_record(mmlu_fits, tmp_path):
    fit = mmlu_fits[0]
    loaded = Fit.load(fit.save(tmp_path / "fit.nc"))
    assert loaded.attempts.equals(fit.attempts)
    assert loaded.modes.equals(fit.modes)
    assert loaded.diagnostics == fit.diagnostics
    assert fit.attempts["kept"].sum() == len(fit.modes)
    assert fit.modes["weight"].sum() == pytest.approx(1)


# ---- attempts ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_where_no_attempt_will_do_the_last_is_kept_and_all_are_told(arc, tmp_path):
    with pytest.warns(UserWarning, match="has not converged"):
        fit = fit_runs(arc, "power_law", draws=30, tune=20)
    table = fit.attempts
    assert table["kept"].tolist() == [False, False, False, True]
    assert table["tune"].tolist() == [10, 10, 20, 20]
    assert table["draws"].tolist() == [30, 30, 120, 120]
    assert table["target_accept"].tolist() == [0.95, 0.99, 0.999, 0.99]
    assert table["coordinates"].tolist() == ["mode", "mode", "mode", "plain"]
    assert (table["problems"] != "").all()
    assert table["max_rhat"].iloc[-1] == pytest.approx(fit.diagnostics.max_rhat)
    loaded = Fit.load(fit.save(tmp_path / "fit.nc"))
    assert loaded.attempts.equals(table)
    assert "NOT CONVERGED" in loaded.describe()


@pytest.mark.slow
def test_one_mode_and_one_attempt_are_told_too(power_law_fit):
    assert len(power_law_fit.attempts) == 1
    row = power_law_fit.attempts.iloc[0]
    assert (row["modes"], row["kept"], row["problems"]) == ("1", True, "")
    assert power_law_fit.modes[["weight", "weight_se"]].to_numpy().tolist() == [[1.0, 0.0]]


@pytest.mark.slow
def test_modes_that_cannot_be_weighed_are_named(monkeypatch):
    """Also after the fit has been loaded: the sentence travels with the draws."""
    monkeypatch.setattr(mixture, "LARGEST_ERROR", 0.0)
    monkeypatch.setattr(several, "_CROSSING", ())
    samples = sample(Hills(2), draws=500, tune=300)
    (sentence,) = [p for p in samples.diagnostics.problems() if "modes" in p]
    assert sentence.startswith("2 modes between which chains do not mix")
    assert "their weights are not known well enough" in sentence
    assert "mode 2 (log density" in sentence
    assert diagnose(samples.posterior, samples.sample_stats) == samples.diagnostics
    entries = Record.read(samples.sample_stats).attempts
    assert [entry["modes"] for entry in entries] == [[1, 2], [1], [2]]
    assert [entry["kept"] for entry in entries] == [True, False, False]


@pytest.mark.slow
def test_chains_are_not_run_longer_than_is_worth_it(monkeypatch):
    """Then the first draws stay, with all that is wrong with them."""
    found = Diagnostics(0, 1.05, 900.0, 900.0)
    monkeypatch.setattr(attempts, "diagnose", lambda posterior, stats: found)
    monkeypatch.setattr(several, "_MOST_STEPS", 1)
    monkeypatch.setattr(several, "_CROSSING", several._CROSSING[2:])
    samples = sample(Hills(1), draws=200, tune=200)
    (entry,) = Record.read(samples.sample_stats).attempts
    assert (entry["modes"], entry["kept"]) == ([1, 2], True)
    assert "chains leave the modes they start at, and chains 4 times as long would take" in (
        samples.diagnostics.unweighed
    )


@pytest.mark.slow
@pytest.mark.parametrize(("rhat", "alone"), [(1.05, False), (1.7, True)])
def test_chains_that_cross_are_run_longer_at_once(monkeypatch, rhat, alone):
    """Nothing can be learnt of one mode alone there, so no draws are spent on it."""
    found = Diagnostics(0, rhat, 900.0, 900.0)
    for module in (attempts, jumps):
        monkeypatch.setattr(module, "diagnose", lambda posterior, stats: found)
    monkeypatch.setattr(several, "_CROSSING", attempts.ORDER[:1])
    samples = sample(Hills(1), draws=200, tune=200)
    entries = [entry["modes"] for entry in Record.read(samples.sample_stats).attempts]
    assert ([1] in entries) == alone
    assert entries[0] == entries[-1] == [1, 2]
    reason = "chains of mode 1 alone have not converged" if alone else "chains leave the modes"
    assert f"because {reason}" in samples.diagnostics.unweighed


@pytest.mark.slow
def test_chains_that_all_leave_their_mode_are_not_run_again_from_there(monkeypatch):
    """Two hills that chains cross between, where no draws are ever good enough."""
    found = Diagnostics(0, 1.7, 900.0, 900.0)
    for module in (attempts, jumps):
        monkeypatch.setattr(module, "diagnose", lambda posterior, stats: found)
    monkeypatch.setattr(several, "_CROSSING", attempts.ORDER[:1])
    samples = sample(Hills(1, apart=5.5, scales=(1.0, 1.0)), draws=400, tune=200)
    entries = [entry["modes"] for entry in Record.read(samples.sample_stats).attempts]
    assert entries == [[1, 2], [1], [1, 2], [1, 2]]
    assert "because chains leave the modes" in samples.diagnostics.unweighed


@pytest.mark.slow
def test_a_mode_that_does_not_converge_by_itself_is_named(monkeypatch):
    def never_two(posterior, stats):
        alone = posterior.sizes["chain"] == 4 and float(posterior["x"].mean()) < -1
        apart = float(posterior["x"].std()) > 2
        return Diagnostics(0, 1.5 if alone or apart else 1.0, 900.0, 900.0)

    for module in (attempts, jumps):
        monkeypatch.setattr(module, "diagnose", never_two)
    found = sample(Hills(2), draws=200, tune=200)
    assert "because chains of mode 2 alone have not converged" in found.diagnostics.unweighed


@pytest.mark.slow
def test_chains_are_spread_and_each_mode_has_one_at_least():
    bound = fast.prepare(Hills(2))
    modes = dict(enumerate(search_modes(bound, 0), start=1))
    for chains, signs in ((1, [1, -1]), (3, [1, -1, 1]), (4, [1, -1, 1, -1])):
        wanted = attempts.Wanted(40, 40, chains, None, 0, False)
        points = attempts.run_attempt(bound, modes, attempts.ORDER[0], wanted).points
        assert np.sign(points.mean(axis=(1, 2))).tolist() == signs
    assert not np.array_equal(points[0], points[2])


def test_modes_are_told_with_the_sampled_parameters(monkeypatch):
    bound = fast.prepare(Hills(2))
    entry = describe_modes(bound, search_modes(bound, 0)[:1], [1.0], [np.nan])[0]
    assert np.shape(entry["parameters"]["x"]) == (2,)
    # What JSON does not have becomes null, in a record that any program can read.
    stats = Record(modes=[entry]).attach(xr.Dataset())
    assert Record.read(stats).modes[0]["weight_se"] is None
