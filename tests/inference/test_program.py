"""Program: the density, gradient and parameters that PyMC computes from the model itself."""

import ctypes

import numpy as np
import pytensor
import pytest
from ladders import as_runs, budgets

from bayes_scaling.inference.laplace import approximate
from bayes_scaling.inference.program import compile_program
from bayes_scaling.modelling.model import load_model

# Scalars and bounds; a vector and a matrix of data; two observed outcomes; a density by run.
LAWS = ("power_law_ceiling", "drifting_power_law", "two_stage_linear", "pass_at_k")

pytestmark = pytest.mark.slow


def prepare(law, n_runs, chance, top):
    """Return a model bound to a made-up ladder."""
    table = budgets(n_runs).assign(loss_dclm=np.linspace(3.0, 2.0, n_runs))
    options = {"n_items": 800}
    if law == "pass_at_k":
        table = table.loc[table.index.repeat(2)].assign(k=[1, 8] * n_runs)
        table["run"] = [f"run-{i // 2}" for i in range(len(table))]
        options["metric"] = "pass@k"
    score = np.linspace(chance + 0.02, top, len(table))
    return load_model(law).on(as_runs(table, score=score, chance=chance, **options))


@pytest.fixture(scope="module", params=LAWS)
def programs(request):
    """Return a program compiled for one series, and another series with other numbers of runs."""
    bound = prepare(request.param, 12, 0.25, 0.8)
    chance = 0.0 if request.param == "pass_at_k" else 0.5
    other = prepare(request.param, 19, chance, 0.95)
    priors = other.priors["level"].distribution  # same families, so the same program
    assert bound.structure() == other.structure()
    assert priors == bound.priors["level"].distribution
    return compile_program(bound.pymc), other


def points(bound):
    """Return the start and points round it."""
    rng = np.random.default_rng(1)
    return [bound.start, *(bound.start + rng.normal(0, 0.3, (3, bound.start.size)))]


def as_values(model, point):
    """Return a flat point as PyMC's dictionary of unconstrained values."""
    initial, end, values = model.initial_point(), 0, {}
    for variable in (model.rvs_to_values[rv] for rv in model.free_RVs):
        shape = np.shape(initial[variable.name])
        start, end = end, end + int(np.prod(shape))
        values[variable.name] = point[start:end].reshape(shape)
    return values


def test_density_and_gradient_are_those_of_the_model_of_the_other_series(programs):
    program, model = programs
    built = model.pymc
    logp = built.compile_logp(mode="FAST_COMPILE")
    dlogp = built.compile_dlogp(mode="FAST_COMPILE")
    bound = program.bind(model.data(), model.starts())
    for point in points(bound):
        value, slopes = bound.log_density(point)
        assert value == pytest.approx(float(logp(as_values(built, point))), rel=1e-6)
        np.testing.assert_allclose(slopes, dlogp(as_values(built, point)), rtol=1e-5, atol=1e-6)


def test_draws_become_the_parameters_and_textbook_constants_of_the_model(programs):
    program, model = programs
    built, data = model.pymc, model.data()
    bound = program.bind(data, model.starts())
    chain = np.array(points(bound))[None]
    found = bound.constrain(chain)
    named = [*built.free_RVs, *built.deterministics]
    expected = built.compile_fn(
        built.replace_rvs_by_values(named),
        inputs=built.value_vars,
        mode="FAST_COMPILE",
        on_unused_input="ignore",
    )
    assert list(found.data_vars) == [v.name for v in named]
    for i, point in enumerate(chain[0]):
        for variable, value in zip(named, expected(as_values(built, point)), strict=True):
            got = found[variable.name].isel(chain=0, draw=i)
            np.testing.assert_allclose(got, value, rtol=1e-6, err_msg=variable.name)


def test_it_starts_where_it_is_told_to(programs):
    program, model = programs
    starts = model.starts()
    bound = program.bind(model.data(), starts)
    found = bound.constrain(bound.start[None, None])
    for name, start in starts.items():
        np.testing.assert_allclose(found[name][0, 0], start, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("scaled", [True, False])
def test_the_sampler_sees_the_density_through_the_map(programs, scaled):
    """A point u of nutpie's stands for shift + scale @ u, and its gradient is that in u."""
    program, model = programs
    bound = program.bind(model.data(), model.starts())
    rng = np.random.default_rng(2)
    scale = rng.normal(0, 0.1, (program.size, program.size)) if scaled else np.eye(program.size)
    seen_by_nutpie = bound.for_nutpie(bound.start, scale if scaled else None)
    u = rng.normal(0, 1 if scaled else 0.1, program.size)
    slopes, value = np.zeros(program.size), np.zeros(1)
    doubles = ctypes.POINTER(ctypes.c_double)
    failure = seen_by_nutpie.compiled_logp_func.ctypes(
        program.size,
        *(a.ctypes.data_as(doubles) for a in (u, slopes, value)),
        seen_by_nutpie.user_data.ctypes.data,
    )
    expected, gradient = bound.log_density(bound.start + scale @ u)
    assert not failure
    assert value[0] == pytest.approx(expected)
    np.testing.assert_allclose(slopes, scale.T @ gradient, rtol=1e-9, atol=1e-9)


def test_chains_start_within_one_of_the_shift(programs):
    program, model = programs
    bound = program.bind(model.data(), model.starts())
    model = bound.for_nutpie(bound.start, None)
    starts = np.array([model.initial_point_func(seed) for seed in range(400)])
    np.testing.assert_allclose(starts.min(axis=0), -1, atol=0.05)
    np.testing.assert_allclose(starts.max(axis=0), 1, atol=0.05)


def test_a_point_without_a_finite_density_is_refused(programs):
    program, model = programs
    bound = program.bind(model.data(), model.starts())
    point = bound.start.copy()
    point[0] = np.nan
    assert bound.log_density(point)[0] == -np.inf


def test_mode_and_curvature_are_those_of_the_density(programs):
    program, model = programs
    bound = program.bind(model.data(), model.starts())
    found = approximate(bound)
    best, slopes = bound.log_density(found.mode)
    np.testing.assert_allclose(found.scale.T @ slopes, 0, atol=0.02)
    for direction in found.scale.T:  # one standard deviation lowers a normal density by 1/2
        fall = best - bound.log_density(found.mode + 0.05 * direction)[0]
        flat = np.linalg.norm(direction) > 3.1  # where the least curvature is put in its place
        assert flat or fall == pytest.approx(0.05**2 / 2, rel=0.15)


def test_machine_code_from_the_cache_is_the_same_to_the_last_bit():
    """Or the draws of a seed would depend on which process compiled a law first."""
    model = prepare("power_law_ceiling", 12, 0.25, 0.8)
    with pytensor.config.change_flags(numba__cache=False):
        fresh = compile_program(model.pymc)
    found = [
        np.array([bound.log_density(point)[1] for point in points(bound)])
        for program in (fresh, *(compile_program(model.pymc) for _ in range(2)))
        for bound in [program.bind(model.data(), model.starts())]
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
