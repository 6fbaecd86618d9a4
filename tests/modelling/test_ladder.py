"""The ladder model: what it sees, its density, and the laws that are its limits."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from ladders import budgets
from pooled import BENCHMARKS, grid_of_budgets, simulate
from pymc_extras.prior import Prior
from scipy.stats import multivariate_normal, norm

from bayes_scaling.errors import ModelError
from bayes_scaling.laws import get_law
from bayes_scaling.laws._reverting import BENDS
from bayes_scaling.modelling.ladder_model import PARAMETERS, LadderModel
from bayes_scaling.runs import Budgets, Runs


@pytest.fixture(scope="module")
def runs():
    return simulate(grid_of_budgets(4), through=True, rng=np.random.default_rng(2))


def changed(runs, **columns):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Runs.from_frame(runs.table.assign(**columns))


# ---- what it sees ------------------------------------------------------------------------------


def test_scores_are_by_run_and_benchmark_and_may_be_missing(runs):
    part = Runs.from_frame(runs.table.iloc[1:])
    bound = LadderModel().on(part)
    seen = bound.observations
    assert seen["score"].dims == ("run", "benchmark")
    assert set(seen["benchmark"].to_numpy()) == set(BENCHMARKS)
    assert int(np.isnan(seen["score"]).sum()) == 1
    assert (np.diff(seen["flops"]) >= 0).all()
    row = part.table.iloc[7]
    assert float(seen["score"].sel(run=row["run"], benchmark=row["benchmark"])) == row["score"]


def test_params_and_tokens_are_read_only_where_their_ratio_varies(runs):
    assert {"tilt", "params_share", "exponent_ratio"} <= set(LadderModel().on(runs).priors)
    one_ratio = simulate(budgets(6), through=True, rng=np.random.default_rng(0))
    assert not {"tilt", "params_share", "exponent_ratio"} & set(LadderModel().on(one_ratio).priors)
    assert "through" not in LadderModel(loss=None).on(runs).priors


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"mixture": lambda t: np.where(t["run"] == "run-000", "other", "web")}, "one mixture"),
        ({"benchmark": "arc"}, "several"),
        ({"training": "one"}, "checkpoints"),
        ({"loss_web": lambda t: t["loss_web"].where(t["run"] != "run-001")}, "run-001"),
    ],
)
def test_what_is_not_one_ladder_is_refused_with_what_to_do(runs, columns, message):
    table = runs.table
    values = {k: v(table) if callable(v) else v for k, v in columns.items()}
    if "benchmark" in columns:
        table = table.drop_duplicates("run")
        twice = pd.concat([table, table.assign(metric="acc_norm")])
        with pytest.raises(ModelError, match="has the metrics"):
            LadderModel().on(Runs.from_frame(twice))
        return
    with pytest.raises(ModelError, match=message):
        LadderModel().on(changed(runs, **values))


def test_two_runs_and_a_loss_of_the_benchmark_are_refused(runs):
    two = runs.table[runs.table["run"].isin(["run-000", "run-001"])]
    with pytest.raises(ModelError, match="at least 3 runs"):
        LadderModel().on(Runs.from_frame(two))
    with pytest.raises(ModelError, match="task_loss"):
        LadderModel(loss="task_loss").on(changed(runs, task_loss=2.0))


def test_a_prior_of_nothing_is_refused_and_one_that_is_known_is_used(runs):
    with pytest.raises(ModelError, match="no parameter exponnent"):
        LadderModel({"exponnent": Prior("Normal")})
    with pytest.raises(ModelError, match="length must be positive"):
        LadderModel(length=0)
    model = LadderModel().with_priors(run_share=Prior("Beta", alpha=1, beta=9))
    assert model.on(runs).data()["run_share_beta"] == 9
    assert LadderModel.from_dict(model.to_dict()) == model


def test_every_parameter_has_a_prior_with_a_reason():
    from bayes_scaling.modelling.defaults import ladder_defaults

    priors, reasons = ladder_defaults()
    assert set(priors) == {p.name for p in PARAMETERS}
    assert all(len(reasons[name]) > 20 for name in priors)


# ---- density -----------------------------------------------------------------------------------


def test_the_density_of_scores_is_a_normal_of_a_run_s_benchmarks_together(runs):
    """The rank-one form of the model against a dense covariance matrix of SciPy."""
    bound = LadderModel().on(Runs.from_frame(runs.table.iloc[1:]))
    model = bound.pymc
    point = model.initial_point(random_seed=0)
    rng = np.random.default_rng(5)
    point = {name: value + rng.normal(0, 0.3, np.shape(value)) for name, value in point.items()}
    named = [*model.free_RVs, *model.deterministics]
    outputs = [
        *model.replace_rvs_by_values([*named, model["score"]]),
        model.logp(vars=[model["log_loss"]]),
    ]
    values = model.compile_fn(outputs, mode="FAST_COMPILE", point_fn=True)(point)
    p = {v.name: value for v, value in zip(named, values, strict=False)}
    dims = {name: model.named_vars_to_dims.get(name, ()) for name in p}
    posterior = xr.Dataset(
        {
            name: (("chain", "draw", *dims[name]), np.asarray(v)[None, None])
            for name, v in p.items()
        },
        coords={"benchmark": bound.observations["benchmark"]},
    )
    seen = bound.observations
    rows = seen[["flops", "params", "tokens"]]
    median = bound.curve(posterior, rows, np.random.default_rng(0))
    residual = np.log(seen["loss"] / median["loss"]) / posterior["loss_scatter"]
    made = bound.curve(posterior, rows, np.random.default_rng(0), residual)
    np.testing.assert_allclose(made["loss"].squeeze(), seen["loss"], rtol=1e-9)
    curve = made["curve"].squeeze().transpose("run", "benchmark").to_numpy()
    expected = 0.0
    for i, run in enumerate(seen["run"].to_numpy()):
        there = ~np.isnan(seen["score"].sel(run=run).to_numpy())
        q, n = curve[i, there], seen["n_items"].sel(run=run).to_numpy()[there]
        room, scatter = q * (1 - q) + 1e-3, p["scatter"][there]
        item = p["binomial_share"][there] * room / n
        total = item + 4 * room * scatter**2 + 5e-4**2
        common = 2 * scatter * np.sqrt(room * p["run_share"])
        covariance = np.diag(total - common**2) + np.outer(common, common)
        score = seen["score"].sel(run=run).to_numpy()[there]
        expected += multivariate_normal(q, covariance).logpdf(score)
    constant = 0.5 * np.log(2 * np.pi) * int((~np.isnan(seen["score"])).sum())
    assert float(np.sum(values[-2])) - constant == pytest.approx(expected, rel=1e-9)
    expected_loss = norm(np.log(median["loss"].squeeze()), p["loss_scatter"]).logpdf(
        np.log(seen["loss"])
    )
    assert float(values[-1]) == pytest.approx(expected_loss.sum(), rel=1e-9)


# ---- limits ------------------------------------------------------------------------------------


def constant_draw(bound, **values):
    """Return a posterior of one draw."""
    names = bound.observations["benchmark"].to_numpy()
    each = {"benchmark": names}
    arrays = {
        "neg_log_q": xr.DataArray([0.8, 0.5, 1.1], coords=each, dims="benchmark"),
        "exponent": xr.DataArray([0.15, 0.2, 0.25], coords=each, dims="benchmark"),
        "E": xr.zeros_like(xr.DataArray([0.0] * 3, coords=each, dims="benchmark")),
        "drift": xr.DataArray([0.0] * 3, coords=each, dims="benchmark"),
        "bends": xr.DataArray(np.zeros((3, BENDS)), coords=each, dims=("benchmark", "knot")),
    }
    drawn = arrays | {k: xr.DataArray(v) for k, v in values.items()}
    return xr.Dataset({k: v.expand_dims(chain=1, draw=1) for k, v in drawn.items()})


def test_without_loss_drift_and_ceiling_it_is_the_power_law():
    bound = LadderModel(loss=None).on(
        simulate(budgets(6), through=False, rng=np.random.default_rng(0))
    )
    future = Budgets.of(flops=[1e20, 1e22, 1e23]).inputs
    posterior = constant_draw(bound)
    found = bound.curve(posterior, future, np.random.default_rng(0))["curve"].squeeze()
    x = {"flops": bound.inputs(future)["flops"]}
    p = {name: posterior[name].squeeze() for name in ("neg_log_q", "exponent")}
    quality = get_law("power_law").normalised_accuracy(p, x, {}, np)
    chance = bound.observations["chance"]
    expected = (chance + (1 - chance) * quality).transpose(*found.dims)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("residual", [0.0, 1.5])
def test_with_all_of_it_through_the_loss_it_is_the_power_law_through_the_loss(residual):
    runs = simulate(budgets(6), through=True, rng=np.random.default_rng(0))
    bound = LadderModel().on(runs)
    loss = {"loss_level": 3.0, "irreducible_share": 0.55, "loss_scatter": 0.01}
    slope = 0.06 / (1 - 0.55)
    posterior = constant_draw(
        bound,
        **loss,
        loss_exponent=0.06,
        loss_drift=0.0,
        loss_bends=xr.DataArray(np.zeros(BENDS), dims="knot"),
        through=1.0,
    )
    future = Budgets.of(flops=[1e20, 1e22]).inputs
    made = bound.curve(posterior, future, np.random.default_rng(0), residual)
    law = get_law("loss_power_law")
    x = {"flops": bound.inputs(future)["flops"]}
    for name, level, exponent in zip(BENCHMARKS, (0.8, 0.5, 1.1), (0.15, 0.2, 0.25), strict=True):
        p = {**loss, "neg_log_q": level, "exponent": exponent, "kappa": exponent / slope}
        median = np.exp(law.log_loss(p, x, {}, np) + 0.01 * residual)
        np.testing.assert_allclose(made["loss"].squeeze(), median, rtol=1e-12)
        quality = law.normalised_accuracy(p, {**x, "loss": median - 3.0}, {}, np)
        found = made["curve"].sel(benchmark=name).squeeze()
        np.testing.assert_allclose(found, 0.1 + 0.9 * quality, rtol=1e-6)


def test_growing_params_and_tokens_alike_counts_as_flops(runs):
    from bayes_scaling.laws._ladder import loss_compute

    p = {
        "loss_exponent": 0.06,
        "irreducible_share": 0.5,
        "params_share": 0.3,
        "exponent_ratio": 1.4,
    }
    step = 1e-5
    x = {"flops": 2 * step, "params": step, "tokens": step}
    assert loss_compute(p, x, np) == pytest.approx(2 * step, rel=1e-3)
