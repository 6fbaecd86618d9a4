"""Likelihoods: PyMC, SciPy and theory say the same of the scatter of scores."""

import numpy as np
import pymc as pm
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
import xarray as xr

from bayes_scaling.errors import ModelError
from bayes_scaling.laws.base import Parameter
from bayes_scaling.modelling.likelihoods import LIKELIHOODS, draw_luck, get_likelihood
from bayes_scaling.modelling.model import load_model

DRAWS = 200_000
SHARES = {"run_share": 0.5, "training_share": 0.5}


def dataset(**values):
    """Return parameters; without binomial_share the noise of items is binomial."""
    return xr.Dataset({name: float(value) for name, value in values.items()})


def rows(values, runs=None):
    """Return values by row, each row a run of its own unless `runs` says otherwise."""
    runs = np.arange(len(values)) if runs is None else runs
    coords = {"run": ("row", runs), "training": ("row", runs)}
    return xr.DataArray(np.asarray(values, float), dims="row", coords=coords)


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
    floor = float(seen["chance"])
    level = np.log((1 - floor) / (p["level"] - floor))
    return floor + (1 - floor) * np.exp(-level * np.exp(-p["exponent"] * x))


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
    for name in ("beta_binomial", "normal", "normal_by_run", "normal_by_training"):
        values = draws(name, 0.5, 0, {"scatter": 0.02} | SHARES)
        # By definition of the scale: `scatter` is the sd of the true accuracy at 50%.
        assert values.std() == pytest.approx(0.02, rel=0.01)
        assert np.unique(values).size > DRAWS / 2


@pytest.mark.parametrize("name", ["beta_binomial", "normal", "normal_by_run"])
def test_scatter_shrinks_towards_the_edges_as_that_of_a_beta(name):
    p = {"scatter": 0.02} | SHARES
    values = draws(name, 0.9, 0, p)
    assert values.std() == pytest.approx(0.02 * np.sqrt(0.9 * 0.1 / 0.25), rel=0.02)


def test_normal_draws_add_binomial_noise_to_scatter():
    values = draws("normal", 0.5, 400, {"scatter": 0.02})
    check_moments(values, 0.5, 0.25 / 400 + 0.02**2)


@pytest.mark.parametrize("name", ["normal", "normal_by_run", "normal_by_training"])
def test_runs_on_one_test_set_show_a_share_of_the_binomial_noise(name):
    values = draws(name, 0.5, 400, {"scatter": 0.02, "binomial_share": 0.3} | SHARES)
    check_moments(values, 0.5, 0.3 * 0.25 / 400 + 0.02**2)


def test_the_share_is_that_of_items_of_many_difficulties():
    """Each item of a fixed test set has its own chance of a right answer; runs draw answers."""
    rng = np.random.default_rng(3)
    chance_of_item = rng.beta(0.5, 0.5, 400)
    scores = rng.binomial(1, chance_of_item, (20_000, 400)).mean(axis=1)
    q = chance_of_item.mean()
    share = (chance_of_item * (1 - chance_of_item)).mean() / (q * (1 - q))
    assert 0.3 < share < 0.7
    assert scores.var() == pytest.approx(share * q * (1 - q) / 400, rel=0.05)


@pytest.mark.parametrize("name", ["normal_by_run", "normal_by_training"])
def test_rows_that_share_luck_have_the_correlation_of_the_share(name):
    likelihood, shape = get_likelihood(name), (1, DRAWS, 3)
    mean = xr.DataArray(np.full(shape, 0.5), dims=("chain", "draw", "row"))
    p = dataset(scatter=0.02, run_share=0.7, training_share=0.7)
    rng = np.random.default_rng(4)
    luck = draw_luck(xr.DataArray(["a", "b", "a"], dims="row"), mean, rng)
    drawn = likelihood.draw(rows([100] * 3), mean, p, rng, luck).to_numpy()[0]
    found = np.corrcoef(drawn, rowvar=False)
    np.testing.assert_allclose(found[0], [1, 0, 0.7], atol=0.01)
    alone = likelihood.draw(rows([100] * 3), mean, p, rng).to_numpy()[0]
    np.testing.assert_allclose(np.corrcoef(alone, rowvar=False)[0], [1, 0, 0], atol=0.01)


@pytest.mark.parametrize("mean", [0.001, 0.02, 0.5, 0.995])
def test_the_censored_normal_has_unit_mass_and_its_draws_fit(mean):
    likelihood, p = get_likelihood("normal"), dataset(scatter=0.01)
    grid = np.linspace(0, 1, 200_001)
    density = np.exp(
        likelihood.log_density(rows(grid), rows(np.full(grid.size, 300)), rows(grid * 0 + mean), p)
    ).to_numpy()
    inside = scipy.integrate.trapezoid(density[1:-1], grid[1:-1])
    assert density[0] + inside + density[-1] == pytest.approx(1, abs=1e-3)
    values = draws("normal", mean, 300, {"scatter": 0.01})
    assert (values == 0).mean() == pytest.approx(density[0], abs=0.005)
    assert (values == 1).mean() == pytest.approx(density[-1], abs=0.005)


@pytest.mark.parametrize("scores", [[0.0, 0.0, 0.01, 0.2], [0.1, 0.4, 0.98, 1.0]])
def test_scores_at_the_edges_are_censored_in_pymc_too(scores):
    score, mean, items = rows(scores), np.array([0.01, 0.3, 0.97, 0.6]), np.full(4, 50)
    likelihood = get_likelihood("normal").suited(score)
    assert likelihood is not get_likelihood("normal")
    p = {"scatter": 0.02, "binomial_share": 0.4}
    with pm.Model(coords={"row": range(4)}) as model:
        data = {"observed_score": pm.Data("seen", score.values), "n_items": pm.Data("n", items)}
        likelihood.observe(mean, p, data)
    found = evaluate(model, model.logp(sum=False)[0], {})
    expected = likelihood.log_density(score, rows(items), rows(mean), dataset(**p))
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    assert get_likelihood("normal").suited(rows([0.1, 0.9])) is get_likelihood("normal")


def test_student_draws_have_the_variance_of_their_tails():
    values = draws("student_t", 0.5, 400, {"scatter": 0.01, "tail": 9.0})
    check_moments(values, 0.5, (0.25 / 400 + 0.01**2) * 9 / 7)
    kurtosis = scipy.stats.kurtosis(values)
    assert kurtosis == pytest.approx(6 / (9 - 4), abs=0.3)


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("mean", [1e-6, 0.001, 0.999, 1 - 1e-6])
def test_draws_stay_between_0_and_1(name, mean):
    values = draws(name, mean, 10, {"scatter": 0.1, "tail": 2.0} | SHARES)
    assert values.min() >= 0
    assert values.max() <= 1
    assert abs(values.mean() - mean) < 0.05


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize(("score", "mean"), [(0.0, 1e-9), (1.0, 1 - 1e-9)])
def test_densities_are_finite_at_the_edges(name, score, mean):
    value, p = rows([score, score]), dataset(scatter=0.01, tail=5.0, **SHARES)
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
            for name, value in ({"scatter": 0.02, "tail": 5.0} | SHARES).items()
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
