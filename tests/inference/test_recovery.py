"""Simulated runs: posteriors recover the truth, and agree with other ways to find it.

Runs are simulated and truths computed with NumPy and SciPy from the published equations;
nothing of the package's own curves or densities is used to make them.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from ladders import as_runs, budgets, centred, count_correct, curve
from pymc_extras.prior import Prior

from bayes_scaling import fit_runs, load_model
from bayes_scaling.inference.samplers import sample

pytestmark = pytest.mark.slow

N_ITEMS = 2000
FLOOR = 0.25


# ---- known parameters are found ------------------------------------------------------------------


def simulate_power_law(rng):
    table = budgets(24)
    exponent, level, scatter = 0.16, 0.55, 0.01
    x = centred(table)
    accuracy = curve(level * np.exp(-exponent * x), FLOOR)
    counts = count_correct(accuracy, N_ITEMS, scatter, rng)
    A = level * np.exp(exponent * np.log(table["flops"]).mean())
    truth = {"exponent": exponent, "log_A": np.log(A), "scatter": scatter}
    return as_runs(table, n_correct=counts, n_items=N_ITEMS), truth


def simulate_ceiling(rng):
    table = budgets(40, low=1e18, high=1e23)
    alpha, level, E, scatter = 0.25, 0.4, 0.12, 0.005
    accuracy = curve(level * np.exp(-alpha * centred(table)) + E, FLOOR)
    counts = count_correct(accuracy, N_ITEMS, scatter, rng)
    truth = {"alpha": alpha, "E": E, "ceiling": np.exp(-E), "scatter": scatter}
    return as_runs(table, n_correct=counts, n_items=N_ITEMS), truth


def simulate_params_tokens(rng):
    parts = [budgets(10, ratio=ratio) for ratio in (5, 20, 80, 320)]
    table = pd.concat(parts, ignore_index=True)
    alpha, beta, scatter = 0.35, 0.25, 0.005
    n, d = centred(table, "params"), centred(table, "tokens")
    accuracy = curve(0.4 * np.exp(-alpha * n) + 0.3 * np.exp(-beta * d), FLOOR)
    counts = count_correct(accuracy, N_ITEMS, scatter, rng)
    truth = {"alpha": alpha, "beta": beta, "params_share": 4 / 7, "level": curve(0.7, FLOOR)}
    return as_runs(table, n_correct=counts, n_items=N_ITEMS), truth


def drift(x, tau, rng):
    """Return the integral of an Ornstein-Uhlenbeck process less its straight line."""
    grid = np.linspace(-np.abs(x).max(), np.abs(x).max(), 2001)
    step = grid[1] - grid[0]
    kept = np.exp(-step / np.log(10))
    slope = [rng.normal(0, tau)]
    for _ in grid[1:]:
        slope.append(kept * slope[-1] + rng.normal(0, tau * np.sqrt(1 - kept**2)))
    path = np.cumsum(slope) * step
    return np.interp(x, grid, path - np.polyval(np.polyfit(grid, path, 1), grid))


def simulate_drifting_params_tokens(rng):
    parts = [budgets(12, low=1e18, high=1e23, ratio=ratio) for ratio in (5, 20, 80, 320)]
    table = pd.concat(parts, ignore_index=True)
    alpha, beta, E, scatter, tau = 0.45, 0.35, 0.1, 0.005, 0.08
    n, d, c = (centred(table, name) for name in ("params", "tokens", "flops"))
    reducible = (0.4 * np.exp(-alpha * n) + 0.3 * np.exp(-beta * d)) * np.exp(-drift(c, tau, rng))
    counts = count_correct(curve(reducible + E, FLOOR), N_ITEMS, scatter, rng)
    truth = {"alpha": alpha, "beta": beta, "params_share": 4 / 7, "E": E, "tau": tau}
    return as_runs(table, n_correct=counts, n_items=N_ITEMS), truth


def simulate_pass_at_k(rng):
    one = budgets(24, low=1e20, high=1e23)
    one["run"] = [f"run-{i:03d}" for i in range(24)]
    table = one.merge(pd.DataFrame({"k": [1.0, 8.0, 64.0]}), how="cross")
    log_C, log_k = np.log(table["flops"]), np.log(table["k"])
    alpha, beta, delta = -0.10, 0.26, -0.01
    log_A = 4.9
    accuracy = curve(np.exp(log_A + alpha * log_C + beta * log_k + delta * log_C * log_k))
    own, common = rng.normal(size=len(table)), np.repeat(rng.normal(size=24), 3)
    spread = 0.02 * 2 * np.sqrt(accuracy * (1 - accuracy) + 1e-3)
    score = np.clip(accuracy + spread * (np.sqrt(0.6) * common + np.sqrt(0.4) * own), 0, 1)
    truth = {"alpha": alpha, "beta": beta, "delta": delta, "log_A": log_A, "run_share": 0.6}
    return as_runs(table, metric="pass@k", chance=0.0, score=score), truth


SIMULATIONS = {
    "power_law": simulate_power_law,
    "power_law_ceiling": simulate_ceiling,
    "params_tokens": simulate_params_tokens,
    "drifting_params_tokens": simulate_drifting_params_tokens,
    "pass_at_k": simulate_pass_at_k,
}
# A posterior as wide as its prior would hold any truth: these sds are what the runs must allow.
LARGEST_SD = {
    "power_law": {"exponent": 0.02},
    "power_law_ceiling": {"alpha": 0.06, "E": 0.06},
    "params_tokens": {"alpha": 0.1, "beta": 0.1},
    "drifting_params_tokens": {"alpha": 0.2, "beta": 0.2, "E": 0.1},
    "pass_at_k": {"alpha": 0.1, "delta": 0.02},
}


@pytest.mark.parametrize("name", SIMULATIONS)
def test_known_parameters_are_found(name):
    """Check z-scores of the truth over several ladders: 1 in 10,000 would be beyond 4."""
    places, scores = [], []
    for seed in range(3):
        runs, truth = SIMULATIONS[name](np.random.default_rng(100 + seed))
        fit = fit_runs(runs, load_model(name), draws=500, tune=500, seed=seed)
        draws = fit.posterior.assign(
            log_A=fit.posterior.get("log_A", np.log(fit.posterior.get("A", 1.0)))
        )
        for parameter, value in truth.items():
            values = draws[parameter].to_numpy().ravel()
            scores.append((value - values.mean()) / values.std())
            places.append((values < value).mean())
        for parameter, most in LARGEST_SD[name].items():
            assert float(draws[parameter].std()) < most
    assert np.abs(scores).max() < 4
    assert np.sqrt(np.mean(np.square(scores))) < 1.7
    # Within the 99.8% interval.
    assert min(places) >= 0.001
    assert max(places) <= 0.999


# ---- simulation-based calibration ----------------------------------------------------------------


# Few runs of few items, so that priors and bounds matter to the posterior.
SBC_RUNS, SBC_ITEMS, SBC_TARGET = 8, 200, 3.0


def draw_prior(law, rng):
    """Draw parameters as models/<law>.toml and common.toml state, with NumPy and SciPy alone."""
    low, high = (scipy.stats.norm.cdf(v, FLOOR, 0.03) for v in (0, 1))
    floor = scipy.stats.norm.ppf(rng.uniform(low, high), FLOOR, 0.03)
    truth = {
        "floor": floor,
        "level": rng.uniform(floor, 1),
        "exponent": np.exp(rng.normal(-1.9, 0.7)),
        "scatter": np.exp(rng.normal(-4.6, 1.0)),
        "binomial_share": rng.beta(2, 2),
    }
    if law == "power_law_ceiling":
        most = scipy.stats.expon.cdf(whole(truth), scale=0.1)
        truth["E"] = scipy.stats.expon.ppf(rng.uniform(0, most), scale=0.1)
    return truth


def whole(p):
    return np.log((1 - p["floor"]) / (p["level"] - p["floor"]))


def accuracy_at(p, x):
    """Return accuracy at centred log FLOPs, given level and local exponent at the centroid."""
    E = p.get("E", 0.0)
    alpha = p["exponent"] * whole(p) / (whole(p) - E)
    return curve((whole(p) - E) * np.exp(-alpha * x) + E, p["floor"])


def ranks_of_truth(law, replications, rng):
    """Return the rank of each true value among 99 thinned draws of its posterior."""
    table = budgets(SBC_RUNS)
    model = load_model(law).with_options(floor="free")
    bound = model.on(as_runs(table, score=0.5, n_items=SBC_ITEMS))
    x, ranks = centred(table), []
    for seed in range(replications):
        truth = draw_prior(law, rng)
        accuracy = np.clip(accuracy_at(truth, x), 1e-9, 1 - 1e-9)
        noise = truth["binomial_share"] / SBC_ITEMS + 4 * truth["scatter"] ** 2
        sd = np.sqrt((accuracy * (1 - accuracy) + 1e-3) * noise + 5e-4**2)
        score = rng.normal(accuracy, sd).clip(0, 1)
        seen = bound.observations.assign(score=("row", score))
        one = replace(bound, observations=seen)
        draws = sample(one, draws=495, tune=400, chains=2, seed=seed).posterior
        values = {name: draws[name].to_numpy().ravel()[::10] for name in truth}
        # And the curve at a budget 20 times the centroid, which all parameters move.
        values["curve"] = accuracy_at(values, SBC_TARGET)
        truth["curve"] = accuracy_at(truth, SBC_TARGET)
        ranks.append({name: int((values[name] < truth[name]).sum()) for name in truth})
    return pd.DataFrame(ranks)


@pytest.mark.parametrize("law", ["power_law", "power_law_ceiling"])
def test_simulation_based_calibration(law):
    """Truths drawn from the prior rank uniformly among posterior draws (Talts et al. 2018)."""
    ranks = ranks_of_truth(law, 100, np.random.default_rng(2018))
    for name in ranks:
        counts = np.histogram(ranks[name], bins=10, range=(0, 100))[0]
        pvalue = scipy.stats.chisquare(counts).pvalue
        assert pvalue > 1e-3, f"{name}: ranks are not uniform: {counts.tolist()}"
        # A shift of all ranks, which bins see poorly: their mean is known to 29/sqrt(100).
        assert abs(ranks[name].mean() - 49.5) < 4 * 28.9 / np.sqrt(len(ranks)), name


# ---- least squares -------------------------------------------------------------------------------


def weighted_least_squares(x, y, sd):
    """Return estimates and covariance, shaped as sd²; the residuals give the scale."""
    X = np.column_stack([np.ones_like(x), -x])
    inverse = np.linalg.inv(X.T @ (X / sd[:, None] ** 2))
    estimate = inverse @ X.T @ (y / sd**2)
    residual = (y - X @ estimate) / sd
    return estimate, inverse * (residual @ residual) / (x.size - 2)


def test_with_little_noise_it_is_least_squares_on_the_log_scale():
    """With few errors of log(-log Q') the posterior is the normal of weighted regression."""
    table, rng = budgets(30), np.random.default_rng(17)
    x, n_items, scatter = centred(table), 10**8, 5e-4
    accuracy = curve(0.6 * np.exp(-0.18 * x), FLOOR)
    runs = as_runs(table, n_correct=count_correct(accuracy, n_items, scatter, rng), n_items=n_items)
    model = load_model("power_law").with_options(floor="fixed")
    model = model.with_priors(scatter=Prior("LogNormal", mu=float(np.log(5e-4)), sigma=1.0))
    fit = fit_runs(runs, model)
    quality = (runs.table["score"].to_numpy() - FLOOR) / (1 - FLOOR)
    y = np.log(-np.log(quality))
    # Delta method: sd of log(-log Q') from the sd of the score.
    sd = np.sqrt(accuracy * (1 - accuracy)) / ((1 - FLOOR) * quality * -np.log(quality))
    estimate, covariance = weighted_least_squares(x, y, sd)
    level = (fit.posterior["level"] - FLOOR) / (1 - FLOOR)
    draws = np.stack([np.log(-np.log(level)), fit.posterior["exponent"]]).reshape(2, -1)
    errors = np.sqrt(np.diag(covariance))
    assert errors.max() < 0.002, "the noise is to be small"
    np.testing.assert_allclose(draws.mean(axis=1), estimate, rtol=0, atol=0.15 * errors.min())
    np.testing.assert_allclose(draws.std(axis=1), errors, rtol=0.15)
    unweighted = -np.polyfit(x, y, 1)[0]
    assert draws[1].mean() == pytest.approx(unweighted, abs=4 * errors[1])


# ---- a dense grid --------------------------------------------------------------------------------


def grid_posterior(log_flops, counts, n_items, scatter):
    """Return level and exponent on a grid, and the posterior mass of each cell."""
    levels, exponents = np.linspace(0.252, 0.998, 500), np.exp(np.linspace(-6.0, 1.0, 500))
    level, exponent = np.meshgrid(levels, exponents, indexing="ij")
    whole = np.log((1 - FLOOR) / (level - FLOOR))
    size = 0.25 / scatter**2
    log_mass = scipy.stats.norm.logpdf(np.log(exponent), -1.9, 0.7)  # even steps of log exponent
    for x, k in zip(log_flops - log_flops.mean(), counts, strict=True):
        mean = np.clip(curve(whole * np.exp(-exponent * x), FLOOR), 1e-9, 1 - 1e-9)
        log_mass += scipy.stats.betabinom.logpmf(k, n_items, mean * size, (1 - mean) * size)
    mass = np.exp(log_mass - log_mass.max())
    return levels, exponents, mass / mass.sum()


def weighted_quantiles(values, mass, q):
    return np.interp(q, np.cumsum(mass) - mass / 2, values)


def test_two_parameters_agree_with_a_dense_grid():
    """Few runs of few items, so that the posterior is skewed and far from its normal limit."""
    table, counts, n_items, scatter = budgets(5, high=1e20), [29, 31, 36, 41, 60], 100, 0.03
    runs = as_runs(table, n_correct=counts, n_items=n_items)
    model = load_model("power_law").with_options(floor="fixed", likelihood="beta_binomial")
    model = model.with_priors(scatter=Prior("LogNormal", mu=float(np.log(scatter)), sigma=1e-3))
    posterior = fit_runs(runs, model, draws=4000).posterior
    levels, exponents, mass = grid_posterior(np.log(table["flops"]), counts, n_items, scatter)
    q = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    for name, values, own in (("level", levels, mass.sum(1)), ("exponent", exponents, mass.sum(0))):
        draws = posterior[name].to_numpy().ravel()
        mean = (values * own).sum()
        sd = np.sqrt(((values - mean) ** 2 * own).sum())
        assert draws.mean() == pytest.approx(mean, abs=0.05 * sd), name
        assert draws.std() == pytest.approx(sd, rel=0.05), name
        np.testing.assert_allclose(
            np.quantile(draws, q), weighted_quantiles(values, own, q), atol=0.08 * sd, err_msg=name
        )
    grid = np.meshgrid(levels, exponents, indexing="ij")
    covariance = np.cov([values.ravel() for values in grid], aweights=mass.ravel())
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    found = np.corrcoef(*(posterior[name].to_numpy().ravel() for name in ("level", "exponent")))
    assert found[0, 1] == pytest.approx(expected, abs=0.06)
