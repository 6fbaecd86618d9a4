"""Any table either loads and round-trips unchanged, or is refused in the package's own words."""

import contextlib
import io
import json
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_scaling._io.files import read_csv
from bayes_scaling.datasets import (
    check_file,
    load_csv,
    load_krajewski_csv,
    load_lm_eval,
    load_olmo_ladder,
)
from bayes_scaling.errors import RunsError, RunsWarning
from bayes_scaling.runs import Runs
from bayes_scaling.runs.quantities import parse_quantity

pytestmark = pytest.mark.filterwarnings("ignore::bayes_scaling.errors.RunsWarning")

NAMES = st.sampled_from(["a", "b", "run 1", "arc_easy", "nan", 'é, "quoted"', "x;y", "1.0"])
POSITIVE = st.floats(1e-3, 1e30)
SOUND = {
    "run": st.uuids().map(str),
    "mixture": NAMES,
    "params": POSITIVE,
    "tokens": POSITIVE,
    "benchmark": NAMES,
    "metric": st.sampled_from(["acc", "acc_norm", "exact_match", "pass@1", "pass@16"]),
    "score": st.floats(0, 1),
    "chance": st.floats(0, 1, exclude_max=True),
    "n_items": st.none() | st.integers(1, 10**6),
    "task_loss": st.none() | POSITIVE,
    "loss_c4": st.none() | POSITIVE,
}
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=8),
    st.sampled_from(["1.3B", "350e9", "-10T", "53%", "1e999", "0", "inf", "NaN", "pass@16", "acc"]),
    st.decimals(allow_nan=False),
    st.dates(),
    st.lists(st.integers(), max_size=2),
    st.just(pd.NA),
    st.just(pd.NaT),
    st.just(10**400),
)
COLUMN_NAMES = st.sampled_from(
    [*SOUND, "flops", "tokens_per_param", "k", "n_correct", "stderr", "loss_x/y", "colour", "mult"]
)


@st.composite
def sound_tables(draw):
    """Draw a table that the rules of `Runs.from_frame` allow."""
    rows = draw(st.lists(st.fixed_dictionaries(SOUND), min_size=1, max_size=4))
    return pd.DataFrame(rows)


@st.composite
def spoiled_tables(draw):
    """Draw a sound table, then change cells, columns, types or rows in any way."""
    table = draw(sound_tables()).astype(object)
    for _ in range(draw(st.integers(0, 3))):
        column = draw(COLUMN_NAMES)
        if column not in table:
            table[column] = None
        cells = list(table[column])
        cells[draw(st.integers(0, len(table) - 1))] = draw(ANYTHING)
        table[column] = pd.Series(cells, index=table.index, dtype=object)
    if draw(st.booleans()):
        table = table.drop(columns=draw(st.sampled_from(list(table.columns))))
    if draw(st.booleans()):
        table = table.infer_objects()
    if draw(st.booleans()):
        table = pd.concat([table, table.iloc[: draw(st.integers(0, len(table)))]])
    return table


def refused_in_own_words(error):
    """Tell whether an error can be printed, and lists as many problems as it says."""
    lines = str(error).splitlines()
    is_printable = all(line.isprintable() for line in str(error).split("\n"))
    return is_printable and (len(lines) == 1 or lines[0].endswith(f": {len(lines) - 1} problems"))


def assert_round_trips(runs):
    """Read the runs back from what they are stored as: text and arrays."""
    text = io.StringIO()
    runs.to_csv(text)
    frame = pd.read_csv(io.StringIO(text.getvalue()), dtype=str, keep_default_na=False)
    assert Runs.from_frame(frame) == runs
    assert Runs.from_xarray(runs.to_xarray()) == runs


def assert_sound(runs):
    table = runs.table
    assert table["score"].between(0, 1).all()
    assert table["chance"].between(0, 1, inclusive="left").all()
    assert np.isfinite(table["flops"]).all()
    assert (table["flops"] > 0).all()
    assert not table.duplicated(["run", "mixture", "benchmark", "metric", "k"]).any()


def check_table(table):
    before = table.copy()
    try:
        runs = Runs.from_frame(table)
    except RunsError as error:
        runs = None
        refused = refused_in_own_words(error)
    pd.testing.assert_frame_equal(table, before)
    if runs is None:
        assert refused
    else:
        assert_sound(runs)
        assert_round_trips(runs)


def fuzz(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@fuzz(60)
@given(sound_tables())
def test_sound_tables_load_and_round_trip(table):
    runs = Runs.from_frame(table)
    assert len(runs) == len(table)
    assert Runs.from_frame(runs.to_frame()) == runs
    assert Runs.concat([part for _, part in runs.series()]) == runs
    assert_round_trips(runs)


@fuzz(150)
@given(spoiled_tables())
def test_any_table_loads_or_is_refused(table):
    check_table(table)


@pytest.mark.slow
@fuzz(1_000)
@given(spoiled_tables())
def test_a_thousand_tables(table):
    check_table(table)


# --- files ------------------------------------------------------------------------------------

CSV_TEXT = st.one_of(
    st.binary(max_size=80),
    st.text(st.sampled_from('a,1."\n\r\0é;'), max_size=60).map(str.encode),
    spoiled_tables().map(lambda table: table.to_csv(index=False).encode("utf-8", "replace")),
)
TABLE_LOADERS = [
    Runs.from_csv,
    load_csv,
    load_krajewski_csv,
    load_olmo_ladder,
    lambda path: load_csv(path, columns={"run": "benchmark"}, metric="acc", chance=0.1),
]


def loads_or_refuses(load, *arguments):
    try:
        runs = load(*arguments)
    except RunsError as error:
        return refused_in_own_words(error)
    assert_sound(runs)
    return True


def check_csv(content, folder):
    path = folder / "runs.csv"
    path.write_bytes(content)
    for load in TABLE_LOADERS:
        assert loads_or_refuses(load, path)
    found = check_file(path)
    assert (found.runs is None) == bool(found.errors)
    assert str(found).startswith(str(path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),  # noqa: E501
    max_leaves=8,
)  # fmt: skip
METRICS = st.dictionaries(
    st.sampled_from(["acc,none", "acc_stderr,none", "pass@1,x", "exact_match,y", "alias"]),
    JSON,
)  # fmt: skip
RESULTS = st.fixed_dictionaries(
    {"results": st.dictionaries(st.sampled_from(["sciq", "mmlu", "new", ""]), METRICS | JSON)},
    optional={
        "n-samples": st.dictionaries(st.sampled_from(["sciq", "mmlu"]), JSON) | JSON,
        "configs": st.dictionaries(st.just("new"), st.dictionaries(st.just("doc_to_choice"), JSON)) | JSON,  # noqa: E501
        "group_subtasks": st.dictionaries(st.just("mmlu"), JSON) | JSON,
        "config": JSON,
        "model_name": JSON,
    },
)  # fmt: skip


def check_json(content, folder):
    path = folder / "results.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    runs = pd.DataFrame({"run": ["results"], "params": ["1B"], "tokens": ["20B"]})
    assert loads_or_refuses(load_lm_eval, path, runs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@fuzz(60)
@given(content=CSV_TEXT)
def test_any_csv_file(content, folder):
    check_csv(content, folder)


@fuzz(100)
@given(content=RESULTS | JSON)
def test_any_json_file(content, folder):
    check_json(content, folder)


@pytest.mark.slow
@fuzz(500)
@given(content=CSV_TEXT)
def test_many_csv_files(content, folder):
    check_csv(content, folder)


@pytest.mark.slow
@fuzz(1_500)
@given(content=RESULTS | JSON)
def test_many_json_files(content, folder):
    check_json(content, folder)


@fuzz(200)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_their_text(value):
    assert parse_quantity(repr(value)) == value


@fuzz(300)
@given(ANYTHING)
def test_quantities_are_numbers_or_refused(value):
    with contextlib.suppress(ValueError):
        assert isinstance(parse_quantity(value), float)


@fuzz(100)
@given(rows=st.lists(st.lists(st.text(max_size=4), min_size=2, max_size=2), min_size=1, max_size=4))
def test_csv_cells_come_back(rows, folder):
    """Against pandas as the writer: every cell comes back, blank lines aside."""
    table = pd.DataFrame(rows, columns=["one", "two"])
    try:
        table.to_csv(folder / "cells.csv", index=False, quoting=1)
    except UnicodeEncodeError:
        return
    back = read_csv(folder / "cells.csv")
    kept = table[[bool((one + two).strip()) for one, two in rows]]
    assert back.to_numpy().tolist() == kept.to_numpy().tolist()


def test_signaling_nan_is_refused():
    table = pd.DataFrame([{"run": "a", "flops": 1e18, "benchmark": "b", "metric": "acc"}])
    for column in ("score", "run"):
        with pytest.raises(RunsError):
            Runs.from_frame(table.assign(**{column: [Decimal("sNaN")]}))


def test_warnings_are_the_package_s_own():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", RunsWarning)
        table = pd.DataFrame(
            {"run": ["a", "b"], "params": [1e-300, 1e300], "tokens": [1e-300, 1e300],
             "benchmark": "x", "metric": "acc", "score": [np.inf, np.nan], "chance": 0.5,
             "n_items": [0, np.nan], "stderr": 0.0}
        )  # fmt: skip
        with pytest.raises(RunsError):
            Runs.from_frame(table)
