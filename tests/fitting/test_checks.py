"""Checks of a fit: p-values are right where the model is, and small where it is wrong."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr
from ladders import as_runs, budgets, count_correct
from pymc_extras.prior import Prior

from bayes_scaling import Runs, fit_runs, load_model
from bayes_scaling.fitting import checks as checks_module
from bayes_scaling.fitting.checks import check_sensitivity
from bayes_scaling.fitting.residual_checks import LEVEL, check_pit, check_residuals
from bayes_scaling.fitting.residuals import residuals_of
from bayes_scaling.fitting.sensitivity import Sensitivity, next_budget

RUNS, ITEMS, SCATTER = 40, 2000, 0.005


# ---- where everything is known: a straight line with normal noise --------------------------------


class StraightLine:
    """What the checks read of a fit, for a linear normal model with a flat prior."""

    def __init__(self, score, rng, draws=500):
        n = len(score)
        x = np.column_stack([np.ones(n), np.linspace(-1, 1, n)])
        precision = x.T @ x / self.sd**2
        best = np.linalg.solve(x.T @ x, x.T @ score)
        draw = rng.multivariate_normal(best, np.linalg.inv(precision), size=(1, draws))
        names = [f"r{i:02d}" for i in range(n)]
        self.fitted_curve = xr.DataArray(draw @ x.T, dims=("chain", "draw", "row"))
        self.observations = xr.Dataset(
            {"score": ("row", score), "n_items": ("row", np.zeros(n))},
            coords={"run": ("row", names)},
        )
        self.runs = SimpleNamespace(
            table=pd.DataFrame({"run": names, "flops": np.geomspace(1, 9, n)})
        )
        self.model = SimpleNamespace(two_stage=False)
        self.bound = SimpleNamespace(draw_scores=self.draw)
        self.posterior, self.seed = None, int(rng.integers(1e9))

    sd = 0.01

    def draw(self, mean, p, rng):
        return mean + rng.normal(0, self.sd, mean.shape)


@pytest.fixture(scope="module")
def p_values():
    """Return p-values of 200 right models."""
    rows = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        score = 0.5 + 0.1 * np.linspace(-1, 1, 24) + rng.normal(0, StraightLine.sd, 24)
        rows.append({c.check: c.p for c in check_residuals(StraightLine(score, rng))})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    "check", ["dispersion", "outliers", "spread", "end level", "end slope", "neighbours"]
)
def test_p_values_of_a_right_linear_model_are_uniform(p_values, check):
    assert scipy.stats.kstest(p_values[check], "uniform").pvalue > 1e-3


def test_a_right_model_seldom_fails(p_values):
    # Six checks of one per cent each: at most 6% of 200, and binomial noise.
    assert 1 <= (p_values < LEVEL).any(axis=1).sum() <= 22


def test_without_the_projection_p_values_would_crowd_round_one_half():
    """The last residuals of a straight line move with it, so that plain ones seldom fail."""
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        score = 0.5 + rng.normal(0, StraightLine.sd, 24)
        fit = StraightLine(score, rng)
        curve = fit.fitted_curve.to_numpy()[0]
        plain = (score - curve)[:, -6:].mean(axis=1)
        again = rng.normal(0, fit.sd, curve.shape)[:, -6:].mean(axis=1)
        found.append((again > plain).mean())
    assert np.std(found) < 0.22  # uniform: 0.29


def test_what_the_curve_can_follow_is_taken_out():
    """For a least-squares line, 1 − H is known in closed form."""
    rng = np.random.default_rng(0)
    n = 12
    found = residuals_of(StraightLine(rng.normal(0.5, 0.01, n), rng, draws=40_000))
    x = np.column_stack([np.ones(n), np.linspace(-1, 1, n)])
    expected = np.eye(n) - x @ np.linalg.solve(x.T @ x, x.T)
    np.testing.assert_allclose(found.keep, expected, atol=0.02)
    assert found.freedom == pytest.approx(n - 2, abs=0.05)
    np.testing.assert_allclose(found.sd, 0.01, rtol=0.05)


# ---- simulated ladders ---------------------------------------------------------------------------


U = np.linspace(0, 1, RUNS)
LATE = 0.2 * (U - 0.75).clip(0)  # 5 points at the largest run


def plain_curve():
    log_c = np.log(budgets(RUNS)["flops"].to_numpy() / 8e19)
    return 0.25 + 0.75 * np.exp(-np.exp(-0.1 - 0.2 * log_c))


def fit_counts(correct, seed, law="power_law", **options):
    runs = as_runs(budgets(RUNS), n_items=ITEMS, n_correct=correct)
    model = load_model(law).with_options(**options)
    return fit_runs(runs, model, draws=500, tune=500, seed=seed)


def simulated(seed, change=0.0, scatter=SCATTER, **options):
    rng = np.random.default_rng([11, seed])
    return fit_counts(count_correct(plain_curve() + change, ITEMS, scatter, rng), seed, **options)


def strays(seed):
    rng = np.random.default_rng([12, seed])
    correct = count_correct(plain_curve(), ITEMS, SCATTER, rng)
    correct[rng.choice(RUNS, 3, replace=False)] += [120, -120, 120]
    return fit_counts(correct, seed)


def same_items(seed):
    """Return a fit by a likelihood that cannot say that runs share two thirds of the noise."""
    rng = np.random.default_rng([13, seed])
    noise = 0.33**0.5 * rng.normal(0, np.sqrt(plain_curve() * (1 - plain_curve()) / ITEMS))
    correct = np.round(ITEMS * (plain_curve() + noise))
    return fit_counts(correct, seed, likelihood="beta_binomial")


WORLDS = {
    "hidden bend": (lambda s: simulated(s, 0.03 * np.sin(2 * np.pi * U)), "neighbours", ""),
    "flatter at the end": (lambda s: simulated(s, -LATE), "end slope", "too high"),
    "steeper at the end": (lambda s: simulated(s, LATE), "end slope", "too low"),
    "stray runs": (strays, "outliers", ""),
    "growing scatter": (lambda s: simulated(s, 0.0, 0.05 * U**2 + 1e-3), "spread", ""),
    "less than binomial noise": (same_items, "dispersion", ""),
}


@pytest.fixture(scope="module")
def wrong():
    """Return fits of one data set of each world, by its name."""
    return {name: fit(0) for name, (fit, *_) in WORLDS.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_what_is_wrong_fails_its_check(name, wrong):
    make, check, direction = WORLDS[name]
    for fit in (wrong[name], make(1)):
        (found,) = (c for c in check_residuals(fit) if c.check == check)
        assert found.passed is False
        assert found.p < LEVEL
        assert not found.low <= found.value <= found.high
        assert found.direction == direction


@pytest.mark.slow
def test_scatter_adapts_to_stray_runs_but_kurtosis_does_not(wrong):
    """The mean square alone is no check where scatter is learned."""
    found = {c.check: c for c in check_residuals(wrong["stray runs"])}
    assert found["dispersion"].passed
    assert found["outliers"].p < 0.001


@pytest.mark.slow
def test_item_noise_informs_of_both_sides(wrong):
    fits = {"less": wrong["less than binomial noise"], "more": wrong["stray runs"]}
    for word, fit in fits.items():
        (found,) = (c for c in check_residuals(fit) if c.check == "item noise")
        assert found.passed is None
        assert f"binomial item noise, {word} than" in found.sentence
    seen = fits["less"].observations
    curve = fits["less"].fitted_curve.mean(("chain", "draw"))
    square = float(((seen["score"] - curve) ** 2).sum())
    ratio = square / float((curve * (1 - curve) / ITEMS).sum()) * RUNS / (RUNS - 3)
    (found,) = (c for c in check_residuals(fits["less"]) if c.check == "item noise")
    assert found.value == pytest.approx(ratio, rel=0.05)


@pytest.mark.slow
def test_right_models_seldom_fail():
    fits = [simulated(seed) for seed in range(12)]
    found = [[c for c in [*check_residuals(fit), *check_pit(fit)] if c.p < LEVEL] for fit in fits]
    # With 5% for each fit, three or more fail once in 50 times.
    assert sum(map(bool, found)) <= 2


@pytest.mark.slow
def test_pits_of_a_wrong_distribution_are_not_uniform(wrong):
    (found,) = check_pit(wrong["less than binomial noise"])
    (right,) = check_pit(simulated(3))
    assert found.p < 0.1 < right.p


# ---- units and stages ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_counts_once_whatever_its_rows(pass_at_k_fit):
    found = residuals_of(pass_at_k_fit)
    assert found.observed.shape == (4000, 46)
    assert (np.diff(found.log_flops) >= 0).all()
    names = {check.check for check in check_residuals(pass_at_k_fit)}
    assert "item noise" not in names
    assert check_pit(pass_at_k_fit) == []


@pytest.mark.slow
def test_a_two_stage_fit_is_checked_given_its_budgets(arc_easy):
    fit = fit_runs(arc_easy, "two_stage_logistic", draws=500, tune=500)
    found = residuals_of(fit)
    rows = fit.observations.drop_vars("loss")
    curve = fit.bound.curve(fit.posterior, rows, np.random.default_rng(0)).mean(("chain", "draw"))
    residual = (fit.observations["score"] - curve).to_numpy()[np.argsort(rows["flops"].to_numpy())]
    seen = found.observed.mean(axis=0) * found.sd
    assert np.corrcoef(residual, seen)[0, 1] > 0.8
    # The noise of a score given its budget holds that of its loss.
    given_loss = fit.bound.likelihood.draw(
        rows["n_items"], fit.fitted_curve, fit.posterior, np.random.default_rng(0)
    )
    noise = (given_loss - fit.fitted_curve).std(("chain", "draw")).mean()
    assert found.sd.mean() > 1.1 * float(noise)
    assert fit.checks()["passed"].notna().sum() >= 9


@pytest.mark.slow
def test_too_few_runs_are_not_judged(arc_easy):
    table = arc_easy.to_frame().sort_values("flops").iloc[::14]
    fit = fit_runs(type(arc_easy).from_frame(table), "power_law", draws=500)
    (found,) = check_residuals(fit)
    assert found.passed is None
    assert found.sentence.startswith("4 runs are too few")


# ---- priors --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stated(arc_easy):
    """Return a fit with priors whose moments are known, one of them far from the scores."""
    model = load_model("power_law").with_priors(
        exponent=Prior("LogNormal", mu=-0.5, sigma=0.2),
        floor=Prior("Normal", mu=0.25, sigma=0.03),
        scatter=Prior("Exponential", lam=50.0),
    )
    return fit_runs(arc_easy, model.with_options(floor="free"))


@pytest.mark.slow
def test_conflicts_are_distances_in_sd_of_the_stated_priors(stated):
    table = stated.conflicts()
    exponent = scipy.stats.lognorm(0.2, scale=np.exp(-0.5))
    for name, mean, sd in [
        ("exponent", exponent.mean(), exponent.std()),
        ("floor", 0.25, 0.03),  # far below the level, at which it is cut
        ("scatter", 0.02, 0.02),
    ]:
        row = table.loc[name]
        assert row["prior_mean"] == pytest.approx(mean, rel=0.02)
        assert row["prior_sd"] == pytest.approx(sd, rel=0.05)
        assert row["posterior_mean"] == pytest.approx(float(stated.posterior[name].mean()))
        distance = (row["posterior_mean"] - mean) / sd
        assert row["distance"] == pytest.approx(distance, rel=0.1, abs=0.1)
        assert row["conflict"] == (abs(row["distance"]) > 2)
    assert table.loc["exponent", "conflict"]


@pytest.mark.slow
def test_a_conflict_is_named_in_words(stated):
    row = stated.checks().set_index("check").loc["prior conflict"]
    assert not row["passed"]
    assert "exponent is " in row["sentence"]
    assert "prior sd from its prior mean (0.61" in row["sentence"] or "(0.62" in row["sentence"]


@pytest.mark.slow
def test_scores_that_fall_are_a_caution(arc_easy):
    """As those of some tasks of Gadre et al. do."""
    table = arc_easy.table
    falling = Runs.from_frame(table.assign(score=0.3 + (table["score"].max() - table["score"]) / 3))
    fit = fit_runs(falling, "power_law", draws=300, tune=300)
    row = fit.checks().set_index("check").loc["rise"]
    expected = scipy.stats.kendalltau(table["flops"], -table["score"]).statistic
    assert (row["value"], row["direction"]) == (pytest.approx(expected), "too high")
    assert not row["passed"]
    assert row["sentence"] in fit.cautions()


@pytest.mark.slow
def test_scores_that_rise_and_those_of_several_k_are_no_caution(power_law_fit, pass_at_k_fit):
    for fit in (power_law_fit, pass_at_k_fit):
        row = fit.checks().set_index("check").loc["rise"]
        assert row["passed"]
        assert row["value"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("law", ["power_law_ceiling", "broken_power_law", "drifting_power_law"])
def test_four_runs_are_fitted_and_it_is_said_what_is_prior(arc_easy, law):
    table = arc_easy.table.sort_values("flops")
    four = Runs.from_frame(table.iloc[np.linspace(0, len(table) - 1, 4).astype(int)])
    fit = fit_runs(four, law)
    row = fit.checks().set_index("check").loc["number of runs"]
    assert row["passed"] == (fit.bound.n_parameters <= 4)
    assert row["value"] == 4
    kept = fit.conflicts()["contraction"] < 0.5
    assert kept.any()
    if not row["passed"]:
        assert all(name in row["sentence"] for name in kept.index[kept])
        assert row["sentence"] in fit.cautions()
    # More runs say more.
    many = fit_runs(arc_easy, law)
    assert many.checks().set_index("check").loc["number of runs", "passed"]
    ahead = {"flops": 10 * float(table["flops"].max())}
    assert fit.forecast(**ahead)["curve"].std() > many.forecast(**ahead)["curve"].std()


@pytest.mark.slow
def test_standard_normal_offsets_are_listed_in_conflict_only(arc_easy):
    fit = fit_runs(arc_easy, "drifting_power_law", draws=500)
    assert not any(name.startswith("drift[") for name in fit.conflicts().index)
    moved = fit.posterior["drift"] + 3.0 * (fit.posterior["knot"] == 1)
    moved = replace(fit, posterior=fit.posterior.assign(drift=moved)).conflicts()
    assert [name for name in moved.index if name.startswith("drift[")] == ["drift[1]"]


def power(prior, alpha):
    """Return the prior whose density is that of another, raised to a power."""
    mu, sigma = prior.parameters["mu"], prior.parameters["sigma"]
    if prior.distribution == "LogNormal":
        mu = mu + (1 - alpha) * sigma**2 / alpha
    return Prior(prior.distribution, mu=mu, sigma=sigma / alpha**0.5)


@pytest.fixture(scope="module")
def few_runs(arc_easy):
    table = arc_easy.to_frame().sort_values("flops").iloc[:16:3]
    return type(arc_easy).from_frame(table)


@pytest.mark.slow
def test_sensitivity_is_what_stronger_priors_do_to_the_forecast(few_runs):
    """Against fits whose priors are raised to powers on either side of one."""
    priors = {
        "exponent": Prior("LogNormal", mu=-0.7, sigma=0.3),
        "scatter": Prior("LogNormal", mu=-4.6, sigma=1.0),
    }
    base = load_model("power_law").with_options(floor="fixed", likelihood="normal")

    def mean_forecast(alpha):
        model = base.with_priors(**{name: power(prior, alpha) for name, prior in priors.items()})
        fit = fit_runs(few_runs, model, draws=4000)
        curve = fit.forecast(next_budget(fit))["curve"]
        return fit, float(curve.mean())

    fit, _ = mean_forecast(1.0)
    found = checks_module.forecast_sensitivity(fit)
    (_, more), (_, less) = mean_forecast(1.25), mean_forecast(0.8)
    per_doubling = (more - less) / (np.log2(1.25) - np.log2(0.8))
    assert per_doubling > 0.02  # two points: far above the noise of the means
    assert found.shift == pytest.approx(per_doubling, rel=0.15)
    assert found.prior > 0.05


def test_words_on_sensitivity():
    dominated = check_sensitivity(Sensitivity(1e23, 0.20, 0.03, -0.012))
    assert dominated.passed is False
    assert dominated.sentence == (
        "The forecast at 1e+23 FLOPs depends on the priors more than on the scores (sensitivity "
        "0.200 to priors, 0.030 to scores); priors twice as strong would move it by about "
        "-1.20 points."
    )
    for prior, likelihood in [(0.04, 0.03), (0.2, 0.3)]:
        assert check_sensitivity(Sensitivity(1e23, prior, likelihood, 0.0)).passed


@pytest.mark.slow
def test_the_next_budget_is_ten_times_the_largest_at_its_ratio(params_tokens_fit, pass_at_k_fit):
    largest = params_tokens_fit.runs.table.nlargest(1, "flops").iloc[0]
    inputs = next_budget(params_tokens_fit).inputs
    assert float(inputs["params"][0]) == pytest.approx(10**0.5 * largest["params"])
    assert float(inputs["tokens"][0]) == pytest.approx(10**0.5 * largest["tokens"])
    assert float(inputs["flops"][0]) == pytest.approx(10 * largest["flops"])
    k = pass_at_k_fit.runs.table["k"].median()
    assert float(next_budget(pass_at_k_fit).inputs["k"][0]) == k


# ---- what a fit says -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_table_with_a_sentence_a_row(wrong):
    table = wrong["steeper at the end"].checks()
    columns = ["check", "value", "low", "high", "p", "passed", "direction", "sentence"]
    assert table.columns.tolist() == columns
    assert table["passed"].dtype == "boolean"
    assert table["check"].is_unique
    assert table["sentence"].str.endswith(".").all()
    assert set(table["direction"]) <= {"", "too low", "too high"}


@pytest.mark.slow
def test_failures_are_told_wherever_a_fit_shows_itself(wrong):
    fit = wrong["steeper at the end"]
    assert "converged; fails checks of residuals: " in fit.describe()
    assert "end slope" in fit.describe()
    assert "forecasts of larger runs are likely too low.</li>" in fit._repr_html_()
    cautions = fit.cautions()
    assert cautions
    assert all("forecasts of larger runs are likely too low" in text for text in cautions)
    right = simulated(3)
    assert right.describe().endswith("; converged")
    assert "Checks that fail" not in right._repr_html_()
    assert right.cautions() == []


@pytest.mark.slow
def test_draws_that_cannot_be_trusted_are_not_judged_in_a_line(wrong):
    fit = wrong["steeper at the end"]
    diverging = xr.ones_like(fit.sample_stats["diverging"])
    bad = replace(fit, sample_stats=fit.sample_stats.assign(diverging=diverging))
    assert "fails checks" not in bad.describe()
    assert "NOT CONVERGED" in bad.checks()["sentence"].iloc[0]


@pytest.mark.slow
def test_checks_are_computed_once_and_handed_out_as_copies(wrong, monkeypatch):
    fit = replace(wrong["stray runs"])
    calls = []
    real = checks_module.prior_conflicts
    monkeypatch.setattr(checks_module, "prior_conflicts", lambda f: calls.append(f) or real(f))
    first = fit.checks()
    first["value"] = 0.0
    table = fit.conflicts()
    table["distance"] = 0.0
    assert (fit.checks()["value"] != 0).any()
    assert (fit.conflicts()["distance"] != 0).any()
    assert len(calls) == 1
