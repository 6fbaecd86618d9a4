"""The embedded figures: counts, published facts, provenance."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from bayes_scaling._io.resources import resource_dir
from bayes_scaling.datasets import load_dataset
from bayes_scaling.errors import RunsError


@pytest.fixture(scope="module", params=["dclm", "c4"])
def mixture(request):
    return request.param


@pytest.fixture(scope="module")
def dclm():
    return load_dataset("krajewski2025", mixture="dclm")


def raw(mixture, kind):
    return pd.read_csv(resource_dir("data") / f"krajewski2025_{mixture}_{kind}.csv")


def test_counts():
    dclm, c4 = load_dataset(mixture="dclm"), load_dataset(mixture="c4")
    assert dclm.table["run"].nunique() == 148
    assert c4.table["run"].nunique() == 44
    assert len(load_dataset("krajewski2025")) == len(dclm) + len(c4)
    assert dclm.mixtures == ("dclm",)


def test_no_row_is_lost(mixture):
    """Every published figure is in the table, as a score or as the benchmark's own loss."""
    scores = raw(mixture, "scores")
    is_loss = scores["metric"] == "nll"
    table = load_dataset(mixture=mixture).table
    assert len(table) == (~is_loss).sum()
    pairs = table.dropna(subset="task_loss").drop_duplicates(["run", "benchmark"])
    assert sorted(pairs["task_loss"]) == sorted(scores.loc[is_loss, "value"])


def test_scores_are_whole_counts_of_their_test_sets(mixture):
    scores = raw(mixture, "scores").dropna(subset="n_correct")
    assert len(scores) > 0
    assert (scores["n_correct"] == np.round(scores["n_correct"])).all()
    # The published shares are rounded to 8 decimals.
    ratio = scores["n_correct"] / scores["n_items"]
    assert np.abs(scores["value"] - ratio).max() <= 0.5000001e-8
    table = load_dataset(mixture=mixture).table.dropna(subset="n_items")
    assert len(table) == len(scores)
    correct = np.round(table["score"] * table["n_items"])
    assert (table["score"] == correct / table["n_items"]).all()


def test_figures_match_the_published_ones(mixture):
    """The way through Runs changes nothing: compare with a plain merge of the files."""
    scores = raw(mixture, "scores").set_index(["run", "benchmark", "metric"])["value"]
    table = load_dataset(mixture=mixture).table
    names = [f"pass@{k:.0f}" if k == k else m for k, m in zip(table.k, table.metric, strict=True)]
    keys = list(zip(table["run"], table["benchmark"], names, strict=True))
    assert np.abs(scores.loc[keys].to_numpy() - table["score"].to_numpy()).max() <= 1e-8
    runs = raw(mixture, "runs").set_index("run").loc[table["run"]]
    for column in ("params", "tokens", "flops", "tokens_per_param", "loss_dclm", "loss_c4"):
        assert (runs[column].to_numpy() == table[column].to_numpy()).all()


def test_test_set_sizes(dclm):
    sizes = dclm.table.groupby("benchmark")["n_items"].agg(["min", "max"]).dropna()
    assert (sizes["min"] == sizes["max"]).all()
    assert sizes["max"].to_dict() == {
        "arc_challenge": 1172, "arc_easy": 2376, "gsm8k_cot_llama": 1319, "hellaswag": 10042,
        "lambada_openai": 5153, "piqa": 1838, "sciq": 1000, "triviaqa_1shot": 11313,
        "webqs_1shot": 2032, "winogrande": 1267,
    }  # fmt: skip
    assert dclm.select(benchmark="mmlu").table["n_items"].isna().all()


def test_held_out_runs_of_the_paper(dclm):
    held_out = dclm.select(benchmark="arc_easy", metric="acc", tokens_per_param=20).above(6e21)
    assert len(held_out) == 8


def test_budgets(dclm):
    assert sorted(dclm.table["tokens_per_param"].unique()) == [10, 20, 40, 80, 160]
    assert dclm.table["flops"].min() == pytest.approx(1e18, rel=1e-3)
    assert dclm.table["flops"].max() == pytest.approx(3.83e22, rel=1e-2)
    exact = 6 * dclm.table["params"] * dclm.table["tokens"]
    np.testing.assert_allclose(dclm.table["flops"], exact, rtol=1e-6)


def test_pass_at_k_never_falls_and_was_not_sampled_once(mixture):
    table = load_dataset(mixture=mixture).select(metric="pass@k").table
    wide = table.pivot_table(index=["benchmark", "run"], columns="k", values="score")
    assert wide.columns.tolist() == [1, 2, 4, 8, 16, 32, 64, 128]
    assert (wide.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    assert (wide[2.0] < 1).all()


def test_pass_at_1_is_a_count_of_200_samples(dclm):
    for benchmark, problems in (("humaneval-py", 164), ("lbpp", 161)):
        score = dclm.select(benchmark=benchmark, metric="pass@1").table["score"]
        counts = score * problems * 200
        # Cut to 6 decimals, a count of 32,800 is known to 0.03.
        assert np.abs(counts - np.round(counts)).max() < 0.05


def test_c4_holds_no_code():
    code = load_dataset(mixture="c4").select(benchmark=["humaneval-py", "lbpp"])
    assert (code.table["score"] == 0).all()


def test_losses_are_there_for_every_run(mixture):
    runs = load_dataset(mixture=mixture)
    assert runs.losses == ("loss_c4", "loss_dclm", "loss_fineweb")
    assert runs.table[list(runs.losses)].notna().all(axis=None)


def test_unknown_names():
    with pytest.raises(RunsError, match=r"no data set 'chinchilla'\. Available: krajewski2025"):
        load_dataset("chinchilla")
    with pytest.raises(RunsError, match=r"no mixture 'pile'\. Available: dclm, c4"):
        load_dataset("krajewski2025", mixture="pile")


def test_loading_needs_no_sampler():
    """Tables must load in a second: the heavy libraries stay out."""
    code = (
        "import sys; from bayes_scaling.datasets import load_dataset; load_dataset(); "
        "heavy = {'pymc', 'arviz', 'nutpie', 'matplotlib', 'xarray'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
