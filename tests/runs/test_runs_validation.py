"""Every way in which a table of runs can be wrong, and the words for it."""

import warnings

import numpy as np
import pandas as pd
import pytest
from tables import ladder

from bayes_scaling.errors import RunsError, RunsWarning
from bayes_scaling.runs import Runs
from bayes_scaling.runs.validation import examine


def second(column, value):
    """Return the ladder with one cell of its second row changed."""
    table = ladder()
    table[column] = table[column].astype(object) if column in table else None
    table.loc[1, column] = value
    return table


def samples(**columns):
    """Return pass@k of one run, one row a k."""
    return ladder(run="a", params=1e8, tokens=2e9, metric="pass@k", **columns)


ERRORS = {
    "no run": (ladder().drop(columns="run"), "column 'run': is missing from the table; give each"),
    "no benchmark": (ladder().drop(columns="benchmark"), "column 'benchmark': is missing"),
    "no metric": (
        ladder().drop(columns="metric"),
        "column 'metric': is missing from the table; name",
    ),
    "no score": (
        ladder().drop(columns="score"),
        "column 'score': is missing from the table; give it",
    ),
    "no budget": (
        ladder().drop(columns="tokens"),
        "column 'flops': is missing from the table; give",
    ),
    "no chance": (
        ladder().drop(columns="chance"),
        "row 0, column 'chance': is unknown for arc_easy;",
    ),
    "no rows": (ladder().iloc[:0], "the table has no rows"),
    "column twice": (
        pd.concat([ladder(), ladder()[["score"]]], axis=1),
        "column 'score': the table has it twice; keep one",
    ),
    "empty run": (second("run", None), "row 1, column 'run': is empty; every row needs it"),
    "blank benchmark": (second("benchmark", "  "), "row 1, column 'benchmark': is empty"),
    "unprintable": (second("run", "a\nb"), r"row 1, column 'run': 'a\nb' holds characters"),
    "score NaN": (second("score", np.nan), "row 1, column 'score': is empty; give it or leave"),
    "score infinite": (second("score", np.inf), "row 1, column 'score': is infinite"),
    "score text": (second("score", "53%"), "row 1, column 'score': '53%' is not a number; give a"),
    "score bool": (second("score", True), "row 1, column 'score': True is not a number"),
    "score complex": (second("score", 1j), "row 1, column 'score': 1j is not a number"),
    "score above 1": (
        second("score", 1.2),
        "row 1, column 'score': 1.2 is not in [0, 1]; give the",
    ),
    "score below 0": (second("score", -0.1), "row 1, column 'score': -0.1 is not in [0, 1]"),
    "score in percent": (
        ladder(score=[31.0, 40.2, 53.1, 60.0]),
        "row 0, column 'score': 31 is not in [0, 1]; it looks like percent, divide by 100 "
        "(also rows 1, 2, 3)",
    ),
    "flops zero": (ladder(flops=[1e18, 0, 1e19, 1e20]), "row 1, column 'flops': 0 is not positive"),
    "flops overflown": (
        ladder(flops=[1e18, -4e18, 1e19, 1e20]),
        "row 1, column 'flops': -4e+18 is not positive; 6·N·D overflows int64",
    ),
    "flops NaN": (second("tokens", None), "row 1, column 'flops': is empty; give it, or params"),
    "params negative": (second("params", -1e8), "row 1, column 'params': -1e+08 is not positive"),
    "tokens zero": (second("tokens", 0), "row 1, column 'tokens': 0 is not positive"),
    "tokens infinite": (second("tokens", "inf"), "row 1, column 'tokens': is infinite"),
    "params text": (
        second("params", "1.3 billion"),
        "'1.3 billion' is not a number; give a number",
    ),
    "params huge": (second("params", 10**400), "row 1, column 'params': a whole number too large"),
    "budget too large": (
        ladder(params=1e200, tokens=1e200, tokens_per_param=1),
        "row 0, column 'flops': comes out as inf; check params and tokens",
    ),
    "n_items zero": (second("n_items", 0), "row 1, column 'n_items': 0 is not 1, 2, 3, ...; leave"),
    "n_items broken": (second("n_items", 10.5), "row 1, column 'n_items': 10.5 is not 1, 2, 3"),
    "n_correct broken": (
        ladder(n_items=10, n_correct=[3, 4.5, 5, 6]),
        "row 1, column 'n_correct': 4.5 is not 0, 1, 2, ...",
    ),
    "n_correct above n_items": (
        ladder(n_items=[10, 4, 10, 10], n_correct=[3, 10, 5, 6]),
        "row 1, column 'n_correct': 10 is more than n_items 4; are they swapped?",
    ),
    "n_correct without n_items": (
        second("n_correct", 3),
        "row 1, column 'n_correct': is given, but n_items is empty",
    ),
    "score against counts": (
        ladder(n_items=10, n_correct=[3, 5, 5, 6]),
        "row 1, column 'score': 0.4 contradicts n_correct / n_items = 0.5",
    ),
    "chance 1": (ladder(chance=1.0), "row 0, column 'chance': 1 is not in [0, 1); give 1/choices"),
    "chance negative": (second("chance", -0.1), "row 1, column 'chance': -0.1 is not in [0, 1)"),
    "k missing": (ladder(metric="pass@k"), "row 0, column 'k': is empty; metric pass@k needs k"),
    "k broken": (ladder(metric="pass@k", k=1.5), "row 0, column 'k': 1.5 is not 1, 2, 3, ..."),
    "k zero": (ladder(metric="pass@k", k=0), "row 0, column 'k': 0 is not 1, 2, 3, ..."),
    "pass@0": (ladder(metric="pass@0"), "row 0, column 'k': "),
    "k twice": (
        ladder(metric="pass@16", k=8),
        "column 'k': 8 contradicts metric pass@16; keep one",
    ),
    "k of another metric": (ladder(k=1), "column 'k': 1 given for metric acc; leave it empty"),
    "loss zero": (
        ladder(loss_c4=0.0),
        "row 0, column 'loss_c4': 0 is not positive; leave it empty",
    ),
    "loss infinite": (ladder(loss_c4=np.inf), "row 0, column 'loss_c4': is infinite"),
    "loss name": (ladder(**{"loss_a/b": 1.0}), "column 'loss_a/b': files cannot hold this name"),
    "task loss": (second("task_loss", -1), "row 1, column 'task_loss': -1 is not positive"),
    "stderr": (second("stderr", -0.1), "row 1, column 'stderr': -0.1 is negative"),
    "duplicate": (
        ladder(run=["a", "b", "a", "d"], params=1e8, tokens=2e9),
        "row 0, column 'run': run a has arc_easy acc 2 times; keep one (also row 2)",
    ),
    "duplicate pass@k": (
        ladder(run=["a", "b", "a", "d"], params=1e8, tokens=2e9, metric="pass@8"),
        "row 0, column 'run': run a has arc_easy pass@8 2 times; keep one",
    ),
    "one name, two budgets": (
        ladder(run=["a", "b", "a", "d"], benchmark=["x", "x", "y", "y"]),
        "row 2, column 'params': run a has 1e+08 and 4e+08; give each run or checkpoint its own",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    table, message = ERRORS[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RunsWarning)
        with pytest.raises(RunsError) as raised:
            Runs.from_frame(table, source="my table")
    text = str(raised.value)
    assert text.startswith("my table: ")
    assert message in text


@pytest.mark.parametrize("case", [case for case in ERRORS if case not in {"no rows"}])
def test_one_fault_is_reported_once(case):
    """A fault must not drag a second complaint about the same cell behind it."""
    table, _ = ERRORS[case]
    places = [(p.column, row) for p in examine(table).errors for row in p.rows]
    assert len(places) == len(set(places))


def test_all_problems_are_listed_at_once():
    table = ladder(score=[0.3, 1.2, 0.5, np.nan], params=["1e8", "many", "4e8", "-8e8"])
    with pytest.raises(RunsError) as raised:
        Runs.from_frame(table)
    lines = str(raised.value).splitlines()
    assert lines[0] == "table: 4 problems"
    assert len(lines) == 5
    assert all("row" in line and "column" in line for line in lines[1:])


def test_a_hundred_bad_rows_are_one_line():
    table = pd.DataFrame(
        {"run": [f"r{i}" for i in range(100)], "flops": 1e18, "benchmark": "b", "metric": "acc",
         "score": 53.1, "chance": 0.25}
    )  # fmt: skip
    with pytest.raises(RunsError) as raised:
        Runs.from_frame(table)
    assert str(raised.value) == (
        "table: row 0, column 'score': 53.1 is not in [0, 1]; it looks like percent, divide by 100 "
        "(also rows 1, 2, 3 and 96 more)"
    )


def test_rows_are_named_by_the_index():
    table = second("score", 2.0).set_index(pd.Index(["w", "x", "y", "z"]))
    with pytest.raises(RunsError, match="row x, column 'score'"):
        Runs.from_frame(table)


WARNINGS = {
    "flops off": (
        ladder(flops=[1.2e18, 4.8e18, 1.92e19, 7.68e18]),
        "row 3, column 'flops': 7.68e+18 is 0.1 times 6·params·tokens",
    ),
    "ratio off": (ladder(tokens_per_param=40), "40 is 2 times tokens / params; check which"),
    "below chance": (
        ladder(score=[0.2, 0.24, 0.5, 0.6]),
        "row 0, column 'score': 2 of 4 scores of arc_easy acc are below chance 0.25 (lowest 0.2);",
    ),
    "score 0": (
        ladder(score=[0, 0, 0.1, 0.2], chance=0),
        "2 of 4 scores of arc_easy acc are exactly 0; fits on the log scale",
    ),
    "score 1": (ladder(score=[0.4, 0.5, 0.6, 1]), "1 of 4 scores of arc_easy acc are exactly 1"),
    "pass@k falls": (
        samples(k=[4, 1, 2, 8], score=[0.2, 0.1, 0.3, 0.4]),
        "row 0, column 'score': pass@k of arc_easy a falls from 0.3 (k=2) to 0.2 (k=4)",
    ),
    "one sample": (
        samples(k=[1, 2, 4, 8], score=[0, 1, 1, 1]),
        "row 1, column 'score': arc_easy a has pass@1 0 but 1 at every larger k",
    ),
    "stderr off": (
        # 0.3 of 1000 items has a standard error of 0.0145; 0.046 is that of 100.
        ladder(score=[0.3, 0.4, 0.5, 0.6], n_items=1000, stderr=[0.046, 0.0155, 0.0158, 0.0155]),
        "row 0, column 'stderr': 0.046 is the error of about 100 items, not of n_items 1000",
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_warnings(case):
    table, message = WARNINGS[case]
    with pytest.warns(RunsWarning) as caught:
        runs = Runs.from_frame(table, source="my table")
    assert any(message in str(w.message) for w in caught)
    assert all(str(w.message).startswith("my table: ") for w in caught)
    assert len(runs) == len(table)


def test_sound_tables_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Runs.from_frame(ladder())
        Runs.from_frame(ladder(n_items=2376, stderr=[0.0094, 0.01005, 0.01026, 0.01005]))
        Runs.from_frame(samples(k=[1, 2, 4, 8]))


def test_selections_do_not_warn_again():
    with pytest.warns(RunsWarning):
        runs = Runs.from_frame(ladder(score=[0.2, 0.3, 0.4, 0.5]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Runs.concat([runs.below(5e18), runs.above(5e18)]).select(benchmark="arc_easy")


# --- files ------------------------------------------------------------------------------------


def write(tmp_path, text):
    path = tmp_path / "runs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


HEADER = "run,flops,benchmark,metric,score,chance\n"
FILES = {
    "absent": (None, "cannot be read: No such file"),
    "empty": ("", "is empty; the first line should name the columns"),
    "blank": ("\n\n", "is empty"),
    "header only": (HEADER, "the table has no rows"),
    "not text": (b"\xff\xfe\x00\x01", "is not UTF-8 text"),
    "too many cells": (HEADER + "a,1e18,b,acc,0.5,0.25,1\n", "6 columns, but row 2 has 7 cells"),
    "too few cells": (HEADER + "\na,1e18,b\n", "6 columns, but row 3 has 3 cells"),
    "open quote": (HEADER + 'a,1e18,"b,acc,0.5,0.25\n', "is not CSV"),
    "line numbers": (HEADER + "\na,1e18,b,acc,5,0.25\n", "row 3, column 'score': 5 is not in"),
    "zero byte": (HEADER + "a\0,1e18,b,acc,0.5,0.25\n", "row 2, column 'run'"),
}


@pytest.mark.parametrize("case", FILES)
def test_unreadable_files(case, tmp_path):
    text, message = FILES[case]
    path = tmp_path / "absent.csv" if text is None else write(tmp_path, text)
    with pytest.raises(RunsError) as raised:
        Runs.from_csv(path)
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(RunsError, match="cannot be read"):
        Runs.from_csv(tmp_path)


def test_byte_order_mark_and_windows_line_ends(tmp_path):
    text = HEADER + "a,1e18,b,acc,0.5,0.25\n"
    path = write(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert Runs.from_csv(path).table["run"].tolist() == ["a"]


@pytest.mark.parametrize(
    "variables",
    [{"score": (("a", "b"), np.zeros((2, 2)))}, {"run": ("a", ["x"]), "score": ("b", [0.1, 0.2])}],
)
def test_dataset_of_another_shape(variables):
    xr = pytest.importorskip("xarray")
    with pytest.raises(RunsError, match="one dimension 'row'"):
        Runs.from_xarray(xr.Dataset(variables))


def test_messages_are_one_printable_line():
    """Names come from files of strangers, and messages go to terminals."""
    table = ladder(run=["a", "b", "\x1b[31mred\r\n", "d"], score="\u2028" * 10_000)
    with pytest.raises(RunsError) as raised:
        Runs.from_frame(table)
    lines = str(raised.value).split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() and len(line) < 300 for line in lines)
