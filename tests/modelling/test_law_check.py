"""check_law: what is broken in a law, in words."""

import numpy as np
import pytest
from pymc_extras.prior import Prior

from bayes_scaling import Constant, Input, Parameter, ScalingLaw, check_law, get_law
from bayes_scaling.errors import ModelError
from bayes_scaling.laws import available_laws


class Sound(ScalingLaw):
    """Logistic in log C, the example of the contract."""

    name = "sound"
    equation = "Q' = 1 / (1 + (C / C_half)^-steepness)"
    source = "an example"
    parameters = (Parameter("steepness", "steepness in log C", "", start=0.3),)
    constants = (Constant("log_C_half", "log C at which Q' is one half", "log FLOPs"),)
    priors = {"steepness": Prior("LogNormal", mu=-1.2, sigma=0.7)}

    def normalised_accuracy(self, p, x, c, xp):
        return 1 / (1 + xp.expm1(p["neg_log_q"]) * xp.exp(-p["steepness"] * x["flops"]))

    def textbook(self, p, c, xp):
        return {"log_C_half": c["flops"] + xp.log(xp.expm1(p["neg_log_q"])) / p["steepness"]}


@pytest.mark.parametrize("name", available_laws())
def test_shipped_laws_keep_the_contract(name):
    check_law(get_law(name))


def test_a_sound_law_keeps_it():
    check_law(Sound)
    check_law(Sound())


BROKEN = {
    "no name": ({"name": ""}, "name is missing"),
    "inputs as one text": ({"inputs": "flops"}, "inputs should be a tuple"),
    "an input twice": ({"inputs": ("flops", Input("flops", log=False))}, "a column twice"),
    "no inputs": ({"inputs": ()}, "inputs is empty"),
    "parameters as a list": ({"parameters": []}, "not a tuple of Parameter"),
    "a name twice": ({"parameters": Sound.parameters * 2}, "two parameters are called"),
    "a name of the model's": (
        {"parameters": (*Sound.parameters, Parameter("level", "its own", "", 0.5))},
        "'level' is a name of the model's own",
    ),
    "a name of a constant": (
        {"constants": (*Sound.constants, Constant("steepness", "again"))},
        "'steepness' is a parameter and a constant",
    ),
    "a dimension of the model's": (
        {"parameters": (*Sound.parameters, Parameter("bends", "some", "", 0.1, dims={"row": 3}))},
        "dimension 'row', which is the model's own",
    ),
    "no such ceiling": ({"ceiling": "top"}, "ceiling names 'top'"),
    "shown as nothing": (
        {"parameters": (Parameter("steepness", "a", "", 0.3, shown_as="top"),)},
        "shown as 'top', which is not among the constants",
    ),
    "constants that are not returned": (
        {"constants": (*Sound.constants, Constant("A", "another"))},
        "textbook returns log_C_half, but constants declares A, log_C_half",
    ),
    "a prior of nothing": (
        {"priors": {**Sound.priors, "slope": Prior("Normal")}},
        "sound has no parameter slope",
    ),
    "no prior": ({"priors": {}}, "no prior for steepness"),
    "a prior that is cut short": (
        {"priors": {"steepness": Prior("Beta")}},
        "Beta cannot be made from nothing",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_declared_wrongly_is_said(what):
    attributes, words = BROKEN[what]
    law = type("Broken", (Sound,), attributes)
    with pytest.raises(ModelError, match="breaks the contract") as error:
        check_law(law)
    assert words in str(error.value)


def broken_by(method):
    """Return a law with another curve."""
    return type("Broken", (Sound,), {"normalised_accuracy": method})


CURVES = {
    "not at the centroid": (
        lambda self, p, x, c, xp: xp.exp(
            -2 * p["neg_log_q"] * xp.exp(-p["steepness"] * x["flops"])
        ),
        "at the centroid the curve is 0.2466, but exp(-neg_log_q) is 0.4966",
    ),
    "an input that it does not declare": (
        lambda self, p, x, c, xp: xp.exp(-p["neg_log_q"] - p["steepness"] * x["tokens"]),
        "reads x['tokens'], but there is only: flops",
    ),
    "a parameter that it does not declare": (
        lambda self, p, x, c, xp: xp.exp(-p["neg_log_q"] * xp.exp(-p["slope"] * x["flops"])),
        "reads p['slope'], but there is only: neg_log_q, steepness",
    ),
    "the accuracy in place of −log Q'": (
        lambda self, p, x, c, xp: p["level"] + p["steepness"] * x["flops"],
        "reads p['level']",
    ),
    "NumPy where PyTensor comes": (
        lambda self, p, x, c, xp: (
            np.exp(-p["neg_log_q"] * np.maximum(np.exp(-p["steepness"] * x["flops"]), 1e-9))
            if xp is np
            else xp.exp(-p["neg_log_q"] * xp.exp(-2 * p["steepness"] * x["flops"]))
        ),
        "differs between NumPy and PyTensor",
    ),
    "a truth value of a tensor": (
        lambda self, p, x, c, xp: (
            xp.exp(-p["neg_log_q"] * xp.exp(-p["steepness"] * x["flops"]))
            if (p["neg_log_q"] > 0).all()
            else p["neg_log_q"]
        ),
        "with PyTensor, the law fails: TypeError",
    ),
    "a mean over all draws": (
        lambda self, p, x, c, xp: xp.exp(
            -p["neg_log_q"].mean() * xp.exp(-p["steepness"].mean() * x["flops"])
        ),
        "returns dimensions (place) for (chain, draw, place)",
    ),
    "a parameter that does nothing": (
        lambda self, p, x, c, xp: xp.exp(-p["neg_log_q"] * xp.exp(-0.2 * x["flops"])),
        "parameter 'steepness' changes nothing",
    ),
    "not finite": (
        lambda self, p, x, c, xp: xp.exp(-p["neg_log_q"]) + xp.log(x["flops"] + p["steepness"]),
        "is not finite everywhere within the fitted range",
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("what", CURVES)
def test_what_is_computed_wrongly_is_said(what):
    method, words = CURVES[what]
    with pytest.raises(ModelError, match="law 'sound' breaks the contract") as error:
        check_law(broken_by(method))
    assert words in str(error.value)


def with_bound(upper, start=0.1, last=True):
    ceiling = Parameter("E", "irreducible part", "nats", start, upper=upper)
    order = (*Sound.parameters, ceiling) if last else (ceiling, *Sound.parameters)

    def curve(self, p, x, c, xp):
        above = (p["neg_log_q"] - p["E"]) * xp.exp(-p["steepness"] * x["flops"])
        return xp.exp(-above - p["E"])

    return type("Bounded", (Sound,), {"parameters": order, "normalised_accuracy": curve})


@pytest.mark.parametrize(
    ("law", "words"),
    [
        (
            with_bound(lambda p, xp: p["steepness"], last=False),
            "the upper bound of 'E' reads p['steepness'], but there is only: neg_log_q",
        ),
        (with_bound(lambda p, xp: 0.05 * p["neg_log_q"]), "'E' starts at 0.1, above its upper"),
        (with_bound(lambda p, xp: p["neg_log_q"], start=0.0), "'E' starts at 0; its lower bound"),
    ],
)
def test_bounds_read_what_comes_before_and_leave_room(law, words):
    with pytest.raises(ModelError) as error:
        check_law(law)
    assert words in str(error.value)
