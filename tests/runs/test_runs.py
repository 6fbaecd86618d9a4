"""Runs: selections, round trips, and what makes it a value."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from tables import ladder

from bayes_scaling.datasets import load_dataset
from bayes_scaling.errors import RunsError
from bayes_scaling.runs import Runs, SeriesKey

TEXTS = ["run", "training", "mixture", "benchmark", "metric"]
COLUMNS = [
    *("run", "training", "mixture", "params", "tokens", "flops", "tokens_per_param"),
    *("benchmark", "metric"),
    *("k", "score", "n_items", "chance", "task_loss"),
]


@pytest.fixture
def runs():
    return Runs.from_frame(ladder())


@pytest.fixture(scope="module")
def real():
    return load_dataset("krajewski2025")


def test_columns_and_types(runs):
    assert list(runs.table.columns) == COLUMNS
    assert (runs.table.drop(columns=TEXTS).dtypes == np.float64).all()
    assert all(isinstance(value, str) for value in runs.table[TEXTS].to_numpy().ravel())


def test_a_run_is_a_training_of_its_own_unless_it_names_one():
    table = ladder(run=list("abcd"))
    runs = Runs.from_frame(table)
    assert runs.table["training"].tolist() == runs.table["run"].tolist()
    assert not runs.has_checkpoints()
    named = Runs.from_frame(table.assign(training=["one", "one", "", "two"]))
    assert sorted(named.table["training"]) == ["c", "one", "one", "two"]
    assert named.has_checkpoints()


def test_a_run_of_two_trainings_is_refused():
    table = ladder(run=list("abcd")).assign(training=["one", "two", "three", "four"])
    both = pd.concat([table, table.assign(benchmark="other", training="five")])
    with pytest.raises(RunsError, match=r"column 'training': run a belongs to one and five"):
        Runs.from_frame(both.reset_index(drop=True))


def test_flops_and_ratio_are_computed_where_absent(runs):
    assert runs.table["flops"].tolist() == [
        6 * 1e8 * 2e9,
        6 * 2e8 * 4e9,
        6 * 4e8 * 8e9,
        6 * 8e8 * 16e9,
    ]
    assert runs.table["tokens_per_param"].tolist() == [20.0] * 4


def test_flops_do_not_overflow_int64():
    params, tokens = 70_000_000_000, 15_000_000_000_000
    table = ladder(params=params, tokens=tokens, run=list("abcd"))
    assert table["params"].dtype == np.int64
    flops = Runs.from_frame(table).table["flops"]
    # Python's whole numbers do not overflow; the budget is far beyond 2^63.
    assert flops.tolist() == [float(6 * params * tokens)] * 4
    assert 6 * params * tokens > 2**63


def test_tokens_from_params_and_ratio():
    table = ladder(tokens_per_param=[10, 20, 40, 80]).drop(columns="tokens")
    assert Runs.from_frame(table).table["tokens"].tolist() == [1e9, 4e9, 16e9, 64e9]


def test_flops_alone_are_enough():
    table = ladder(flops=[1e18, 1e19, 1e20, 1e21]).drop(columns=["params", "tokens"])
    runs = Runs.from_frame(table)
    assert runs.table["params"].isna().all()
    assert runs.below(1e19).table["run"].tolist() == ["a", "b"]


def test_given_flops_are_kept():
    flops = [1.3e18, 4.9e18, 2e19, 7.8e19]
    assert Runs.from_frame(ladder(flops=flops)).table["flops"].tolist() == flops


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.3B", 1.3e9), ("350e9", 3.5e11), ("10T", 1e13), ("190M", 1.9e8), ("7b", 7e9), ("5 K", 5e3)],
)
def test_units(text, value):
    runs = Runs.from_frame(ladder(params=text, flops=1e20, tokens=np.nan))
    assert set(runs.table["params"]) == {value}
    assert any("unit" in note for note in runs.notes) == (text[-1] != "9")


def test_mixture_has_a_readable_default(runs):
    assert runs.mixtures == ("unspecified",)


def test_rows_are_sorted_whatever_the_input_order(runs):
    assert Runs.from_frame(ladder().iloc[[2, 0, 3, 1]]) == runs


def test_score_from_counts_is_exact():
    table = ladder(n_correct=[1, 2, 3, 5], n_items=7, score=[0.14, 0.29, 0.43, 0.71])
    table["chance"] = 0.0
    assert Runs.from_frame(table).table["score"].tolist() == [1 / 7, 2 / 7, 3 / 7, 5 / 7]
    assert Runs.from_frame(table.drop(columns="score")).table["score"].tolist() == [
        1 / 7, 2 / 7, 3 / 7, 5 / 7,
    ]  # fmt: skip


@pytest.mark.parametrize("spelling", ["pass@16", "pass_at_16"])
def test_pass_at_k_in_the_metric(spelling):
    runs = Runs.from_frame(ladder(metric=spelling).drop(columns="chance"))
    assert runs.metrics == ("pass@k",)
    assert set(runs.table["k"]) == {16.0}
    assert set(runs.table["chance"]) == {0.0}
    assert any("chance: set to 0 in 4 rows" in note for note in runs.notes)


def test_unknown_columns_are_noted_not_kept():
    runs = Runs.from_frame(ladder(colour="red", val_loss=3.0))
    assert "colour" not in runs.table
    assert any("colour" in note for note in runs.notes)
    assert any("rename val_loss to loss_" in note for note in runs.notes)


def test_losses_are_kept_by_name():
    runs = Runs.from_frame(ladder(loss_dclm=[3.5, 3.2, 3.0, np.nan], loss_c4=3.0))
    assert runs.losses == ("loss_c4", "loss_dclm")
    assert runs.table["loss_dclm"].isna().sum() == 1


def test_table_is_a_copy(runs):
    for copied in (runs.table, runs.to_frame()):
        copied.loc[0, "score"] = 0.0
    assert runs.table.loc[0, "score"] == 0.3


def test_immutable(runs):
    with pytest.raises(AttributeError, match="immutable"):
        runs.notes = ()
    with pytest.raises(TypeError, match="from_frame"):
        Runs()


def test_input_is_left_alone():
    table = ladder(score=[0.3, 0.4, 0.5, 0.6])
    before = table.copy()
    Runs.from_frame(table)
    pd.testing.assert_frame_equal(table, before)


def test_equality_is_of_tables(runs):
    assert runs == Runs.from_frame(ladder())
    assert runs != Runs.from_frame(ladder(score=[0.3, 0.4, 0.5, 0.61]))
    assert runs != "runs"


def test_copies_and_pickles(runs):
    assert copy.deepcopy(runs) == runs
    assert pickle.loads(pickle.dumps(runs)) == runs


def test_repr_reads_well(real, runs):
    assert repr(runs) == (
        "Runs(4 runs, 4 scores of arc_easy; 1.2e+18 to 7.7e+19 FLOPs; mixture unspecified)"
    )
    assert "192 runs" in repr(real)
    assert "mixtures c4, dclm" in repr(real)
    assert repr(runs.above(1e30)) == "Runs(no rows)"


# --- selections -------------------------------------------------------------------------------


def test_select_by_value_and_by_list(real):
    one = real.select(benchmark="arc_easy", metric="acc", mixture="dclm")
    assert len(one) == 148
    assert one.benchmarks == ("arc_easy",)
    both = real.select(benchmark=["arc_easy", "sciq"], metric=["acc", "acc_norm"])
    assert len(both) == 2 * 2 * 192


def test_pass_at_1_is_short_for_k_1(real):
    short = real.select(benchmark="humaneval-py", metric="pass@1")
    assert short == real.select(benchmark="humaneval-py", metric="pass@k", k=1)
    assert len(short) == 148 + 27
    assert len(real.select(benchmark="humaneval-py", metric="pass@k")) == 8 * len(short)
    assert set(real.select(metric="pass@k", k=[1, 8]).table["k"]) == {1.0, 8.0}


def test_ratio_matches_within_ten_percent(runs):
    table = ladder(params=[1e8, 1e8, 1e8, 1e8], tokens=[1.81e9, 2.19e9, 2.3e9, 4e9])
    assert Runs.from_frame(table).select(tokens_per_param=20).table["run"].tolist() == ["a", "b"]


def test_select_names_what_there_is(real):
    with pytest.raises(RunsError, match=r"no row has benchmark arc_eazy\. Did you mean arc_easy\?"):
        real.select(benchmark="arc_eazy")
    with pytest.raises(RunsError, match=r"metric f1\. .*Available: acc, acc_norm"):
        real.select(benchmark="arc_easy", metric="f1")
    with pytest.raises(RunsError, match="Available: 10, 20, 40, 80, 160"):
        real.select(mixture="dclm", tokens_per_param=30)
    with pytest.raises(RunsError, match=r"no row has k 1\. Available: none"):
        real.select(benchmark="sciq", k=1)


def test_select_does_not_drop_a_value_in_silence(real):
    with pytest.raises(RunsError, match="no row has benchmark arc_hard"):
        real.select(benchmark=["arc_easy", "arc_hard"])
    lost = real.select(benchmark=["arc_easy", "gsm8k_cot_llama"], metric="acc")
    assert "select left no row of gsm8k_cot_llama" in lost.notes


def test_below_and_above_split_the_runs(real):
    low, high = real.below(6e21), real.above(6e21)
    assert low.table["flops"].max() <= 6e21 < high.table["flops"].min()
    assert len(low) + len(high) == len(real)
    edge = real.table["flops"].max()
    assert len(real.below(edge)) == len(real)
    assert len(real.above(edge)) == 0


def test_drop_near_chance():
    table = ladder(score=[0.29, 0.30, 0.31, 0.9], chance=0.25)
    kept = Runs.from_frame(table).drop_near_chance()
    assert kept.table["score"].tolist() == [0.31, 0.9]
    assert "left out 2 of 4 scores within 0.05 of chance or below" in kept.notes
    free = Runs.from_frame(ladder(score=[0.01, 0.02, 0.03, 0.04], chance=0.0))
    assert free.drop_near_chance() == free
    assert free.drop_near_chance().notes == free.notes


def test_series(real):
    series = dict(real.series())
    assert sum(len(part) for part in series.values()) == len(real)
    assert len(series[SeriesKey("humaneval-py", "pass@k", "dclm")]) == 148 * 8
    for part in series.values():
        part.require_one_series()
    assert str(SeriesKey("sciq", "acc", "c4")) == "sciq acc on c4"


def test_require_one_series_names_what_is_mixed(real, runs):
    with pytest.raises(RunsError, match=r"2 metrics are mixed \(acc, acc_norm\).*2 mixtures"):
        real.select(benchmark="sciq").require_one_series()
    with pytest.raises(RunsError, match=r"select\(benchmark='arc_challenge'\)"):
        real.require_one_series()
    with pytest.raises(RunsError, match="no rows"):
        runs.above(1e30).require_one_series()


def test_concat(real):
    parts = [real.select(mixture="c4"), real.select(mixture="dclm")]
    assert Runs.concat(parts) == Runs.concat(parts[::-1]) == real
    with pytest.raises(RunsError, match="arc_challenge acc 2 times"):
        Runs.concat([parts[0], parts[0]])
    with pytest.raises(RunsError, match="nothing to join"):
        Runs.concat([])


def test_concat_fills_losses_and_keeps_notes():
    a = Runs.from_frame(ladder(loss_c4=3.0, colour="red"))
    b = Runs.from_frame(ladder(benchmark="sciq", loss_c4=3.0, task_loss=1.0))
    c = Runs.from_frame(ladder(run=list("efgh"), loss_dclm=2.5))
    joined = Runs.concat([a, b, c])
    assert joined.losses == ("loss_c4", "loss_dclm")
    assert joined.table["loss_dclm"].isna().sum() == 8
    assert joined.notes == a.notes


# --- round trips ------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::bayes_scaling.errors.RunsWarning")
def test_csv_round_trip_is_exact(real, tmp_path):
    real.to_csv(tmp_path / "runs.csv")
    back = Runs.from_csv(tmp_path / "runs.csv")
    pd.testing.assert_frame_equal(back.table, real.table, check_exact=True)
    assert back == real


def test_csv_round_trip_of_awkward_names(tmp_path):
    names = ["nan", 'quote " and, comma', "NA", "1.0"]
    runs = Runs.from_frame(ladder(run=names, benchmark="null", mixture="日本語 é"))
    runs.to_csv(tmp_path / "runs.csv")
    assert Runs.from_csv(tmp_path / "runs.csv") == runs
    assert set(runs.table["run"]) == set(names)


def test_xarray_round_trip_is_exact(real):
    ds = real.to_xarray()
    assert dict(ds.sizes) == {"row": len(real)}
    assert list(ds.data_vars) == list(real.table.columns)
    with warnings.catch_warnings():  # what is suspicious was said when the table was first read
        warnings.simplefilter("error")
        assert Runs.from_xarray(ds) == real


def test_xarray_carries_the_notes(tmp_path):
    runs = Runs.from_frame(ladder(colour="red", val_loss=1.0))
    assert Runs.from_xarray(runs.to_xarray()).notes == runs.notes
    assert len(runs.notes) == 2


def test_netcdf_round_trip(real, tmp_path):
    xr = pytest.importorskip("xarray")
    part = real.select(benchmark="sciq")
    part.to_xarray().to_netcdf(tmp_path / "runs.nc")
    with xr.open_dataset(tmp_path / "runs.nc") as ds:
        assert Runs.from_xarray(ds) == part


@pytest.mark.filterwarnings("ignore::bayes_scaling.errors.RunsWarning")
def test_frame_round_trip(real):
    assert Runs.from_frame(real.to_frame()) == real
