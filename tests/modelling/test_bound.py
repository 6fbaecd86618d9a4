"""BoundModel: a PyMC user's way in."""

import arviz as az
import numpy as np
import pymc as pm
import pytest
from ladders import as_runs, budgets

from bayes_scaling import BoundModel, fit_runs, load_model
from bayes_scaling.errors import ModelError


@pytest.fixture(scope="module")
def bound(arc_easy):
    return load_model("power_law_ceiling").on(arc_easy)


def test_binding_settles_what_was_open(arc_easy):
    model = load_model("two_stage_logistic").with_options(floor="free")
    bound = model.on(arc_easy)
    assert isinstance(bound, BoundModel)
    assert (model.likelihood_name, model.loss) == ("auto", "auto")
    assert (bound.model.likelihood_name, bound.model.loss) == ("normal", "loss_dclm")
    assert "mu" not in model.priors["floor"].parameters
    assert bound.model.priors["floor"].parameters["mu"] == 0.25
    assert bound.model.reasons == model.reasons


def test_a_floor_of_another_family_is_left_as_it_is(arc_easy):
    from pymc_extras.prior import Prior

    own = load_model("power_law").with_priors(floor=Prior("Beta", alpha=30.0, beta=90.0))
    assert own.on(arc_easy).model.priors["floor"] == Prior("Beta", alpha=30.0, beta=90.0)


def test_coordinates_are_run_names_and_data_have_dims(bound, arc_easy):
    model = bound.pymc
    assert isinstance(model, pm.Model)
    assert list(model.coords["row"]) == arc_easy.table["run"].tolist()
    dims = {data.name: model.named_vars_to_dims.get(data.name, ()) for data in model.data_vars}
    by_row = {"x_flops", "observed_score", "n_items"}
    assert {name for name, own in dims.items() if own} == by_row
    assert all(dims[name] == ("row",) for name in by_row)
    assert model.named_vars_to_dims["score"] == ("row",)


def test_vectors_and_matrices_of_data_have_dims_too(arc_easy, humaneval):
    drifting = load_model("drifting_power_law").on(arc_easy).pymc
    assert drifting.named_vars_to_dims["x_drift_basis"] == ("row", "knot")
    assert drifting.named_vars_to_dims["drift"] == ("knot",)
    by_run = load_model("pass_at_k").on(humaneval)
    assert by_run.pymc.named_vars_to_dims["membership"] == ("run", "row")
    assert "k=8" in "".join(by_run.observations["row"].values)


def test_initial_points_are_the_good_starts(bound, arc_easy):
    point = bound.pymc.initial_point(random_seed=0)
    transform = bound.pymc.rvs_to_transforms[bound.pymc["exponent"]]
    start = transform.backward(point["exponent_log__"]).eval(mode="FAST_COMPILE")
    assert float(start) == pytest.approx(0.15)
    assert bound.starts()["level"] == pytest.approx(arc_easy.table["score"].mean())


def test_the_graph_can_be_drawn(bound):
    pytest.importorskip("graphviz")
    source = bound.graph().source
    assert "exponent" in source
    assert "score" in source


def test_prior_predictive_scores_are_shares_of_the_items(arc_easy):
    counted = {"likelihood": "beta_binomial", "floor": "free"}
    bound = load_model("power_law_ceiling").with_options(**counted).on(arc_easy)
    tree = bound.prior_predictive(draws=200, seed=1)
    score, prior = tree["prior_predictive"]["score"], tree["prior"].to_dataset()
    assert score.dims == ("chain", "draw", "row")
    counts = score * bound.observations["n_items"]
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-6)
    assert {"level", "floor", "exponent", "E", "ceiling"} <= set(prior.data_vars)
    same = bound.prior_predictive(draws=200, seed=1)["prior_predictive"]["score"]
    assert same.equals(score)


def test_new_data_can_be_set_as_in_any_pymc_model(bound):
    with load_model("power_law").on(bound.runs).pymc as model:
        before = model.compile_logp(mode="FAST_COMPILE")(model.initial_point(random_seed=0))
        pm.set_data({"exponent_mu": -1.0})
        after = model.compile_logp(mode="FAST_COMPILE")(model.initial_point(random_seed=0))
    assert before != after


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "benchmark", "metric"),
    [
        ("power_law", "sciq", "acc"),
        ("power_law_ceiling", "arc_easy", "acc"),
        ("drifting_power_law", "arc_easy", "acc"),
        ("two_stage_logistic", "piqa", "acc_norm"),
    ],
)
def test_plain_pymc_converges_on_a_standard_series(law, benchmark, metric, series):
    """With the defaults of pm.sample; its divergences are of an acceptance of 0.8."""
    runs = series(benchmark, metric)
    bound = load_model(law).on(runs)
    tree = pm.sample(model=bound.pymc, random_seed=1, progressbar=False)
    names = [p.name for p in bound.parameters]
    rhat = max(float(v.max()) for v in az.rhat(tree["posterior"].to_dataset()[names]).values())
    assert rhat < 1.02
    assert int(tree["sample_stats"]["diverging"].sum()) <= 60  # of 4,000
    ours = fit_runs(runs, law)
    for name in ("level", "scatter"):
        mine, theirs = ours.posterior[name], tree["posterior"][name]
        assert float(theirs.mean()) == pytest.approx(
            float(mine.mean()), abs=0.2 * float(mine.std())
        )
        assert float(theirs.std()) == pytest.approx(float(mine.std()), rel=0.25)


@pytest.mark.slow
def test_sample_is_pymcs(bound):
    tree = bound.sample(draws=100, tune=200, chains=2, random_seed=1, progressbar=False)
    assert {"posterior", "sample_stats"} <= set(tree.children)
    assert tree["posterior"].sizes["draw"] == 100


def test_a_covariate_that_the_runs_lack_is_named(arc_easy):
    from bayes_scaling import Input
    from bayes_scaling.laws import get_law

    class CodeAware(type(get_law("power_law"))):
        name = "code_aware"
        inputs = ("flops", Input("code_share", log=False))

    with pytest.raises(ModelError, match=r"needs 'code_share'; keep the column with .*covariates"):
        load_model("power_law").__class__(CodeAware(), load_model("power_law").priors).on(arc_easy)


def test_rows_of_a_run_without_k_keep_its_name():
    runs = as_runs(budgets(8), score=np.linspace(0.3, 0.7, 8), n_items=500)
    seen = load_model("power_law").on(runs).observations
    assert seen["row"].values.tolist() == [f"run-{i:03d}" for i in range(8)]
