"""Error budget: parts that add up, and go where they must in cases with a known answer."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from bayes_scaling import Runs, fit_runs
from bayes_scaling.errors import ModelError
from bayes_scaling.fitting.error_budgets import (
    DIRECT_SOURCES,
    JOINT_SOURCES,
    TWO_STAGE_SOURCES,
    _two_way,
    error_budget,
)
from bayes_scaling.fitting.fit import Fit
from bayes_scaling.modelling.model import load_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::bayes_scaling.errors.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning"),
]

S, CHAINS = 1000, 4


@pytest.fixture(scope="module")
def runs(series):
    return series("arc_easy", "acc")


def posterior(rng, **parameters):
    """Return normal draws by (mean, sd)."""
    return xr.Dataset(
        {
            name: (("chain", "draw"), mean + sd * rng.standard_normal((CHAINS, S)))
            for name, (mean, sd) in parameters.items()
        }
    )


# All of the items' noise is between runs, so that a new test set has no luck of the fitted one.
NOISE = {"scatter": (1e-6, 0.0), "binomial_share": (1.0, 0.0)}


def made_up(runs, law, seed=0, **parameters):
    """Return a fit with draws of one's own, as a posterior whose answer is known.

    Those without spread have no R-hat, hence the filter of warnings above.
    """
    bound = load_model(law).with_options(floor="fixed").on(runs)
    rng = np.random.default_rng(seed)
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((CHAINS, S), bool))})
    return Fit(bound, posterior(rng, **parameters), stats)


LINEAR = {
    **NOISE, "level": (0.6, 0.0), "loss_slope": (0.4, 0.0),
    "loss_level": (2.6, 0.0), "loss_exponent": (0.05, 0.0), "loss_scatter": (1e-9, 0.0),
}  # fmt: skip
AT = {"flops": [1e21, 1e23], "n_items": 0}


def shares(fit, **at):
    return error_budget(fit, **(AT | at))["share"].to_pandas()


# ---- sums ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_stage_fit(runs):
    return fit_runs(runs, "two_stage_logistic")


@pytest.fixture(scope="module")
def joint_fit(runs):
    return fit_runs(runs, "loss_drifting_power_law")


@pytest.mark.parametrize("name", ["two_stage_fit", "joint_fit", "power_law_fit"])
def test_parts_are_shares_that_add_up_to_the_variance_of_the_forecast(request, name):
    fit, flops = request.getfixturevalue(name), [1e19, 1e22, 1e24]
    budget = error_budget(fit, flops=flops)
    assert budget["share"].dims == ("budget", "source")
    assert (budget["share"] >= 0).all()
    np.testing.assert_allclose(budget["share"].sum("source"), 1, rtol=1e-12)
    np.testing.assert_allclose(budget["variance"].sum("source"), budget["total"], rtol=1e-12)
    simulated = fit.forecast(flops=flops)["score"].var(("chain", "draw"))
    np.testing.assert_allclose(budget["total"], simulated, rtol=0.12)


def test_sources_are_named_by_stage(two_stage_fit, joint_fit, power_law_fit):
    assert tuple(error_budget(joint_fit, flops=1e22)["source"].values) == JOINT_SOURCES
    assert tuple(error_budget(two_stage_fit, flops=1e22)["source"].values) == TWO_STAGE_SOURCES
    assert tuple(error_budget(power_law_fit, flops=1e22)["source"].values) == DIRECT_SOURCES


def test_result_carries_what_was_asked(two_stage_fit):
    budget = error_budget(two_stage_fit, flops=[1e22, 1e23], n_items=[100, 200])
    assert budget["flops"].to_numpy().tolist() == [1e22, 1e23]
    assert budget["n_items"].to_numpy().tolist() == [100, 200]
    assert budget["share"].to_pandas().shape == (2, 6)
    with pytest.raises(ModelError, match="needs budgets"):
        error_budget(two_stage_fit)


def test_same_seed_same_numbers_and_budgets_do_not_disturb_each_other(two_stage_fit):
    one = error_budget(two_stage_fit, flops=1e23)
    both = error_budget(two_stage_fit, flops=[1e22, 1e23])
    np.testing.assert_array_equal(one["variance"][0], both["variance"][1])


@pytest.mark.parametrize("law", ["two_stage_logistic", "power_law"])
def test_every_likelihood_has_a_budget(runs, law):
    """Student-t scatter too, whose draws are cut to [0, 1] and so have a variance."""
    model = load_model(law).with_options(likelihood="student_t")
    fit = fit_runs(runs, model)
    budget = error_budget(fit, flops=1e22)
    assert (budget["share"] >= 0).all()
    simulated = float(fit.forecast(flops=1e22)["score"].var())
    assert float(budget["total"][0]) == pytest.approx(simulated, rel=0.25)


def test_task_loss_law_has_a_budget_in_params_and_tokens(all_ratios):
    table = all_ratios.to_frame()
    task_loss = 1.5 * table["loss_dclm"] - 2
    runs = Runs.from_frame(table.assign(task_loss=task_loss))
    fit = fit_runs(runs, load_model("two_stage_task_loss").with_options(loss="task_loss"))
    budget = error_budget(fit, params=[1e9, 1e10], tokens=[1e11, 1e12])
    np.testing.assert_allclose(budget["share"].sum("source"), 1, rtol=1e-12)
    assert float(budget["variance"].sel(source="stage-1 parameters").min()) > 0


# ---- known answers -------------------------------------------------------------------------------


def test_uncertain_loss_is_of_stage_1(runs):
    found = shares(made_up(runs, "two_stage_linear", **LINEAR | {"loss_exponent": (0.05, 0.006)}))
    assert (found["stage-1 parameters"] > 0.99).all()


def test_uncertain_slope_is_of_stage_2(runs):
    found = shares(made_up(runs, "two_stage_linear", **LINEAR | {"loss_slope": (0.4, 0.06)}))
    assert (found["stage-2 parameters"] > 0.99).all()


def test_scatter_of_the_loss_is_of_the_residual(runs):
    found = shares(made_up(runs, "two_stage_linear", **LINEAR | {"loss_scatter": (0.05, 0.0)}))
    assert (found["stage-1 residual"] > 0.999).all()


def test_scatter_of_the_score_is_of_its_own(runs):
    found = shares(made_up(runs, "two_stage_linear", **LINEAR | {"scatter": (0.05, 0.0)}))
    assert (found["stage-2 scatter"] > 0.999).all()


def test_few_items_are_item_noise(runs):
    fit = made_up(runs, "two_stage_linear", **LINEAR)
    assert (shares(fit, n_items=50)["item noise"] > 0.999).all()
    total = error_budget(fit, flops=1e22, n_items=50)["total"]
    mean = float(fit.forecast(flops=1e22)["curve"].mean())
    assert float(total[0]) == pytest.approx(mean * (1 - mean) / 50, rel=0.02)


def test_direct_law_puts_uncertain_parameters_where_they_belong(runs):
    certain = NOISE | {"level": (0.6, 0.0), "exponent": (0.15, 0.0)}
    for name, source in {"exponent": "parameters", "scatter": "scatter"}.items():
        spread = {"exponent": (0.15, 0.04), "scatter": (0.05, 0.0)}[name]
        found = shares(made_up(runs, "power_law", **certain | {name: spread}))
        assert (found[source] > 0.999).all()


def test_closed_form_of_a_linear_law(runs):
    """Q = floor + (1 − floor)(e^−level − s·(L − L̄)), s and L normal and independent.

    Var(s·d) = E[d]² Var(s) + E[s]² Var(d) + Var(s) Var(d), d the distance from the loss level.
    Here the loss level of stage 2 is known; only stage 1 is uncertain of its own.
    """
    parameters = LINEAR | {"loss_slope": (0.4, 0.05), "loss_exponent": (0.05, 0.005)}
    fit = made_up(runs, "two_stage_linear", **parameters | {"loss_scatter": (0.02, 0.0)})
    budget = error_budget(fit, flops=1e21, n_items=0).isel(budget=0)
    p, seen = fit.posterior, fit.observations
    x = np.log(1e21) - float(seen["centre_flops"])
    median = p["loss_level"] * np.exp(-p["loss_exponent"] * x)
    d = median * np.exp(0.02**2 / 2) - 2.6
    s, q = p["loss_slope"], 0.75**2
    expected = {
        "stage-1 parameters": q * float(s.mean() ** 2 * d.var()),
        "stage-2 parameters": q * float(d.mean() ** 2 * s.var()),
        "stage-1 × stage-2": q * float(s.var() * d.var()),
        "stage-1 residual": q
        * float((s**2).mean() * (median**2).mean() * np.exp(0.02**2) * np.expm1(0.02**2)),
    }
    for source, value in expected.items():
        assert float(budget["variance"].sel(source=source)) == pytest.approx(value, rel=0.08), (
            source
        )


@pytest.mark.parametrize(
    ("effects", "expected"),
    [
        ((1, 0, 0), (1, 0, 0)),
        ((0, 2, 0), (0, 4, 0)),
        ((0, 0, 1), (0, 0, 1)),
        ((1, 2, 3), (1, 4, 9)),
    ],
)
def test_sobol_parts_of_a_known_function(effects, expected):
    size, repeats, rng = 20_000, 16, np.random.default_rng(0)
    one, other = rng.standard_normal((2, size))
    shifts = rng.choice(size, repeats, replace=False)
    places = (np.arange(size)[:, None] + shifts) % size
    a, b, c = effects
    values = a * one[:, None] + b * other[places] + c * one[:, None] * other[places]
    found = _two_way(values, shifts)
    np.testing.assert_allclose(found, expected, atol=0.03 * sum(expected))
    assert sum(found) == pytest.approx(values.var(), rel=1e-12)


def test_items_take_nothing_from_the_other_sources(two_stage_fit):
    few, many = (
        error_budget(two_stage_fit, flops=1e22, n_items=n)["variance"][0].to_series()
        for n in (200, 0)
    )
    # On endlessly many new items only the luck of the fitted ones is left.
    luck = 0.25 / float(two_stage_fit.observations["n_items"][0])
    assert 0 < many["item noise"] < luck
    assert few["item noise"] > many.sum()
    pick = ["stage-1 parameters", "stage-1 residual", "stage-2 parameters"]
    np.testing.assert_array_equal(few[pick], many[pick])


def test_a_run_effect_of_the_fit_does_not_leak(two_stage_fit):
    """Draws in another order are the same posterior: shares move by Monte Carlo error only."""
    order = np.random.default_rng(0).permutation(two_stage_fit.posterior.sizes["draw"])
    mixed = replace(two_stage_fit, posterior=two_stage_fit.posterior.isel(draw=order))
    np.testing.assert_allclose(shares(two_stage_fit), shares(mixed), atol=0.03)
