"""Likelihoods: PyMC, SciPy and theory say the same of the scatter of scores."""

import numpy as np
import pymc as pm
import pytest
import scipy.special
import scipy.stats
import xarray as xr

from bayes_scaling.errors import ModelError
from bayes_scaling.laws.base import Parameter
from bayes_scaling.modelling.likelihoods import LIKELIHOODS, get_likelihood
from bayes_scaling.modelling.model import load_model

DRAWS = 200_000


def dataset(**values):
    return xr.Dataset({name: float(value) for name, value in values.items()})


def rows(values, runs=None):
    """Return values by row, each row a run of its own unless `runs` says otherwise."""
    runs = np.arange(len(values)) if runs is None else runs
    return xr.DataArray(np.asarray(values, float), dims="row", coords={"run": ("row", runs)})


# ---- PyMC and SciPy ------------------------------------------------------------------------------


def evaluate(model, outputs, point):
    """Evaluate expressions of a PyMC model, interpreted, at a point of unbounded values."""
    return model.compile_fn(outputs, mode="FAST_COMPILE", on_unused_input="ignore")(point)


def random_point(model, rng):
    return {k: v + rng.normal(0, 0.3, np.shape(v)) for k, v in model.initial_point().items()}


def constrained(model, names):
    """Return expressions of the parameters on their own scale."""
    return model.replace_rvs_by_values([model[name] for name in names])


def mean_of(seen, p):
    """Return the power law's mean score, written out."""
    x = np.log(seen["flops"]) - float(np.log(seen["flops"]).mean())
    level = np.log((1 - p["floor"]) / (p["level"] - p["floor"]))
    return p["floor"] + (1 - p["floor"]) * np.exp(-level * np.exp(-p["exponent"] * x))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["beta_binomial", "normal", "student_t"])
def test_density_of_the_built_model_is_scipys(name, arc_easy):
    bound = load_model("power_law").with_options(likelihood=name).on(arc_easy)
    seen = bound.observations
    built, rng = bound.pymc, np.random.default_rng(1)
    names = [p.name for p in bound.parameters]
    outputs = [built.logp(vars=[built["score"]], sum=False)[0], *constrained(built, names)]
    for _ in range(3):
        pymc_density, *values = evaluate(built, outputs, random_point(built, rng))
        p = dataset(**dict(zip(names, values, strict=True)))
        ours = bound.likelihood.log_density(seen["score"], seen["n_items"], mean_of(seen, p), p)
        np.testing.assert_allclose(ours, pymc_density, rtol=1e-8)


def uneven_runs():
    """Return scores, means, item counts and run labels of runs of one to four rows."""
    rng = np.random.default_rng(2)
    run = np.array(["b", "a", "b", "c", "b", "a", "d", "b"])
    mean = rng.uniform(0.1, 0.8, run.size)
    score = mean + rng.normal(0, 0.03, run.size)
    n_items = [0, 164, 0, 500, 164, 0, 0, 164]
    return rows(score, run), rows(mean, run), rows(n_items, run), run


def covariance_of_run(mean, n_items, scatter, share):
    """Return the covariance of one run's rows: sd on the diagonal, `share` of it in common."""
    noise = np.where(n_items > 0, 1 / np.where(n_items > 0, n_items, 1), 0.0)
    sd = np.sqrt((mean * (1 - mean) + 1e-3) * (noise + 4 * scatter**2) + 5e-4**2)
    return np.outer(sd, sd) * (share + (1 - share) * np.eye(mean.size))


@pytest.mark.parametrize("share", [0.0, 0.35, 0.95])
def test_normal_by_run_is_a_multivariate_normal(share):
    score, mean, n_items, run = uneven_runs()
    p = dataset(scatter=0.03, run_share=share)
    density = get_likelihood("normal_by_run").log_density(score, n_items, mean, p)
    for name in np.unique(run):
        own = run == name
        covariance = covariance_of_run(mean.values[own], n_items.values[own], 0.03, share)
        expected = scipy.stats.multivariate_normal(mean.values[own], covariance)
        assert float(density.sel(run=name)) == pytest.approx(expected.logpdf(score.values[own]))


def test_normal_by_run_in_pymc_is_the_sum_of_its_runs():
    score, mean, n_items, run = uneven_runs()
    p = {"scatter": 0.03, "run_share": 0.35}
    data = {
        "observed_score": score.values,
        "n_items": n_items.values,
        "membership": (np.unique(run)[:, None] == run).astype(float),
    }
    likelihood = get_likelihood("normal_by_run")
    with pm.Model() as model:
        data = {name: pm.Data(name, values) for name, values in data.items()}
        likelihood.observe(pm.Data("mean", mean.values), p, data)
    found = evaluate(model, model.potentials[0], {})
    expected = likelihood.log_density(score, n_items, mean, dataset(**p)).sum()
    assert float(found) == pytest.approx(float(expected))


def test_rows_of_independent_runs_are_plain_normals():
    score, mean, n_items = (rows(values) for values in uneven_runs()[:3])
    p = dataset(scatter=0.03, run_share=0.8)
    by_run = get_likelihood("normal_by_run").log_density(score, n_items, mean, p)
    by_row = get_likelihood("normal").log_density(score, n_items, mean, p)
    np.testing.assert_allclose(by_run.values, by_row.values)


# ---- draws against theory ------------------------------------------------------------------------


def draws(name, mean, n_items, p, seed=0):
    means = rows(np.full(DRAWS, mean))
    items = rows(np.full(DRAWS, n_items))
    rng = np.random.default_rng(seed)
    return get_likelihood(name).draw(items, means, dataset(**p), rng).to_numpy()


def check_moments(values, mean, variance, rtol=0.02):
    """Check mean (to five standard errors) and variance (to 2%: some six standard errors)."""
    assert abs(values.mean() - mean) < 5 * np.sqrt(variance / values.size)
    assert values.var() == pytest.approx(variance, rel=rtol)


@pytest.mark.parametrize("mean", [0.03, 0.5, 0.9])
@pytest.mark.parametrize("n_items", [20, 1000])
@pytest.mark.parametrize("scatter", [0.01, 0.1])
def test_beta_binomial_draws_have_the_closed_form_moments(mean, n_items, scatter):
    values = draws("beta_binomial", mean, n_items, {"scatter": scatter})
    correlation = 1 / (1 + 0.25 / scatter**2)  # of two items of one run, 1 / (alpha + beta + 1)
    variance = mean * (1 - mean) / n_items * (1 + (n_items - 1) * correlation)
    check_moments(values, mean, variance)
    np.testing.assert_allclose(values * n_items, np.round(values * n_items), atol=1e-6)


def test_without_items_there_is_no_binomial_noise():
    for name in ("beta_binomial", "normal", "normal_by_run"):
        values = draws(name, 0.5, 0, {"scatter": 0.02, "run_share": 0.5})
        # By definition of the scale: `scatter` is the sd of the true accuracy at 50%.
        assert values.std() == pytest.approx(0.02, rel=0.01)
        assert np.unique(values).size > DRAWS / 2


@pytest.mark.parametrize("name", ["beta_binomial", "normal", "normal_by_run"])
def test_scatter_shrinks_towards_the_edges_as_that_of_a_beta(name):
    p = {"scatter": 0.02, "run_share": 0.5}
    values = draws(name, 0.9, 0, p)
    assert values.std() == pytest.approx(0.02 * np.sqrt(0.9 * 0.1 / 0.25), rel=0.02)


def test_normal_draws_add_binomial_noise_to_scatter():
    values = draws("normal", 0.5, 400, {"scatter": 0.02})
    check_moments(values, 0.5, 0.25 / 400 + 0.02**2)


def test_student_draws_have_the_variance_of_their_tails():
    values = draws("student_t", 0.5, 400, {"scatter": 0.01, "tail": 9.0})
    check_moments(values, 0.5, (0.25 / 400 + 0.01**2) * 9 / 7)
    kurtosis = scipy.stats.kurtosis(values)
    assert kurtosis == pytest.approx(6 / (9 - 4), abs=0.3)


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("mean", [1e-6, 0.001, 0.999, 1 - 1e-6])
def test_draws_stay_between_0_and_1(name, mean):
    values = draws(name, mean, 10, {"scatter": 0.1, "tail": 2.0, "run_share": 0.5})
    assert values.min() >= 0
    assert values.max() <= 1
    assert abs(values.mean() - mean) < 0.05


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize(("score", "mean"), [(0.0, 1e-9), (1.0, 1 - 1e-9)])
def test_densities_are_finite_at_the_edges(name, score, mean):
    value, p = rows([score, score]), dataset(scatter=0.01, tail=5.0, run_share=0.5)
    density = get_likelihood(name).log_density(value, rows([100, 100]), rows([mean, mean]), p)
    assert np.isfinite(density).all()


@pytest.mark.parametrize("name", ["normal", "student_t", "normal_by_run"])
def test_exact_zeros_do_not_say_that_runs_do_not_scatter(name):
    """Any curve near 0 meets them exactly; a density without bound would take scatter to 0."""
    score, items = rows([0.0]), rows([0])
    scatter = xr.DataArray([1e-7, 5e-3], dims="draw")
    p = xr.Dataset({"scatter": scatter, "tail": 5.0, "run_share": 0.5})
    density = get_likelihood(name).log_density(score, items, rows([1e-9]), p)
    assert (density.isel(draw=0) - density.isel(draw=1)).item() < 0.3


def test_without_scatter_a_beta_binomial_is_binomial():
    """Also where rounding in log Gamma of huge numbers would drown the density."""
    score, items, mean = rows([0.93, 0.2, 1.0]), rows([1000, 50, 200]), rows([0.9, 0.25, 1 - 1e-9])
    expected = scipy.stats.binom.logpmf(np.round(score * items), items, mean)
    counted = {"n_items": items.values, "n_correct": np.round((score * items).values)}
    counted["log_ways"] = np.log(scipy.special.comb(counted["n_items"], counted["n_correct"]))
    likelihood = get_likelihood("beta_binomial")
    for scatter in (1e-4, 1e-6, 1e-9):
        found = likelihood.log_density(score, items, mean, dataset(scatter=scatter))
        np.testing.assert_allclose(found, expected, atol=2e-4)
        with pm.Model(coords={"row": range(3)}) as model:
            data = {name: pm.Data(name, values) for name, values in counted.items()}
            likelihood.observe(mean.values, {"scatter": scatter}, data)
        np.testing.assert_allclose(
            evaluate(model, model.logp(sum=False)[0], {}), expected, atol=2e-4
        )


def test_each_likelihood_broadcasts_over_posterior_draws():
    score, shape = rows([0.4, 0.6]), {"chain": 2, "draw": 3}
    mean = rows([0.5, 0.5]).expand_dims(shape)
    p = xr.Dataset(
        {
            name: (tuple(shape), np.full((2, 3), value))
            for name, value in {"scatter": 0.02, "tail": 5.0, "run_share": 0.5}.items()
        }
    )
    for likelihood in LIKELIHOODS.values():
        density = likelihood.log_density(score, rows([100, 0]), mean, p)
        assert dict(density.sizes) == {**shape, likelihood.unit: 2}
        drawn = likelihood.draw(rows([100, 0]), mean, p, np.random.default_rng(0))
        assert dict(drawn.sizes) == {**shape, "row": 2}


# ---- the registry --------------------------------------------------------------------------------


def test_names_and_parameters():
    for name, likelihood in LIKELIHOODS.items():
        assert get_likelihood(name) is likelihood
        assert likelihood.name == name
        assert all(isinstance(p, Parameter) for p in likelihood.parameters)
        assert "scatter" in [p.name for p in likelihood.parameters]
    assert [name for name, one in LIKELIHOODS.items() if one.needs_items] == ["beta_binomial"]


def test_unknown_likelihood_is_refused_with_the_list():
    with pytest.raises(ModelError, match="no likelihood 'poisson'") as error:
        get_likelihood("poisson")
    assert all(name in str(error.value) for name in LIKELIHOODS)
