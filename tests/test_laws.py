"""Laws: the centred curve is the published equation, written here a second time."""

import inspect
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from bayes_scaling import laws
from bayes_scaling.errors import ModelError
from bayes_scaling.laws import available_laws, get_law

FOLDER = Path(inspect.getfile(laws)).parent
# A centre as of a real ladder: natural logarithms of FLOPs, parameters, tokens and samples.
CENTRE = {"flops": 46.5, "params": 20.3, "tokens": 23.3, "k": 2.2, "reach": 4.3}


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


# -log Q' as published, from textbook constants t and inputs in their own units.
PUBLISHED = {
    "power_law": loss_power_law,
    "power_law_ceiling": loss_power_law_ceiling,
    "broken_power_law": loss_broken_power_law,
    "params_tokens": loss_params_tokens,
    "pass_at_k": loss_pass_at_k,
}


def random_values(law, rng):
    """Return plausible values of a law's parameters, the level of -log Q' first."""
    ranges = {
        "exponent": (0.05, 0.4),
        "E": (0.0, 0.1),
        "exponent_change": (-0.15, 0.15),
        "break_position": (-0.8, 0.8),
        "break_width": (0.5, 3.0),
        "params_share": (0.05, 0.95),
        "alpha": (0.1, 0.8),
        "beta": (0.1, 0.8),
        "compute_slope": (-0.1, 0.4),
        "samples_slope": (-0.1, 0.5),
        "delta": (-0.05, 0.05),
    }
    names = [parameter.name for parameter in law.parameters]
    return {"level": rng.uniform(0.15, 2.5), **{n: rng.uniform(*ranges[n]) for n in names}}


def centre_of(law):
    return {name: CENTRE[name] for name in (*law.inputs, "reach")}


def random_inputs(law, rng, size):
    return {name: rng.uniform(-4.3, 6.0, size) for name in law.inputs}


def loss(law, p, x, c=CENTRE):
    """Return -log Q' of the package's curve at centred logarithms x."""
    x = {name: np.asarray(x.get(name, 0.0), float) for name in law.inputs}
    return -np.log(law.normalised_accuracy(p, x, c, np))


@pytest.mark.parametrize("name", PUBLISHED)
def test_mean_curve_is_the_published_equation(name):
    law, rng = get_law(name), np.random.default_rng(7)
    c = centre_of(law)
    for _ in range(50):
        p, x = random_values(law, rng), random_inputs(law, rng, 20)
        textbook = {**p, **law.textbook(p, c, np)}
        inputs = [np.exp(c[n] + x[n]) for n in law.inputs]
        published = np.exp(-PUBLISHED[name](textbook, *inputs))
        np.testing.assert_allclose(law.normalised_accuracy(p, x, c, np), published, rtol=1e-9)


@pytest.mark.parametrize("name", PUBLISHED)
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
    np.testing.assert_allclose(found[0], law.normalised_accuracy(p, x, c, np), rtol=1e-12)
    assert found[1:] == pytest.approx(list(law.textbook(p, c, np).values()), rel=1e-12)


@pytest.mark.parametrize("name", PUBLISHED)
def test_level_is_the_loss_at_the_centroid(name):
    law = get_law(name)
    p = random_values(law, np.random.default_rng(3))
    assert loss(law, p, {}) == pytest.approx(p["level"])


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
    assert 1 - tokens_only / p["level"] == pytest.approx(p["params_share"])
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
    assert E.upper({"level": 0.37}, np) == 0.37


# ---- the registry --------------------------------------------------------------------------------


def test_registry_is_the_folder():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "base"}
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
    assert "level" not in names
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
