"""Laws: the centred curve is the published equation, written here a second time."""

import inspect
from itertools import combinations
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr

from bayes_scaling import laws
from bayes_scaling.errors import ModelError
from bayes_scaling.laws import available_laws, get_law
from bayes_scaling.laws._reverting import BENDS
from bayes_scaling.modelling.model import load_model

FOLDER = Path(inspect.getfile(laws)).parent
# A centre as of a real ladder: natural logarithms of FLOPs, parameters, tokens and samples.
CENTRE = {"flops": 46.5, "params": 20.3, "tokens": 23.3, "k": 2.2, "reach": 4.3, "loss": 2.6}


def loss_power_law(t, C):
    return t["A"] * C ** -t["alpha"]


def loss_power_law_ceiling(t, C):
    return t["A"] * C ** -t["alpha"] - np.log(t["ceiling"])


def loss_broken_power_law(t, C):
    b, d1, f1 = np.exp(t["log_b"]), np.exp(t["log_d1"]), t["break_width"]
    return t["E"] + b * C ** -t["c0"] * (1 + (C / d1) ** (1 / f1)) ** (-t["c1"] * f1)


def loss_params_tokens(t, N, D):
    return t["A"] * N ** -t["alpha"] + t["B"] * D ** -t["beta"]


def loss_pass_at_k(t, C, k):
    slope = t["beta"] * np.log(k) + t["delta"] * np.log(C) * np.log(k)
    return np.exp(t["log_A"] + t["alpha"] * np.log(C) + slope)


def loss_params_tokens_power(t, N, D):
    a, b = t["alpha"] / t["kappa"], t["beta"] / t["kappa"]
    return (t["A"] * N**-a + t["B"] * D**-b) ** t["kappa"]


def sigmoid(t, L):
    return t["ceiling"] / (1 + np.exp(-t["steepness"] * (t["midpoint"] - L)))


def log_linear_loss(t, C):
    return np.exp(t["log_B"]) * C ** -t["loss_exponent"]


def task_loss(t, N, D):
    from_params = np.exp(t["log_A"]) * N ** -t["alpha"]
    return from_params + np.exp(t["log_B"]) * D ** -t["beta"] + t["loss_E"]


# -log Q' as published, from textbook constants t and inputs in their own units.
PUBLISHED = {
    "power_law": loss_power_law,
    "power_law_ceiling": loss_power_law_ceiling,
    "broken_power_law": loss_broken_power_law,
    "params_tokens": loss_params_tokens,
    "params_tokens_power": loss_params_tokens_power,
    "pass_at_k": loss_pass_at_k,
}
# Laws through a loss: the loss at a budget, and Q' at a loss.
TWO_STAGE = {
    "two_stage_linear": (
        log_linear_loss,
        lambda t, L: np.maximum(t["intercept"] - t["loss_slope"] * L, 0),
    ),
    "two_stage_logistic": (log_linear_loss, sigmoid),
    "two_stage_task_loss": (task_loss, sigmoid),
    "exponential_loss": (log_linear_loss, lambda t, L: np.exp(t["log_K"] - t["gamma"] * L)),
}
# Laws with a drift, whose equations are held to their limits and moments below.
DRIFTING = ("drifting_power_law", "drifting_power_law_ceiling", "drifting_params_tokens")
# Laws through a loss with an irreducible part, by the direct law of their pair (None: a sigmoid).
ROUTES = {
    "loss_power_law": "power_law",
    "loss_power_law_ceiling": "power_law_ceiling",
    "loss_drifting_power_law": "drifting_power_law",
    "loss_drifting_power_law_ceiling": "drifting_power_law_ceiling",
    "loss_params_tokens_power": "params_tokens_power",
    "loss_drifting_params_tokens": "drifting_params_tokens",
    "loss_logistic": None,
}


def random_values(law, rng):
    """Return plausible values of a law's parameters, the level of -log Q' first."""
    ranges = {
        "exponent": (0.05, 0.4),
        "E": (0.0, 0.1),
        "neg_log_ceiling": (0.0, 0.1),
        "exponent_change": (-0.15, 0.15),
        "break_position": (-0.8, 0.8),
        "break_width": (0.5, 3.0),
        "params_share": (0.05, 0.95),
        "alpha": (0.1, 0.8),
        "beta": (0.1, 0.8),
        "compute_slope": (-0.1, 0.4),
        "samples_slope": (-0.1, 0.5),
        "delta": (-0.05, 0.05),
        "loss_level": (1.5, 3.0),
        "loss_E": (0.0, 1.2),
        "loss_exponent": (0.02, 0.1),
        "loss_scatter": (0.001, 0.02),
        "loss_slope": (0.1, 0.6),
        "steepness": (0.5, 5.0),
        "gamma": (0.5, 3.0),
        "kappa": (0.5, 3.0),
        "irreducible_share": (0.1, 0.8),
        "tau": (0.01, 0.1),
        "drift": (-1.0, 1.0),
    }
    names = [parameter.name for parameter in law.parameters]
    return {"neg_log_q": rng.uniform(0.15, 2.5), **{n: rng.uniform(*ranges[n]) for n in names}}


def centre_of(law):
    return {name: CENTRE[name] for name in (*law.columns, "reach")}


def random_inputs(law, rng, size):
    names = (*law.columns, "loss") if law.name in TWO_STAGE else law.columns
    return {name: rng.uniform(-4.3, 6.0, size) for name in names}


def loss(law, p, x, c=CENTRE):
    """Return -log Q' of the package's curve at centred logarithms x."""
    x = {name: np.asarray(x.get(name, 0.0), float) for name in (*law.columns, "loss")}
    return -np.log(law.normalised_accuracy(p, x, c, np))


@pytest.mark.parametrize("name", PUBLISHED)
def test_mean_curve_is_the_published_equation(name):
    law, rng = get_law(name), np.random.default_rng(7)
    c = centre_of(law)
    for _ in range(50):
        p, x = random_values(law, rng), random_inputs(law, rng, 20)
        textbook = {**p, **law.textbook(p, c, np)}
        inputs = [np.exp(c[n] + x[n]) for n in law.columns]
        published = np.exp(-PUBLISHED[name](textbook, *inputs))
        np.testing.assert_allclose(law.normalised_accuracy(p, x, c, np), published, rtol=1e-9)


@pytest.mark.parametrize("name", TWO_STAGE)
def test_both_stages_are_the_published_equations(name):
    law, rng = get_law(name), np.random.default_rng(7)
    c, (published_loss, published_quality) = centre_of(law), TWO_STAGE[name]
    for _ in range(50):
        p, x = random_values(law, rng), random_inputs(law, rng, 20)
        p["neg_log_q"] += 0.1  # above every E
        textbook = {**p, **law.textbook(p, c, np)}
        loss_at = published_loss(textbook, *(np.exp(c[n] + x[n]) for n in law.columns))
        np.testing.assert_allclose(np.exp(law.log_loss(p, x, c, np)), loss_at, rtol=1e-9)
        quality = published_quality(textbook, p["loss_level"] + x["loss"])
        found = law.normalised_accuracy(p, x, c, np)
        # The line of `two_stage_linear` is bent where it meets 0, by 0.7 points of Q' at most.
        bent = (name == "two_stage_linear") & (quality < 0.1)
        rtol = 1e-5 if name == "two_stage_linear" else 1e-9
        np.testing.assert_allclose(found[~bent], quality[~bent], rtol=rtol, atol=1e-12)
        np.testing.assert_allclose(found[bent], quality[bent], atol=0.007)


def test_every_law_has_its_equation_here():
    assert {*PUBLISHED, *TWO_STAGE, *DRIFTING, *ROUTES} == set(available_laws())


@pytest.mark.parametrize("name", [*PUBLISHED, *TWO_STAGE])
def test_pytensor_and_numpy_agree(name):
    law, rng = get_law(name), np.random.default_rng(8)
    p, x, c = random_values(law, rng), random_inputs(law, rng, 9), centre_of(law)
    symbols = {n: pt.dscalar(n) for n in p}
    lines = {n: pt.dvector(f"x_{n}") for n in x}
    curve = law.normalised_accuracy(symbols, lines, c, pt)
    textbook = law.textbook(symbols, c, pt)
    function = pytensor.function(
        [*symbols.values(), *lines.values()],
        [curve, *textbook.values()],
        mode=pytensor.compile.mode.Mode(linker="py", optimizer=None),  # nothing to compile
        on_unused_input="ignore",
    )
    found = function(*p.values(), *x.values())
    np.testing.assert_allclose(
        found[0], law.normalised_accuracy(p, x, c, np), rtol=1e-12, atol=1e-15
    )
    assert found[1:] == pytest.approx(list(law.textbook(p, c, np).values()), rel=1e-12)


@pytest.mark.parametrize("name", [*PUBLISHED, *TWO_STAGE])
def test_level_is_the_loss_at_the_centroid(name):
    law = get_law(name)
    p = random_values(law, np.random.default_rng(3))
    assert loss(law, p, {}) == pytest.approx(p["neg_log_q"])


# ---- routes -------------------------------------------------------------------------------------


def route_values(law, rng):
    p = random_values(law, rng)
    p["neg_log_q"] += 0.1  # above every E
    sizes = {q.name: q.shape for q in law.parameters if q.dims}
    return {n: xr.DataArray(rng.normal(size=sizes[n]), dims="knot") if n in sizes else v
            for n, v in p.items()}  # fmt: skip


def place(law, values):
    """Return inputs of a law along `place`, the same for each, and its features."""
    x = {n: xr.DataArray(np.asarray(values, float), dims="place") for n in law.columns}
    return x | law.features(x, centre_of(law))


PAIRS = [name for name, direct in ROUTES.items() if direct]


@pytest.mark.parametrize("name", PAIRS)
def test_at_the_median_loss_both_routes_are_one_curve(name):
    law, rng = get_law(name), np.random.default_rng(4)
    assert law.direct is get_law(ROUTES[name])
    c, x = centre_of(law), place(law, np.linspace(-4, 4, 9))
    for _ in range(20):
        p = route_values(law, rng)
        median = np.exp(law.log_loss(p, x, c, np))
        through = law.normalised_accuracy(p, {**x, "loss": median - p["loss_level"]}, c, np)
        # A hundredth of the reducible loss at the centroid is smoothed, which shows where it ends.
        np.testing.assert_allclose(through, law.direct.normalised_accuracy(p, x, c, np), atol=2e-3)


@pytest.mark.parametrize("name", PAIRS)
def test_the_direct_law_of_a_pair_has_the_same_freedom_and_priors(name):
    law, through, direct = get_law(name), load_model(name), load_model(ROUTES[name])
    stage = {"loss_level", "irreducible_share", "kappa", "loss_scatter"}
    names = {q.name for q in law.direct.parameters}
    assert {q.name for q in law.parameters} == names | stage
    assert all(through.priors[n] == direct.priors[n] for n in names)
    assert law.ceiling == law.direct.ceiling


@pytest.mark.parametrize("name", PAIRS)
def test_accuracy_is_a_power_of_the_reducible_loss(name):
    law, rng = get_law(name), np.random.default_rng(5)
    c = centre_of(law)
    for _ in range(20):
        p = route_values(law, rng)
        E, loss_E = p.get("E", 0.0), law.textbook(p, c, np)["loss_E"]
        loss = np.linspace(loss_E + 0.3, p["loss_level"] + 1, 9)
        ratio = (loss - loss_E) / (p["loss_level"] - loss_E)
        x = {"loss": loss - p["loss_level"]}
        expected = np.exp(-((p["neg_log_q"] - E) * ratio ** p["kappa"] + E))
        np.testing.assert_allclose(
            law.normalised_accuracy(p, x, c, np), expected, rtol=2e-3, atol=1e-9
        )


def test_the_loss_of_two_terms_is_that_of_hoffmann():
    law, rng = get_law("loss_params_tokens_power"), np.random.default_rng(6)
    c, x = centre_of(law), random_inputs(get_law("params_tokens"), rng, 9)
    p = random_values(law, rng)
    t = {**p, **law.textbook(p, c, np)}
    # R, the unit of a loss in one of −log Q', from the centroid.
    R = (p["loss_level"] - t["loss_E"]) / p["neg_log_q"] ** (1 / p["kappa"])
    N, D = (np.exp(c[n] + x[n]) for n in ("params", "tokens"))
    expected = t["loss_E"] + R * (
        t["A"] * N ** (-p["alpha"] / p["kappa"]) + t["B"] * D ** (-p["beta"] / p["kappa"])
    )
    np.testing.assert_allclose(np.exp(law.log_loss(p, x, c, np)), expected, rtol=1e-9)


def test_a_loss_below_the_irreducible_one_has_a_finite_density():
    law = get_law("loss_power_law")
    p = {"neg_log_q": 0.7, "exponent": 0.2, "loss_level": 2.5, "irreducible_share": 0.9,
         "kappa": 1.2, "loss_scatter": 0.01}  # fmt: skip
    loss = pt.dscalar("loss")
    curve = law.normalised_accuracy(p, {"loss": loss}, CENTRE, pt)
    mode = pytensor.compile.mode.Mode(linker="py", optimizer=None)
    value = pytensor.function([loss], [curve, pytensor.grad(curve, loss)], mode=mode)(-2.0)
    assert np.isfinite(value).all()
    assert 0.99 < value[0] < 1


def test_the_logistic_law_has_an_irreducible_loss():
    law, rng = get_law("loss_logistic"), np.random.default_rng(9)
    c, x = centre_of(law), random_inputs(get_law("power_law"), rng, 9)
    for _ in range(20):
        p = random_values(law, rng)
        p["neg_log_q"] += 0.1
        t = {**p, **law.textbook(p, c, np)}
        a = p["loss_exponent"] / (1 - p["irreducible_share"])
        expected = t["loss_E"] + (p["loss_level"] - t["loss_E"]) * np.exp(-a * x["flops"])
        np.testing.assert_allclose(np.exp(law.log_loss(p, x, c, np)), expected, rtol=1e-9)
        found = law.normalised_accuracy(p, {"loss": expected - p["loss_level"]}, c, np)
        np.testing.assert_allclose(found, sigmoid(t, expected), rtol=1e-9)


def local_exponent(law, p, input_name, at=0.0, c=CENTRE):
    """Return the fall of log(-log Q') per unit of one logged input, by central difference."""
    step = 1e-4
    high, low = (np.log(loss(law, p, {input_name: at + s}, c)) for s in (step, -step))
    return float((low - high) / (2 * step))


@pytest.mark.parametrize(
    ("name", "parameter", "input_name"),
    [
        ("power_law", "exponent", "flops"),
        ("power_law_ceiling", "exponent", "flops"),
        ("broken_power_law", "exponent", "flops"),
        ("pass_at_k", "compute_slope", "flops"),
        ("pass_at_k", "samples_slope", "k"),
    ],
)
def test_sampled_slope_is_the_local_one(name, parameter, input_name):
    law, rng = get_law(name), np.random.default_rng(5)
    for _ in range(20):
        p = random_values(law, rng)
        assert local_exponent(law, p, input_name) == pytest.approx(p[parameter], rel=1e-5)


def test_share_of_parameters_is_that_of_the_loss_they_can_remove():
    law = get_law("params_tokens")
    p = random_values(law, np.random.default_rng(11))
    tokens_only = loss(law, p, {"params": 1e4})  # endlessly many parameters
    assert 1 - tokens_only / p["neg_log_q"] == pytest.approx(p["params_share"])
    slope = local_exponent(law, p, "params")
    assert slope == pytest.approx(p["params_share"] * p["alpha"], rel=1e-5)


def test_interaction_is_the_change_of_one_slope_along_the_other_input():
    law = get_law("pass_at_k")
    p = random_values(law, np.random.default_rng(12))
    logs = [np.log(loss(law, p, {"flops": 1.0, "k": k})) for k in (0.0, 1.0)]
    at_centre = [np.log(loss(law, p, {"k": k})) for k in (0.0, 1.0)]
    assert np.diff(logs) - np.diff(at_centre) == pytest.approx(p["delta"])


@pytest.mark.parametrize("name", ["power_law_ceiling", "broken_power_law"])
def test_ceiling_is_the_limit_at_infinite_compute(name):
    law = get_law(name)
    p = random_values(law, np.random.default_rng(13)) | {"exponent_change": 0.1}
    limit = float(np.exp(-loss(law, p, {"flops": 1e4})))
    assert limit < 1
    assert law.textbook(p, CENTRE, np)["ceiling"] == pytest.approx(limit)


def test_a_sharp_break_without_a_ceiling_changes_the_exponent_by_exponent_change():
    law = get_law("broken_power_law")
    p = random_values(law, np.random.default_rng(14))
    p |= {"E": 0.0, "break_width": 0.05, "break_position": 0.0}
    ends = [local_exponent(law, p, "flops", at=CENTRE["reach"] * s) for s in (-1, 1)]
    assert ends[1] - ends[0] == pytest.approx(p["exponent_change"], rel=1e-5)


def test_broken_power_law_without_bend_is_a_power_law():
    p = random_values(get_law("broken_power_law"), np.random.default_rng(15))
    p |= {"E": 0.0, "exponent_change": 0.0}
    x = {"flops": np.linspace(-5, 8, 14)}
    straight = loss(get_law("power_law"), p, x)
    np.testing.assert_allclose(loss(get_law("broken_power_law"), p, x), straight, rtol=1e-12)


@pytest.mark.parametrize("name", ["power_law_ceiling", "broken_power_law"])
def test_irreducible_part_is_bounded_by_the_level(name):
    (E,) = (q for q in get_law(name).parameters if q.name == "E")
    assert E.upper({"neg_log_q": 0.37}, np) == 0.37


# ---- the drifting exponent -----------------------------------------------------------------------

DRAWS = {"chain": 2, "draw": 3}
SPACING = CENTRE["reach"] / 6  # of the knots: twelve over the fitted range, on both sides


def drifting(x, rng, *, tau=0.03, drift=None, E=None):
    """Return -log Q' of a drifting law at centred log FLOPs x, by chain, draw and place."""
    law, c = get_law(DRIFTING[E is not None]), centre_of(get_law("power_law"))
    (steps,) = (q.dims["knot"] for q in law.parameters if q.name == "drift")
    drift = np.zeros((2, 3, steps)) if drift is None else drift
    p = {name: xr.DataArray(value) for name, value in {"neg_log_q": 0.7, "exponent": 0.2}.items()}
    p |= {"tau": xr.DataArray(tau), "drift": xr.DataArray(drift, dims=(*DRAWS, "knot"))}
    p |= {} if E is None else {"E": xr.DataArray(E)}
    x = {"flops": xr.DataArray(np.asarray(x, float), dims="place")}
    x |= law.features(x, c)
    quality = law.normalised_accuracy(law.beyond(p, x, c, rng), x, c, np)
    return -np.log(quality.transpose(*DRAWS, "place").to_numpy())


def plain_line(x):
    return 0.7 * np.exp(-0.2 * x)


def test_without_drift_it_is_the_power_law():
    x = np.linspace(-4, 4, 9)
    found = drifting(x, np.random.default_rng(0))[1, 2]
    np.testing.assert_allclose(found, plain_line(x), rtol=1e-12)


def exponents(x, drift, seed, tau=0.03, others=()):
    """Return the local exponent at each x by central difference."""
    step = 1e-3
    at = np.concatenate([[v + s for s in (-step, step)] for v in x] + [list(others)])
    loss = np.log(drifting(at, np.random.default_rng(seed), tau=tau, drift=drift))
    loss = loss[..., : 2 * len(x)]
    return (loss[..., ::2] - loss[..., 1::2]) / (2 * step)


def test_the_exponent_drifts_and_returns_to_its_mean_within_and_beyond_the_fitted_range():
    """Two exponents differ as those of an Ornstein-Uhlenbeck process of sd tau and a decade do."""
    places = SPACING * np.array([-9, -6, -3, 0, 4, 6, 10, 30])
    rng, tau, rows = np.random.default_rng(21), 0.03, []
    for seed in range(800):
        drift = rng.standard_normal((2, 3, BENDS))
        rows.append(exponents(places, drift, seed, tau).reshape(6, -1))
    found = np.concatenate(rows)  # 4800 draws: sd of a variance 2%
    for i, j in combinations(range(len(places)), 2):
        apart = places[j] - places[i]
        expected = 2 * tau**2 * (1 - np.exp(-apart / np.log(10)))
        assert (found[:, j] - found[:, i]).var() == pytest.approx(expected, rel=0.12), (i, j)


def test_the_drift_leaves_the_mean_line_to_level_and_exponent():
    """Over the fitted range what the bends add has no slope of its own."""
    x = np.linspace(-1, 1, 401) * CENTRE["reach"]
    drift = np.random.default_rng(3).standard_normal((2, 3, BENDS))
    added = np.log(drifting(x, np.random.default_rng(0), drift=drift)) - np.log(0.7) + 0.2 * x
    slopes = np.polyfit(x, added.reshape(6, -1).T, 1)[0]
    assert np.abs(added).max() > 0.01
    assert np.abs(slopes).max() < 1e-3


def test_a_ceiling_is_added_to_what_drifts():
    """Without drift it is the power law with a ceiling; without a ceiling, the drifting law."""
    x, p, c = np.linspace(-4, 9, 9), {"neg_log_q": 0.7, "exponent": 0.2, "E": 0.1}, CENTRE
    still = drifting(x, np.random.default_rng(0), E=0.1, tau=0.0)[1, 2]
    np.testing.assert_allclose(still, loss(get_law("power_law_ceiling"), p, {"flops": x}))
    drift = np.random.default_rng(4).standard_normal((2, 3, BENDS))
    open_ended, plain = (
        drifting(x, np.random.default_rng(5), drift=drift, E=E) for E in (0.0, None)
    )
    np.testing.assert_allclose(open_ended, plain)
    # The drift moves the logarithm of what is above the floor of -log Q', and nothing else.
    moved = drifting(x, np.random.default_rng(5), drift=drift, E=0.1) - 0.1
    np.testing.assert_allclose(np.log(moved / (still - 0.1)), np.log(plain / plain_line(x)))

    constants = get_law("drifting_power_law_ceiling").textbook(p, c, np)
    assert constants["ceiling"] == pytest.approx(np.exp(-0.1))


def test_the_drift_in_parameters_and_tokens_is_that_in_compute():
    """Without drift it is eq. 4 with a constant; a drift in log C multiplies what N and D leave."""
    law, rng = get_law("drifting_params_tokens"), np.random.default_rng(6)
    p = random_values(get_law("params_tokens"), rng) | {"neg_log_q": 0.7, "E": 0.1}
    x = {name: rng.uniform(-4, 6, 9) for name in ("params", "tokens")}
    x["flops"] = x["params"] + x["tokens"]
    steps = rng.standard_normal((2, 3, BENDS))

    def found(tau):
        drift = xr.DataArray(steps, dims=(*DRAWS, "knot"))
        values = {n: xr.DataArray(v) for n, v in p.items()} | {"tau": tau, "drift": drift}
        places = {n: xr.DataArray(v, dims="place") for n, v in x.items()}
        places |= law.features(places, CENTRE)
        values = law.beyond(values, places, CENTRE, np.random.default_rng(5))
        quality = law.normalised_accuracy(values, places, CENTRE, np)
        return -np.log(quality.transpose(*DRAWS, "place").to_numpy())

    constants = {**p, **law.textbook(p, CENTRE, np)}
    budget = [np.exp(CENTRE[name] + x[name]) for name in ("params", "tokens")]
    published = loss_params_tokens(constants, *budget) - np.log(constants["ceiling"])
    np.testing.assert_allclose(found(0.0)[1, 2], published, rtol=1e-9)
    walk = drifting(x["flops"], np.random.default_rng(5), drift=steps) / plain_line(x["flops"])
    np.testing.assert_allclose(found(0.03) - 0.1, walk * (published - 0.1), rtol=1e-9)


@pytest.mark.parametrize("others", [[-9.0], [9.0], [-9.0, 0.0, 12.0]])
def test_draws_beyond_the_range_do_not_depend_on_other_budgets(others):
    alone = exponents([7.0], None, 5)
    np.testing.assert_allclose(exponents([7.0], None, 5, others=others), alone, rtol=1e-9)


# ---- the registry --------------------------------------------------------------------------------


def test_registry_is_the_folder():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"base", "registry"}
    assert set(available_laws()) == {name for name in files if not name.startswith("_")}


@pytest.mark.parametrize("name", available_laws())
def test_each_law_describes_itself(name):
    law = get_law(name)
    assert law.name == name
    assert "=" in law.equation
    assert len(law.source) > 20
    assert type(law).__doc__
    names = [parameter.name for parameter in law.parameters]
    assert len(set(names)) == len(names)
    assert "neg_log_q" not in names
    assert all(len(parameter.meaning.split()) >= 2 for parameter in law.parameters)


def test_unknown_law_is_refused_with_a_suggestion():
    with pytest.raises(ModelError, match=r"no law 'powerlaw'; did you mean 'power_law'\?") as error:
        get_law("powerlaw")
    assert all(name in str(error.value) for name in available_laws())


def test_unlike_any_law_gives_the_list_alone():
    with pytest.raises(ModelError) as error:
        get_law("xyzzy")
    assert str(error.value).startswith("no law 'xyzzy'. Laws: ")
    assert "params_tokens" in str(error.value)
