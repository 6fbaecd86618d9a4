"""Machine code on disk: read again for the same graph only, and the same to the last bit."""

import os
import subprocess
import sys

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from numba.core.ccallback import CFunc
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.scalar.basic import Composite, float64
from pytensor.tensor.elemwise import Elemwise

from bayes_scaling.inference import machine_code
from bayes_scaling.inference.machine_code import compile_density

POINT = pt.TensorType("float64", shape=(2,))("point")
INPUTS = (POINT, pt.dvector("values"), pt.lvector("layout"))


def bowl(depth=1.0, power=2):
    """Return a graph of a density with a constant and an operation to be told apart by."""
    return -depth * pt.sum(POINT**power) - INPUTS[1][0]


def compiled(density):
    return compile_density(INPUTS, density, lambda: pt.grad(density, POINT))


@pytest.fixture
def compilations(monkeypatch):
    """Return a list that grows by each graph that is compiled and not read from disk."""
    done, original = [], machine_code._compile

    def compile_(inputs, outputs):
        done.append(outputs)
        return original(inputs, outputs)

    monkeypatch.setattr(machine_code, "_compile", compile_)
    return done


def test_a_graph_is_compiled_once_for_all(compilations):
    depth = float(np.random.default_rng().normal())  # that no run before this one has left
    first, again = compiled(bowl(depth)), compiled(bowl(depth))
    assert isinstance(first, CFunc)
    assert (first.cache_hits, again.cache_hits) == (0, 1)
    assert len(compilations) == 1


def test_without_pytensors_cache_nothing_is_kept(compilations):
    with pytensor.config.change_flags(numba__cache=False):
        compiled(bowl())
        compiled(bowl())
    assert len(compilations) == 2


@pytest.mark.parametrize(
    "other",
    [
        bowl(depth=np.nextafter(1.0, 2.0)),
        bowl(power=3),
        -pt.sum(POINT**2) + INPUTS[1][0],
        -pt.sum(POINT**2) - INPUTS[1][1],
        -pt.sum(POINT**2) - INPUTS[2][0],
        -pt.logaddexp(POINT[0], POINT[1]),
    ],
)
def test_graphs_that_differ_have_keys_that_differ(other):
    key = machine_code._key
    assert key(INPUTS, bowl()) == key(INPUTS, bowl())
    assert key(INPUTS, other) != key(INPUTS, bowl())


def test_inner_graphs_count():
    """log(e^x + e^y) is one operation with a graph of its own."""
    density = -pt.logaddexp(POINT[0], POINT[1])
    lines = list(machine_code._describe(INPUTS, [density]))
    assert any("exp" in line.lower() and "Elemwise" in line for line in lines)


@pytest.mark.parametrize("package", machine_code._TRANSLATORS)
def test_another_version_of_a_translator_compiles_anew(package, monkeypatch):
    versions = dict.fromkeys(machine_code._TRANSLATORS, "1")
    monkeypatch.setattr(machine_code, "version", versions.get)
    before = machine_code._key(INPUTS, bowl())
    versions[package] = "2"
    assert machine_code._key(INPUTS, bowl()) != before


class Secretive(Op):
    """An operation that does not say what it is made from."""

    def __init__(self, factor):
        self.factor = factor

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = self.factor * inputs[0]


def fused():
    """Return an operation that is a whole graph, of which its name shows a part only."""
    x = float64("x")
    return Elemwise(Composite([x], [(x + 1.0) * x]))


@pytest.mark.parametrize("op", [Secretive(2.0), fused()])
def test_what_cannot_be_told_apart_is_not_kept(op):
    assert machine_code._key(INPUTS, pt.sum(op(POINT))) is None


SCRIPT = """
from bayes_scaling.inference import machine_code
from bayes_scaling.modelling.model import load_model
from bayes_scaling.datasets import load_dataset
from bayes_scaling.inference.program import compile_program

runs = load_dataset("krajewski2025", mixture="dclm").select(
    benchmark="arc_easy", metric="acc_norm", tokens_per_param=20
)
model = load_model("two_stage_linear").on(runs)
compiled, original = [], machine_code._compile
machine_code._compile = lambda *graph: compiled.append(graph) or original(*graph)
bound = compile_program(model.pymc).bind(model.data(), model.starts())
value, slopes = bound.log_density(bound.start)
print(len(compiled), value.hex(), slopes.tobytes().hex())
"""


@pytest.mark.slow
def test_a_new_process_reads_what_another_has_compiled(tmp_path):
    """Its numbers are those of fresh code to the last bit, so that a seed gives the same draws."""
    flags = f"{os.environ.get('PYTENSOR_FLAGS', '')},base_compiledir={tmp_path}".lstrip(",")
    found = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SCRIPT],
            env={**os.environ, "PYTENSOR_FLAGS": flags},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert [compiled for compiled, *_ in found] == ["1", "0"]
    assert found[0][1:] == found[1][1:]
