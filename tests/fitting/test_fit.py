"""Fit: what a posterior says of itself, ArviZ's view of it, and its file."""

import warnings
from dataclasses import replace

import arviz as az
import numpy as np
import pytest
import scipy.stats
import xarray as xr

from bayes_scaling import Fit, fit_runs, load_model
from bayes_scaling.errors import BayesScalingError, ModelError
from bayes_scaling.modelling.model import ScalingModel

pytestmark = pytest.mark.slow

GROUPS = {
    *("posterior", "sample_stats", "prior", "prior_predictive", "posterior_predictive"),
    *("log_likelihood", "log_prior", "observed_data", "constant_data"),
}


def published_curve(fit):
    """Return the power law with ceiling at the fitted budgets, from its textbook constants."""
    p, C = fit.posterior, xr.DataArray(fit.observations["flops"].to_numpy(), dims="row")
    ceiling = p.get("ceiling", 1.0)
    quality = ceiling * np.exp(-p["A"] * C ** -p["alpha"])
    # No run of arc_easy is near chance, so the floor is chance.
    return (0.25 + 0.75 * quality).transpose("chain", "draw", "row")


# ---- the posterior -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["power_law_fit", "ceiling_fit"])
def test_textbook_parameters_give_the_fitted_curve(name, request):
    fit = request.getfixturevalue(name)
    curve = fit.fitted_curve
    np.testing.assert_allclose(curve.to_numpy(), published_curve(fit).to_numpy(), rtol=1e-8)


def test_the_level_is_the_curve_at_the_centroid(power_law_fit):
    p = power_law_fit.posterior
    C = np.exp(np.log(power_law_fit.runs.table["flops"]).mean())
    at_centroid = 0.25 + 0.75 * np.exp(-p["A"] * C ** -p["alpha"])
    np.testing.assert_allclose(at_centroid, p["level"], rtol=1e-8)


def test_log_likelihood_is_a_normal_density_of_the_share(power_law_fit):
    seen, p = power_law_fit.observations, power_law_fit.posterior.isel(chain=2, draw=17)
    mean = published_curve(power_law_fit).isel(chain=2, draw=17).to_numpy()
    noise = float(p["binomial_share"]) / 2376 + 4 * float(p["scatter"]) ** 2
    sd = np.sqrt((mean * (1 - mean) + 1e-3) * noise + 5e-4**2)
    expected = scipy.stats.norm.logpdf(seen["score"], mean, sd)
    found = power_law_fit.log_likelihood()
    assert found.dims == ("chain", "draw", "row")
    np.testing.assert_allclose(found.isel(chain=2, draw=17), expected, rtol=1e-6)


def test_parameters_are_moments_and_quantiles_of_the_draws(power_law_fit):
    table = power_law_fit.parameters()
    assert set(table.index) == set(power_law_fit.posterior.data_vars)
    draws = power_law_fit.posterior["exponent"].to_numpy().ravel()
    row = table.loc["exponent"]
    assert row["mean"] == pytest.approx(draws.mean())
    assert row["sd"] == pytest.approx(draws.std(ddof=1))
    assert [row["q05"], row["q95"]] == pytest.approx(np.quantile(draws, [0.05, 0.95]))


def test_summary_is_arvizs(power_law_fit):
    table = power_law_fit.summary(round_to="none")
    draws = power_law_fit.posterior["level"].to_numpy()
    assert table.loc["level", "mean"] == pytest.approx(draws.mean())
    assert table.loc["level", "ess_bulk"] == pytest.approx(
        float(az.ess(power_law_fit.posterior)["level"])
    )


def test_describe_names_model_and_series(power_law_fit, pass_at_k_fit):
    words = power_law_fit.describe()
    for part in ("power_law (normal", "fixed floor", "arc_easy acc", "dclm", "46 scores"):
        assert part in words
    assert "pass_at_k (normal_by_run" in pass_at_k_fit.describe()


def test_describe_counts_what_a_filter_left_out(series):
    # No sampling is needed to know what a fit saw.
    runs = series("winogrande", "acc")
    near_chance = int((runs.table["score"] <= 0.55).sum())
    assert near_chance > 0
    bound = load_model("power_law").with_options(floor="filter").on(runs)
    drawn = bound.prior(500)
    posterior = xr.concat([drawn.assign_coords(chain=[i]) for i in range(4)], "chain")
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((4, 500)))})
    fit = Fit(bound, posterior, stats)
    assert f"({near_chance} within 5 points of chance left out)" in fit.describe()
    assert f"{len(runs) - near_chance} scores" in fit.describe()


def test_a_model_may_be_given_as_itself_or_by_name(power_law_fit, arc_easy):
    fit = fit_runs(arc_easy, load_model("power_law"))
    np.testing.assert_array_equal(fit.posterior["level"], power_law_fit.posterior["level"])
    with pytest.raises(ModelError, match="no model 'power_lav'"):
        fit_runs(arc_easy, "power_lav")


# ---- ArviZ ---------------------------------------------------------------------------------------


def test_arviz_takes_every_group(power_law_fit):
    tree = power_law_fit.to_arviz()
    assert set(tree.children) == GROUPS
    seen = power_law_fit.runs.table
    np.testing.assert_array_equal(tree["observed_data"]["score"], seen["score"])
    np.testing.assert_array_equal(tree["constant_data"]["flops"], seen["flops"])
    assert set(tree["prior"].data_vars) == set(tree["posterior"].data_vars)
    assert "level" in az.summary(tree).index


def test_replicated_scores_cover_the_observed(power_law_fit):
    tree = power_law_fit.to_arviz()
    low, high = tree["posterior_predictive"]["score"].quantile([0.05, 0.95], ("chain", "draw"))
    inside = float(
        ((tree["observed_data"]["score"] >= low) & (tree["observed_data"]["score"] <= high)).mean()
    )
    # 46 fitted scores: binomial noise of the share alone is 0.044.
    assert 0.75 <= inside <= 1.0


def test_loo_and_compare(power_law_fit, ceiling_fit):
    loo = az.loo(power_law_fit.to_arviz(), pointwise=True)
    assert loo.n_data_points == 46
    # By hand: the posterior mean of the likelihood, which LOO lowers by about one parameter each.
    density = power_law_fit.log_likelihood()
    lpd = float((np.log(np.exp(density).mean(("chain", "draw")))).sum())
    assert 1 < lpd - loo.elpd < 8
    table = az.compare(
        {"power_law": power_law_fit.to_arviz(), "power_law_ceiling": ceiling_fit.to_arviz()}
    )
    assert set(table.index) == {"power_law", "power_law_ceiling"}
    assert table["weight"].sum() == pytest.approx(1.0, abs=1e-3)


def test_loo_of_pass_at_k_leaves_out_whole_runs(pass_at_k_fit):
    density = pass_at_k_fit.log_likelihood()
    assert density.dims == ("chain", "draw", "run")
    assert density.sizes["run"] == 46
    assert pass_at_k_fit.observations.sizes["row"] > 46
    assert az.loo(pass_at_k_fit.to_arviz()).n_data_points == 46


# ---- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["power_law_fit", "pass_at_k_fit", "params_tokens_fit"])
def test_a_saved_fit_forecasts_the_same(name, request, tmp_path):
    fit = request.getfixturevalue(name)
    path = fit.save(tmp_path / "fit.nc")
    loaded = Fit.load(path)
    budget = {"flops": [1e22, 3e23], "tokens_per_param": 20, "k": 4}
    xr.testing.assert_identical(loaded.forecast(**budget), fit.forecast(**budget))
    assert loaded.runs == fit.runs
    assert loaded.model == fit.model
    assert loaded.model.reasons == fit.model.reasons
    assert loaded.diagnostics == fit.diagnostics
    assert loaded.describe() == fit.describe()
    xr.testing.assert_equal(loaded.prior(200), fit.prior(200))
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def test_saving_replaces_a_file_whole_or_not_at_all(power_law_fit, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    path.write_bytes(b"something of value")

    def full_disk(*args, **kwargs):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(xr.DataTree, "to_netcdf", full_disk)
        with pytest.raises(OSError, match="no space"):
            power_law_fit.save(path)
    assert path.read_bytes() == b"something of value"
    power_law_fit.save(path)
    assert Fit.load(path).seed == power_law_fit.seed


def broken_files(fit, folder):
    """Write files that are not saved fits, and yield their paths."""
    yield folder / "absent.nc"
    for name, content in {
        "empty": b"",
        "text": b"run,score\n",
        "noise": bytes(range(256)) * 40,
    }.items():
        path = folder / f"{name}.nc"
        path.write_bytes(content)
        yield path
    whole = fit.save(folder / "whole.nc").read_bytes()
    cut = folder / "cut.nc"
    cut.write_bytes(whole[: len(whole) // 2])
    yield cut
    other = folder / "other.nc"
    xr.Dataset({"temperature": ("time", [1.0, 2.0])}).to_netcdf(other)
    yield other


def test_a_fit_of_an_older_version_is_refused_by_name(power_law_fit, tmp_path):
    """Its draws would be read as those of another model, without a sign of trouble."""
    tree = xr.load_datatree(power_law_fit.save(tmp_path / "fit.nc"))
    tree.attrs = {"bayes_scaling": "0.6.0"}
    tree.to_netcdf(tmp_path / "old.nc")
    with pytest.raises(BayesScalingError, match=r"saved by version 0\.6\.0, .*; fit it again"):
        Fit.load(tmp_path / "old.nc")


def test_what_is_not_a_saved_fit_is_refused(power_law_fit, tmp_path):
    for path in broken_files(power_law_fit, tmp_path):
        with pytest.raises(BayesScalingError, match=f"{path.name} is not a saved fit"):
            Fit.load(path)


@pytest.mark.parametrize(
    "spec",
    ["not json", "[1, 2]", "{}", '{"law": "power_lav"}', '{"law": "power_law", "priors": 3}'],
)
def test_a_fit_with_a_broken_model_is_refused(power_law_fit, tmp_path, spec):
    path = power_law_fit.save(tmp_path / "fit.nc")
    with xr.open_datatree(path, engine="netcdf4") as tree:
        tree.load()
    tree["model"].attrs["spec"] = spec
    broken = tmp_path / "broken.nc"
    tree.to_netcdf(broken, engine="netcdf4")
    with pytest.raises(BayesScalingError, match=r"broken\.nc"):
        Fit.load(broken)


def test_the_models_spec_in_a_file_is_plain_text(power_law_fit, tmp_path):
    path = power_law_fit.save(tmp_path / "fit.nc")
    with warnings.catch_warnings(), xr.open_datatree(path, engine="netcdf4") as tree:
        warnings.simplefilter("error")
        spec = tree["model"].attrs["spec"]
    assert isinstance(spec, str)
    assert "LogNormal" in spec
    assert isinstance(power_law_fit.model, ScalingModel)


def test_a_copy_with_other_draws_has_diagnostics_of_its_own(power_law_fit):
    stuck = power_law_fit.posterior.assign(scatter=power_law_fit.posterior["scatter"].isel(draw=0))
    stuck = stuck.broadcast_like(power_law_fit.posterior)
    assert power_law_fit.diagnostics.problems() == []
    assert replace(power_law_fit, posterior=stuck).diagnostics.problems()
