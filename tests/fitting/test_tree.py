"""A fit at home in ArviZ: what a user tries first works without further arguments."""

import arviz as az
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.stats

import bayes_scaling
from bayes_scaling import fit_runs, loo

pytestmark = pytest.mark.slow
mpl.use("agg")


@pytest.fixture(scope="module")
def two_stage_fit(arc_easy):
    return fit_runs(arc_easy, "two_stage_logistic")


@pytest.fixture(scope="module", params=["power_law_fit", "two_stage_fit"])
def fit(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def tree(fit):
    return fit.to_arviz()


def test_groups_say_who_made_them_when(tree):
    for group in ("posterior", "prior", "log_likelihood", "observed_data"):
        attrs = tree[group].attrs
        assert attrs["creation_library"] == "bayes_scaling"
        assert attrs["creation_library_version"] == bayes_scaling.__version__
        assert attrs["created_at"].startswith("20")


def test_scores_are_shares_labelled_by_run_in_every_group(tree, arc_easy):
    for group in ("prior_predictive", "posterior_predictive", "observed_data"):
        score = tree[group]["score"]
        assert list(tree[group].data_vars) == ["score"]
        assert score["row"].to_numpy().tolist() == arc_easy.table["run"].tolist()
        assert 0 <= float(score.min()) <= float(score.max()) <= 1
    assert tree["log_likelihood"]["score"].dims == ("chain", "draw", "row")


def test_a_run_can_be_picked_by_its_name(tree, arc_easy):
    name = arc_easy.table["run"].iloc[7]
    observed = float(tree["observed_data"]["score"].sel(row=name))
    assert observed == arc_easy.table["score"].iloc[7]


def test_summary_and_loo(tree):
    assert {"level", "scatter"} <= set(az.summary(tree).index)
    result = az.loo(tree)
    assert result.n_data_points == 46
    assert int((result.pareto_k > 0.7).sum()) <= 1


def test_loo_of_the_tree_is_near_the_fair_one(tree, fit):
    """Of two stages it keeps a run's loss, which tells little of its score that is not known."""
    assert az.loo(tree).elpd == pytest.approx(loo(fit, refit=False).elpd, abs=1.0)


def test_predictive_plots(tree):
    for draw in (az.plot_ppc_dist, az.plot_loo_pit, az.plot_ppc_pit):
        assert draw(tree, backend="matplotlib") is not None
    plt.close("all")


def test_plots_of_posterior_and_chains(tree):
    names = ["level", "scatter"]
    assert az.plot_trace(tree, var_names=names, backend="matplotlib") is not None
    assert az.plot_dist(tree, var_names=names, backend="matplotlib") is not None
    plt.close("all")


def test_power_scaling_sensitivity(tree):
    table = az.psense_summary(
        tree, var_names=["level", "exponent"][: 1 + ("exponent" in tree["posterior"])]
    )
    assert (table["likelihood"] > 0.05).all()


def test_the_log_prior_is_that_of_the_stated_distributions(power_law_fit):
    found = power_law_fit.to_arviz()["log_prior"].to_dataset()
    p = power_law_fit.posterior
    expected = {
        "level": scipy.stats.uniform.logpdf(p["level"], 0.25, 0.75),  # cut above the floor
        "binomial_share": scipy.stats.beta.logpdf(p["binomial_share"], 2, 2),
        "exponent": scipy.stats.lognorm.logpdf(p["exponent"], 0.7, scale=np.exp(-1.9)),
        "scatter": scipy.stats.lognorm.logpdf(p["scatter"], 1.0, scale=np.exp(-4.6)),
    }
    assert set(found.data_vars) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-8, err_msg=name)


def test_the_log_prior_of_vectors_and_of_priors_on_priors(arc_easy):
    from pymc_extras.prior import Prior

    from bayes_scaling import load_model

    bends = Prior("Normal", mu=0.0, sigma=Prior("HalfNormal", sigma=1.0))
    model = load_model("drifting_power_law").with_priors(drift=bends)
    fit = fit_runs(arc_easy, model, draws=200, chains=2)
    found = fit.to_arviz()["log_prior"].to_dataset()
    assert found["drift"].dims == ("chain", "draw", "knot")
    sigma = fit.posterior["drift_sigma"]
    np.testing.assert_allclose(
        found["drift"], scipy.stats.norm.logpdf(fit.posterior["drift"], 0, sigma.data[..., None])
    )
    np.testing.assert_allclose(found["drift_sigma"], scipy.stats.halfnorm.logpdf(sigma))


def test_pass_at_k_is_taken_by_run(pass_at_k_fit):
    tree = pass_at_k_fit.to_arviz()
    assert az.loo(tree).n_data_points == 46
    assert {"level", "delta"} <= set(az.summary(tree).index)
    assert az.plot_ppc_dist(tree, backend="matplotlib") is not None
    plt.close("all")


def test_a_fit_shows_itself(power_law_fit):
    assert repr(power_law_fit) == (
        "<Fit of power_law to arc_easy acc on dclm: 46 scores, converged>"
    )
    page = power_law_fit._repr_html_()
    assert "power_law (normal, fixed floor) on arc_easy acc" in page
    assert "<th>exponent</th>" in page
    assert "script" not in page


def test_a_fit_that_has_not_converged_shows_it(power_law_fit):
    from dataclasses import replace

    stats = power_law_fit.sample_stats
    bad = replace(power_law_fit, sample_stats=stats.assign(diverging=stats["diverging"] | True))
    assert repr(bad).endswith("46 scores, NOT CONVERGED>")
    assert "#B00020" in bad._repr_html_()


def test_forecasts_are_indexed_by_flops(power_law_fit):
    forecast = power_law_fit.forecast(flops=[1e22, 1e23])
    one = power_law_fit.forecast(flops=1e23)
    np.testing.assert_array_equal(
        forecast["score"].sel(flops=1e23).to_numpy().squeeze(), one["score"].to_numpy().squeeze()
    )
    near = forecast["curve"].sel(flops=9e22, method="nearest")
    assert float(near["flops"]) == 1e23
