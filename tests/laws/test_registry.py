"""The registry of laws: shipped ones are the folder, others are added from anywhere."""

import pytest

from bayes_scaling.errors import ModelError
from bayes_scaling.laws import as_law, available_laws, get_law, register_law, registry
from bayes_scaling.laws._probe import fingerprint


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


def steep(name="steep", factor=2.0):
    class Steep(type(get_law("power_law"))):
        def normalised_accuracy(self, p, x, c, xp):
            return xp.exp(-p["neg_log_q"] * xp.exp(-factor * p["exponent"] * x["flops"]))

    Steep.name = name
    return Steep


def test_a_registered_law_is_found_by_name():
    law = register_law(steep())
    assert get_law("steep") is law
    assert "steep" in available_laws()


def test_a_law_may_be_registered_again_as_a_notebook_cell_does():
    register_law(steep(factor=2.0))
    again = register_law(steep(factor=3.0))
    assert get_law("steep") is again


def test_the_name_of_a_shipped_law_is_taken():
    with pytest.raises(ModelError, match="'power_law' is a law of the package"):
        register_law(steep("power_law"))


def test_a_decorated_class_is_registered():
    @register_law
    class Renamed(type(get_law("power_law"))):
        name = "renamed"

    assert get_law("renamed") is Renamed


@pytest.mark.parametrize("thing", [3, object(), dict])
def test_what_is_no_law_is_refused(thing):
    with pytest.raises(ModelError, match="is not a law; subclass"):
        as_law(thing)


def test_a_law_that_lacks_a_method_is_refused_by_its_name():
    from bayes_scaling import ScalingLaw

    class Half(ScalingLaw):
        name = "half"

        def normalised_accuracy(self, p, x, c, xp):
            return xp.exp(-p["neg_log_q"])

    with pytest.raises(ModelError, match="Half lacks textbook"):
        as_law(Half)


def test_a_fingerprint_is_of_what_a_law_computes():
    assert fingerprint(steep()()) == fingerprint(steep()())
    assert fingerprint(steep(factor=2.0)()) != fingerprint(steep(factor=2.001)())
    prints = [fingerprint(get_law(name)) for name in available_laws()]
    assert len(set(prints)) == len(prints)


def test_laws_are_equal_where_class_and_settings_are():
    one, other = (get_law("power_law").__class__() for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    other.knots = 3
    assert one != other
