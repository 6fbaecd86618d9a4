"""The ladder model: what it sees, its density, and the laws that are its limits."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from ladders import budgets
from pooled import BENCHMARKS, grid_of_budgets, simulate
from pymc_extras.prior import Prior
from scipy.stats import expon, lognorm, multivariate_normal, norm, truncnorm

from bayes_scaling.errors import ModelError
from bayes_scaling.laws import get_law
from bayes_scaling.laws._ladder import loss_compute, seen_compute
from bayes_scaling.laws._reverting import BENDS
from bayes_scaling.laws._routes import log_ratio_seen
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


def evaluated(bound, point, *more):
    """Return the named variables of a model, and more of its graphs, at a point of its own."""
    model = bound.pymc
    named = [*model.free_RVs, *model.deterministics]
    outputs = [*model.replace_rvs_by_values(named), *more]
    values = model.compile_fn(outputs, mode="FAST_COMPILE", point_fn=True)(point)
    return {v.name: value for v, value in zip(named, values, strict=False)}, values[len(named) :]


def some_point(bound, seed=5):
    """Return an unconstrained point near where chains start."""
    rng = np.random.default_rng(seed)
    start = bound.pymc.initial_point(random_seed=0)
    return {name: value + rng.normal(0, 0.3, np.shape(value)) for name, value in start.items()}


def test_the_density_of_scores_is_a_normal_of_a_run_s_benchmarks_together(runs):
    """The rank-one form of the model against a dense covariance matrix of SciPy."""
    bound = LadderModel().on(Runs.from_frame(runs.table.iloc[1:]))
    model = bound.pymc
    score = model.replace_rvs_by_values([model["score"]])
    density = model.logp(vars=[model["log_loss"]])
    p, (of_scores, of_losses) = evaluated(bound, some_point(bound), *score, density)
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
    assert float(np.sum(of_scores)) - constant == pytest.approx(expected, rel=1e-9)
    expected_loss = norm(np.log(median["loss"].squeeze()), p["loss_scatter"]).logpdf(
        np.log(seen["loss"])
    )
    assert float(of_losses) == pytest.approx(expected_loss.sum(), rel=1e-9)


def one_near_chance(runs):
    """Return runs that have learnt nothing of the first benchmark, so that its floor is free."""
    first = runs.table["benchmark"] == BENCHMARKS[0]
    return changed(runs, score=runs.table["score"].mask(first, 0.11))


def test_the_coordinates_of_the_sampler_leave_the_priors_as_they_are(runs):
    """Their density without the Jacobian is SciPy's, at a point where all units differ from 1."""
    bound = LadderModel().on(one_near_chance(runs))
    names = (
        "floor",
        "bends",
        "exponent",
        "neg_log_q",
        "ceiling_pull",
        "loss_bends",
        "loss_level",
        "loss_exponent",
    )
    model, chance = bound.pymc, bound.observations["chance"].sel(benchmark=bound.near).to_numpy()
    densities = [model.logp(vars=[model[name]], jacobian=False, sum=True) for name in names]
    p, found = evaluated(bound, some_point(bound), *densities)
    expected = {
        "floor": truncnorm(-chance / 0.03, (1 - chance) / 0.03, chance, 0.03).logpdf(p["floor"]),
        "bends": norm().logpdf(p["bends"]),
        "exponent": lognorm(p["exponent_sigma"], scale=np.exp(p["exponent_mu"])).logpdf(
            p["exponent"]
        ),
        "neg_log_q": expon().logpdf(p["neg_log_q"]),
        "ceiling_pull": expon(scale=1 / p["ceiling_pull_lam"]).logpdf(p["ceiling_pull"]),
        "loss_bends": norm().logpdf(p["loss_bends"]),
        "loss_level": lognorm(1.0, scale=np.exp(0.7)).logpdf(p["loss_level"]),
        "loss_exponent": lognorm(0.5, scale=np.exp(-2.8)).logpdf(p["loss_exponent"]),
    }
    for name, value in zip(names, found, strict=True):
        assert float(value) == pytest.approx(float(expected[name].sum()), rel=1e-6), name


def test_moving_bends_leaves_the_line_where_scores_tell_of_it():
    """Level and slope of each curve by NumPy's weighted fit, before and after bends move.

    Without ceilings: with one the level is that of the whole curve.
    """
    runs = simulate(budgets(8), through=False, rng=np.random.default_rng(0))
    bound = LadderModel(loss=None).on(runs)
    x, numbers = bound.inputs(bound.observations)["flops"].to_numpy(), bound.observed()
    point, lines, kept = some_point(bound), [], []
    point["ceiling_pull_probit_share__"] = np.full(len(BENCHMARKS), -7.0)
    for bend in (0.0, 1.0):
        point["bends_around_fit__"] = np.full((len(BENCHMARKS), BENDS), bend)
        p, _ = evaluated(bound, point)
        compute = x[:, None] + p["drift"] * (numbers["basis"].to_numpy() @ p["bends"].T)
        curves = np.log(p["neg_log_q"]) - p["exponent"] * compute
        weights = numbers["weight"].transpose("run", "benchmark").to_numpy()
        known = numbers["level_known"].to_numpy()
        kept.append(
            np.log(p["neg_log_q"]) - known * p["exponent"] * (weights * compute).sum(axis=0)
        )
        lines.append([])
        for curve, weight in zip(curves.T, weights.T, strict=True):
            centre = weight @ x
            lines[-1].append(np.polyfit(x - centre, curve, 1, w=np.sqrt(weight)))
    np.testing.assert_allclose(kept[0], kept[1], atol=1e-8)
    # Scores leave a little of the level to the prior.
    np.testing.assert_allclose(np.array(lines[0])[:, 1], np.array(lines[1])[:, 1], atol=1e-4)
    np.testing.assert_allclose(np.array(lines[0])[:, 0], np.array(lines[1])[:, 0], rtol=0.02)


@pytest.mark.parametrize("pull", [-1.0, 1.0])
def test_moving_ceilings_leaves_the_level_where_scores_tell_of_it(pull):
    """−log Q' where scores tell of it, on the straight line that the sampler reckons with."""
    runs = simulate(budgets(8), through=False, rng=np.random.default_rng(0))
    bound = LadderModel(loss=None).on(runs)
    x, numbers = bound.inputs(bound.observations)["flops"].to_numpy(), bound.observed()
    centre = numbers["weight"].transpose("run", "benchmark").to_numpy().T @ x
    point, levels = some_point(bound), []
    point["bends_around_fit__"] = np.zeros((len(BENCHMARKS), BENDS))
    for moved in (-7.0, pull):
        point["ceiling_pull_probit_share__"] = np.full(len(BENCHMARKS), moved)
        p, _ = evaluated(bound, point)
        reducible = (p["neg_log_q"] - p["E"]) * np.exp(-p["exponent"] * centre)
        levels.append(np.log(p["E"] + reducible))
    alone = np.log(p["neg_log_q"] * np.exp(-p["exponent"] * centre))
    moves = np.abs(np.subtract(*levels))
    assert (moves < 0.1).all()
    assert (moves < np.abs(alone - levels[0])).all()


def test_floors_make_up_for_curves_that_have_hardly_left_them():
    """The mean score of a benchmark near chance stays while the level of its curve moves."""
    runs = simulate(budgets(8), through=False, rng=np.random.default_rng(0))
    bound = LadderModel(loss=None).on(one_near_chance(runs))
    assert bound.near.to_numpy().tolist() == [BENCHMARKS[0]]
    compute, means, curves = bound.inputs(bound.observations)["flops"].to_numpy(), [], []
    point = some_point(bound)
    point["bends_around_fit__"] = np.zeros((len(BENCHMARKS), BENDS))
    for level in (1.5, 1.8):
        point["neg_log_q_in_widths__"] = np.full(len(BENCHMARKS), level)
        p, _ = evaluated(bound, point)
        reducible = (p["neg_log_q"] - p["E"])[0] * np.exp(-p["exponent"][0] * compute)
        quality = np.exp(-p["E"][0] - reducible)
        curves.append(quality.mean())
        means.append((p["floor"][0] + (1 - p["floor"][0]) * quality).mean())
    assert curves[0] - curves[1] > 0.005
    assert abs(means[0] - means[1]) < 0.2 * (curves[0] - curves[1])


def test_the_axes_of_bends_are_a_rotation(runs):
    """Else the Jacobian of the coordinates would not be that of their widths alone."""
    rotation = LadderModel().on(runs).observed()["rotation"].to_numpy()
    found = rotation @ rotation.transpose(0, 2, 1)
    np.testing.assert_allclose(found, np.broadcast_to(np.eye(BENDS), found.shape), atol=1e-9)


def test_scores_at_the_floor_tell_nothing_of_the_line():
    """The line of a benchmark that only its two largest runs have learnt goes through these two."""
    runs = simulate(budgets(10), through=False, rng=np.random.default_rng(0))
    table = runs.table
    late = table["benchmark"] == BENCHMARKS[0]
    largest = table["flops"] >= np.sort(table["flops"].unique())[-2]
    score = table["score"].where(~late, np.where(largest, 0.5, 0.1))
    bound = LadderModel(loss=None).on(changed(runs, score=score))
    weight = bound.observed()["weight"].sel(benchmark=BENCHMARKS[0])
    assert float(weight[-2:].sum()) > 0.9


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
    # The law counts from the median loss at the centroid, the model from the loss of its runs.
    away = -log_ratio_seen(loss, bound.central_loss - 3.0, np) / slope
    levels = np.array([0.8, 0.5, 1.1]) * np.exp(np.array([0.15, 0.2, 0.25]) * away)
    for name, level, exponent in zip(BENCHMARKS, levels, (0.15, 0.2, 0.25), strict=True):
        p = {**loss, "neg_log_q": level, "exponent": exponent, "kappa": exponent / slope}
        median = np.exp(law.log_loss(p, x, {}, np) + 0.01 * residual)
        np.testing.assert_allclose(made["loss"].squeeze(), median, rtol=1e-12)
        quality = law.normalised_accuracy(p, {**x, "loss": median - 3.0}, {}, np)
        found = made["curve"].sel(benchmark=name).squeeze()
        np.testing.assert_allclose(found, 0.1 + 0.9 * quality, rtol=1e-6)


def test_levels_are_at_the_loss_of_the_runs_wherever_the_median_is():
    """Else a fit could give up the loss to move levels to where their prior is higher."""
    for level in (2.5, 3.0, 3.5):
        p = {"loss_level": level, "irreducible_share": 0.5, "loss_exponent": 0.06}
        assert seen_compute(p, np.array([3.1]), 3.1, np) == pytest.approx(0)


def test_wherever_chains_start_the_median_loss_is_near_the_losses(runs):
    """Level within its scatter of the losses; slope so that, one sd of budgets away, too."""
    bound = LadderModel().on(runs)
    seen, rng = bound.observations, np.random.default_rng(0)
    start = bound.pymc.initial_point(random_seed=0)
    for _ in range(5):
        point = {name: value + rng.uniform(-1, 1, np.shape(value)) for name, value in start.items()}
        p, _ = evaluated(bound, point)
        assert abs(np.log(p["loss_level"] / bound.central_loss)) <= p["loss_scatter"]
        x = np.log(seen["flops"].to_numpy())
        slope, _ = np.polyfit(x, np.log(seen["loss"].to_numpy()), 1)
        moved = abs(np.log(p["loss_exponent"] / -slope)) * -slope * x.std()
        assert moved <= 1.01 * p["loss_scatter"]


def test_growing_params_and_tokens_alike_counts_as_flops(runs):
    p = {
        "loss_exponent": 0.06,
        "irreducible_share": 0.5,
        "params_share": 0.3,
        "exponent_ratio": 1.4,
    }
    step = 1e-5
    x = {"flops": 2 * step, "params": step, "tokens": step}
    assert loss_compute(p, x, np) == pytest.approx(2 * step, rel=1e-3)
