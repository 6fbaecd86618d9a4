"""Loaders: each against figures that were read by other means, and against broken files."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tables import ladder

from bayes_scaling.datasets import (
    known_benchmarks,
    load_csv,
    load_dataset,
    load_gadre,
    load_krajewski_csv,
    load_olmo_ladder,
    load_parquet,
)
from bayes_scaling.errors import RunsError

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
pytestmark = pytest.mark.filterwarnings("ignore::bayes_scaling.errors.RunsWarning")


def shared(name):
    """Return a file of real figures, or skip."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs ../shared/data/{name}, which is no part of the project")
    return path


def write_csv(path, table):
    table.to_csv(path, index=False)
    return path


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


# --- known benchmarks -------------------------------------------------------------------------


def test_known_benchmarks_state_their_sources():
    table = known_benchmarks()
    assert (table["source"].str.len() > 10).all()
    assert not table.duplicated(["suite", "benchmark"]).any()
    assert table["chance"].between(0, 0.5).all()


def test_known_benchmarks_agree_with_the_embedded_figures():
    known = known_benchmarks().query("suite == 'harness'").set_index("benchmark")
    table = load_dataset().table
    for (name, chance), part in table.groupby(["benchmark", "chance"]):
        assert known.loc[name, "chance"] == chance
        assert (
            part["n_items"].dropna().unique().tolist()
            == known.loc[[name], "n_items"].dropna().tolist()
        )


def test_known_benchmarks_agree_with_gadre():
    known = known_benchmarks().query("suite == 'gadre2024'").set_index("benchmark").sort_index()
    tasks = pd.read_csv(shared("gadre2024_tasks.csv")).set_index("task").sort_index()
    assert known.index.tolist() == tasks.index.tolist()
    assert known["chance"].tolist() == tasks["chance"].tolist()
    given = known["n_items"].notna()
    assert known.loc[given, "n_items"].tolist() == tasks.loc[given, "n_items"].tolist()
    assert set(known.index[~given]) == {"bbq", "jeopardy", "mmlu", "mmlu_zeroshot"}


def test_known_benchmarks_agree_with_the_ladder():
    known = known_benchmarks().query("suite == 'olmo_ladder'").set_index("benchmark")
    items = pd.read_csv(shared("olmo_ladder.csv")).groupby("task")["n_items"].first()
    assert known["n_items"].sort_index().tolist() == items.sort_index().tolist()


# --- CSV and Parquet --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("load", "save"), [(load_csv, "to_csv"), (load_parquet, "to_parquet")], ids=["csv", "parquet"]
)
def test_columns_defaults_and_known_benchmarks(load, save, tmp_path):
    table = pd.DataFrame(
        {
            "model": ["a", "b"],
            "N": ["190M", "1.3B"],
            "D": ["3.8e9", "26B"],
            "task": "arc_easy",
            "accuracy": [913 / 2376, 1500 / 2376],
        }
    )
    path = tmp_path / f"runs.{save[3:]}"
    getattr(table, save)(path, index=False)
    names = {"model": "run", "N": "params", "D": "tokens", "task": "benchmark", "accuracy": "score"}
    runs = load(path, columns=names, metric="acc", mixture="mine")
    assert runs.table["params"].tolist() == [1.9e8, 1.3e9]
    assert runs.table["flops"].tolist() == [6 * 1.9e8 * 3.8e9, 6 * 1.3e9 * 26e9]
    assert runs.table["chance"].tolist() == [0.25, 0.25]
    assert runs.table["n_items"].tolist() == [2376, 2376]
    assert runs.mixtures == ("mine",)
    notes = " ".join(runs.notes)
    assert "params: converted 2 values with units" in notes
    assert "n_items: filled in 2 rows from data/benchmarks.csv (arc_easy)" in notes


def test_item_counts_that_do_not_fit_are_not_filled_in(tmp_path):
    path = write_csv(tmp_path / "runs.csv", ladder(score=[0.31005, 0.41007, 0.51003, 0.61001]))
    assert load_csv(path).table["n_items"].isna().all()


def test_given_values_win_over_known_ones(tmp_path):
    path = write_csv(tmp_path / "runs.csv", ladder(chance=[0.2, 0.2, None, None], n_items=500))
    table = load_csv(path).table
    assert table["chance"].tolist() == [0.2, 0.2, 0.25, 0.25]
    assert table["n_items"].tolist() == [500] * 4


def test_suites_that_disagree_leave_the_level_open(tmp_path):
    """commonsense_qa has five choices in one suite and is stated with four in another."""
    table = ladder(benchmark="commonsense_qa").drop(columns="chance")
    path = write_csv(tmp_path / "runs.csv", table)
    with pytest.raises(RunsError, match="chance': is unknown for commonsense_qa"):
        load_csv(path)
    assert set(load_csv(path, chance=0.2).table["chance"]) == {0.2}


def test_rows_of_a_file_are_named_by_its_lines(tmp_path):
    path = write_csv(tmp_path / "runs.csv", ladder(score=[0.3, 0.4, 1.5, 0.6]))
    assert path.read_text().splitlines()[3].startswith("c,")
    with pytest.raises(RunsError, match=r"runs\.csv: row 4, column 'score': 1\.5"):
        load_csv(path)


def test_wrong_maps_and_defaults(tmp_path):
    path = write_csv(tmp_path / "runs.csv", ladder())
    with pytest.raises(RunsError, match=r"has no column acc\. It has: run, params"):
        load_csv(path, columns={"acc": "score"})
    with pytest.raises(RunsError, match="runs have no column metrik"):
        load_csv(path, metrik="acc")
    with pytest.raises(RunsError, match="'score': the table has it twice"):
        load_csv(path, columns={"chance": "score"})


def test_broken_parquet(tmp_path):
    path = tmp_path / "runs.parquet"
    with pytest.raises(RunsError, match="cannot be read as Parquet"):
        load_parquet(path)
    path.write_bytes(b"PAR1 this is not a table PAR1")
    with pytest.raises(RunsError, match="cannot be read as Parquet"):
        load_parquet(path)


def test_csv_of_the_embedded_figures(tmp_path):
    real = load_dataset(mixture="dclm")
    real.to_csv(tmp_path / "runs.csv")
    assert load_csv(tmp_path / "runs.csv") == real


# --- lm-evaluation-harness --------------------------------------------------------------------


# --- Gadre et al. -----------------------------------------------------------------------------

GADRE_SCORES = {"arc_easy": [900, 1200], "copa": [50, 60]}
GADRE_ITEMS = {"arc_easy": 2376, "copa": 100}


def gadre_release(root):
    """Write two runs of two tasks in the layout of the original release."""
    for i, name in enumerate(["c4_original-tiny-1.0", "rpj-tiny-1.0"]):
        losses = [
            {"loss": 3.5 - i, "val_data": ["training/eval_data/val_tok_mult/openlm/shard_0.tar"]},
            {"loss": 3.0 - i, "val_data": ["training/eval_data/c4_val/shard-{0..1}.tar"]},
            {"loss": 4.0 - i, "val_data": ["training/eval_data/val_tok_mult/de-en/val_de-en.tar"]},
        ]
        model = {
            "name": name,
            "dataset_name": name.split("-")[0],
            "hyperparameters": {"params": 10**8 * (i + 1), "tokens": 2 * 10**9 * (i + 1)},
            "results": losses,
        }
        icl = {task: counts[i] / GADRE_ITEMS[task] for task, counts in GADRE_SCORES.items()}
        write_json(root / "models" / f"{name}.json", model)
        evaluation = {"eval_metrics": {"icl": {**icl, "mmlu": 0.26}}}
        write_json(root / "evals" / f"evaluation_{name}_heavy.json", evaluation)
    return root


def gadre_tables(root):
    """Write the same runs as three tables."""
    root.mkdir()
    names = ["c4_original-tiny-1.0", "rpj-tiny-1.0"]
    runs = pd.DataFrame(
        {
            "run": names,
            "mix": ["c4_original", "rpj"],
            "params": [10**8, 2 * 10**8],
            "tokens": [2 * 10**9, 4 * 10**9],
            "mult": 1.0,
            "loss_openlm": [3.5, 2.5],
            "loss_c4_val": [3.0, 2.0],
            "loss_de-en": [4.0, 3.0],
        }
    )
    rows = [
        (name, task, counts[i] / GADRE_ITEMS[task])
        for i, name in enumerate(names)
        for task, counts in GADRE_SCORES.items()
    ]
    rows += [(name, "mmlu", 0.26) for name in names]
    tasks = pd.DataFrame(
        {
            "task": ["arc_easy", "copa", "mmlu"],
            "n_items": [2376, 100, 14042],
            "chance": [0.25, 0.5, 0.25],
        }
    )
    write_csv(root / "gadre2024_runs.csv", runs)
    scores = pd.DataFrame(rows, columns=["run", "task", "accuracy"])
    write_csv(root / "gadre2024_scores.csv", scores)
    write_csv(root / "gadre2024_tasks.csv", tasks)
    return root


def test_gadre_layouts_agree(tmp_path):
    release = gadre_release(tmp_path / "repo" / "exp_data")
    tables = load_gadre(gadre_tables(tmp_path / "tables"))
    assert load_gadre(release) == load_gadre(release.parent) == tables
    assert tables.mixtures == ("c4_original", "rpj")
    assert tables.losses == ("loss_c4_val", "loss_de-en", "loss_openlm")
    assert tables.select(benchmark="arc_easy").table["score"].tolist() == [900 / 2376, 1200 / 2376]
    # mmlu is a mean over subjects: its 14042 items are not what its score is a count of.
    assert tables.select(benchmark="mmlu").table["n_items"].isna().all()


def test_gadre_real_figures():
    runs = load_gadre(shared("gadre2024_runs.csv").parent)
    assert len(runs) == 104 * 46
    assert runs.table["run"].nunique() == 104
    assert len(runs.losses) == 8
    # 6·6.9e9·1.4e11 is beyond int64; Python's whole numbers are not.
    raw = pd.read_csv(SHARED / "gadre2024_runs.csv")
    exact = max(6 * int(n) * int(d) for n, d in zip(raw["params"], raw["tokens"], strict=True))
    assert runs.table["flops"].max() == pytest.approx(exact, rel=1e-12)
    counted = runs.table.dropna(subset="n_items")
    counts = counted["score"] * counted["n_items"]
    assert np.abs(counts - counts.round()).max() < 0.001
    assert counted["benchmark"].nunique() == 42


def test_gadre_broken_folders(tmp_path):
    with pytest.raises(RunsError, match="holds neither"):
        load_gadre(tmp_path)
    root = gadre_release(tmp_path / "exp_data")
    (root / "evals" / "evaluation_rpj-tiny-1.0_heavy.json").unlink()
    with pytest.raises(RunsError, match="cannot be read"):
        load_gadre(root)
    write_json(root / "evals" / "evaluation_rpj-tiny-1.0_heavy.json", {"icl": 1})
    with pytest.raises(RunsError, match="is no evaluation file"):
        load_gadre(root)
    write_json(root / "models" / "c4_original-tiny-1.0.json", {"name": "x"})
    with pytest.raises(RunsError, match="is no model file"):
        load_gadre(root)
    shutil.rmtree(root / "models")
    (root / "models").mkdir()
    with pytest.raises(RunsError, match="holds no JSON file"):
        load_gadre(root)


def test_gadre_gaps_between_tables_are_named(tmp_path):
    root = gadre_tables(tmp_path / "tables")
    with (root / "gadre2024_scores.csv").open("a") as file:
        file.write("lost-run,arc_easy,0.5\n")
    with pytest.raises(RunsError, match=r"scores\.csv: row 8, column 'flops': is empty"):
        load_gadre(root)
    runs = pd.read_csv(root / "gadre2024_runs.csv")
    write_csv(root / "gadre2024_runs.csv", pd.concat([runs, runs]))
    with pytest.raises(RunsError, match=r"gadre2024_runs\.csv: c4_original-tiny-1\.0, rpj.* twice"):
        load_gadre(root)
    write_csv(root / "gadre2024_runs.csv", runs.drop(columns="mix"))
    with pytest.raises(RunsError, match="has no column mix"):
        load_gadre(root)


# --- OLMo ladder ------------------------------------------------------------------------------


def ladder_run(path, *, tokens, score, bpb, target=False):
    """Write one run of the release: an early checkpoint and the last one."""
    batch = 524288
    table = pd.DataFrame(
        {
            "eval/c4_en-validation/CrossEntropyLoss": [4.5, 3.5],
            "eval/downstream/arc_easy_test_rc_5shot_len_norm": [0.25, score],
            "eval/downstream/arc_easy_val_rc_5shot_len_norm": [0.25, 0.5],
            "eval/downstream_bpb/arc_easy_test_rc_5shot_bpb": [1.9, bpb],
            "eval/downstream_soft/arc_easy_test_rc_5shot_soft": [0.2, 0.3],
            "batch_size_in_tokens": batch,
        }
    )
    if target:
        table["_step"] = [1, tokens // batch]
    else:
        table["throughput/total_tokens"] = [batch, tokens]
    return write_csv(path, table)


def test_olmo_layouts_agree(tmp_path):
    folder = tmp_path / "ladder-runs"
    folder.mkdir()
    ladder_run(folder / "190M-1xC.csv", tokens=4 * 10**9, score=950 / 2376, bpb=1.25)
    ladder_run(folder / "1B-10xC.csv", tokens=2 * 10**11, score=1600 / 2376, bpb=0.75)
    ladder_run(folder / "peteish7_eval_full.csv", tokens=10**12, score=0.9, bpb=0.5)
    released = load_olmo_ladder(folder)
    table = pd.DataFrame(
        {
            "run": ["190M-1xC", "1B-10xC"],
            "size": ["190M", "1B"],
            "params": [190354176, 1279395840],
            "tokens": [4e9, 2e11],
            "flops": [4e9 * 1903391232, 2e11 * 10109071360],
            "c4_loss": 3.5,
            "task": "arc_easy_test",
            "metric": "len_norm",
            "n_items": 2376,
            "accuracy": [950 / 2376, 1600 / 2376],
            "task_bpb": [1.25, 0.75],
        }
    )
    assert released == load_olmo_ladder(write_csv(tmp_path / "olmo.csv", table))
    assert released.table["task_loss"].tolist() == [1.25, 0.75]
    notes = " ".join(released.notes)
    assert "arc_easy_val" in notes
    assert "peteish7_eval_full.csv" in notes


def test_olmo_targets_of_the_paper(tmp_path):
    """The 13B run states its tokens only as steps × batch size."""
    tokens = 524288 * 9_000_000
    path = tmp_path / "peteish13_eval_final.csv"
    ladder_run(path, tokens=tokens, score=0.9, bpb=0.5, target=True)
    runs = load_olmo_ladder(tmp_path)
    assert runs.table["tokens"].tolist() == [tokens]
    assert runs.table["params"].tolist() == [13202396160]


def test_olmo_real_figures():
    runs = load_olmo_ladder(shared("olmo_ladder.csv"))
    assert runs.table["run"].nunique() == 24
    assert len(runs.benchmarks) == 13
    assert len(runs) == 24 * 13
    assert runs.table["task_loss"].notna().all()
    counts = runs.table["score"] * runs.table["n_items"]
    assert np.abs(counts - counts.round()).max() < 0.001
    # csqa has five choices, socialiqa three.
    assert set(runs.select(benchmark="csqa_val").table["chance"]) == {0.2}
    assert set(runs.select(benchmark="socialiqa_val").table["chance"]) == {1 / 3}


def test_olmo_broken_folders(tmp_path):
    with pytest.raises(RunsError, match="holds no run of the ladder"):
        load_olmo_ladder(tmp_path)
    with pytest.raises(RunsError, match="cannot be read"):
        load_olmo_ladder(tmp_path / "absent.csv")
    (tmp_path / "190M-1xC.csv").write_text("_step\n")
    with pytest.raises(RunsError, match="holds no checkpoint"):
        load_olmo_ladder(tmp_path)
    (tmp_path / "190M-1xC.csv").write_text("_step\n5\n")
    with pytest.raises(RunsError, match="tokens of its last row cannot be read"):
        load_olmo_ladder(tmp_path)
    (tmp_path / "190M-1xC.csv").rename(tmp_path / "42B-1xC.csv")
    with pytest.raises(RunsError, match="size 42B is not one of 190M"):
        load_olmo_ladder(tmp_path)


# --- Krajewski's long CSV ---------------------------------------------------------------------


def long_table(mixture):
    """Return the embedded figures in the long layout of their release."""
    table = load_dataset(mixture=mixture).table
    metric = table["metric"].where(table["k"].isna(), "pass@" + table["k"].map("{:.0f}".format))
    long = table.assign(metric_type=metric, tpr=table["tokens_per_param"])
    losses = long.dropna(subset="task_loss").drop_duplicates(["run", "benchmark"])
    losses = losses.assign(metric_type="nll", score=losses["task_loss"])
    columns = [
        "tokens",
        "benchmark",
        "metric_type",
        "score",
        "tpr",
        "flops",
        "params",
        *table.columns[13:],
    ]
    return pd.concat([long, losses])[columns]


def without_names(runs):
    table = runs.table.drop(columns=["run", "training"])
    return table.sort_values([*table.columns], ignore_index=True)


@pytest.mark.parametrize("mixture", ["dclm", "c4"])
def test_krajewski_long_layout(mixture, tmp_path):
    path = write_csv(tmp_path / "long.csv", long_table(mixture))
    runs = load_krajewski_csv(path, mixture=mixture)
    real = load_dataset(mixture=mixture)
    pd.testing.assert_frame_equal(without_names(runs), without_names(real), check_exact=True)
    assert runs.table["run"].nunique() == real.table["run"].nunique()


def test_krajewski_long_layout_without_params_and_flops(tmp_path):
    long = long_table("dclm").drop(columns=["flops", "params"])
    runs = load_krajewski_csv(write_csv(tmp_path / "long.csv", long), mixture="dclm")
    real = load_dataset(mixture="dclm")
    assert len(runs) == len(real)
    np.testing.assert_allclose(
        np.sort(runs.table["flops"]), np.sort(real.table["flops"]), rtol=1e-6
    )


def test_krajewski_leaves_out_with_notes(tmp_path):
    long = long_table("c4")
    first = long[long["benchmark"] == "lbpp"].iloc[0]
    sampled_once = long[(long["benchmark"] == "lbpp") & (long["tokens"] == first["tokens"])].index
    long.loc[sampled_once, "score"] = (long.loc[sampled_once, "metric_type"] != "pass@1").astype(
        float
    )
    extra = long.iloc[:3].assign(
        benchmark=["riddles", "sciq", "sciq"], metric_type=["acc", "f1", "brier"]
    )
    path = write_csv(tmp_path / "long.csv", pd.concat([long, long.iloc[:5], extra]))
    runs = load_krajewski_csv(path)
    notes = " ".join(runs.notes)
    assert "left out 5 rows listed twice" in notes
    assert "left out 2 rows of other metrics (sciq)" in notes
    assert "left out 1 rows of unknown chance level (riddles)" in notes
    assert f"left out {len(sampled_once)} rows of pass@k from one sample a problem (lbpp)" in notes
    assert len(runs) == len(load_dataset(mixture="c4")) - len(sampled_once)
    assert len(load_krajewski_csv(path, chance={"riddles": 0.1})) == len(runs) + 1


def test_krajewski_broken_files(tmp_path):
    long = long_table("c4").iloc[:50]
    with pytest.raises(RunsError, match="has no column tpr"):
        load_krajewski_csv(write_csv(tmp_path / "a.csv", long.drop(columns="tpr")))
    twice = pd.concat([long, long.assign(score=0.5)])
    with pytest.raises(RunsError, match="2 times; keep one"):
        load_krajewski_csv(write_csv(tmp_path / "b.csv", twice))
    dclm = long_table("dclm")
    nll = dclm[dclm["metric_type"] == "nll"].iloc[:2]
    with pytest.raises(RunsError, match=r"has nll of .* more than once"):
        load_krajewski_csv(write_csv(tmp_path / "c.csv", pd.concat([nll, nll.assign(score=1.0)])))


# --- warnings ---------------------------------------------------------------------------------


def test_warnings_point_at_the_caller(tmp_path):
    path = write_csv(tmp_path / "runs.csv", ladder(score=[0.1, 0.2, 0.3, 0.4]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_csv(path)
    assert {w.filename for w in caught} == {__file__}


def test_many_findings_of_a_kind_are_summed_up(tmp_path):
    names = [f"task{i:02d}" for i in range(10)]
    table = pd.concat([ladder(benchmark=name, score=0.1) for name in names])
    path = write_csv(tmp_path / "runs.csv", table)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_csv(path)
    assert len(caught) == 4
    assert "7 more warnings of the kind 'below chance'" in str(caught[-1].message)
