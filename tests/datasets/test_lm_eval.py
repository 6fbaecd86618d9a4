"""Result files of lm-evaluation-harness: as it writes them, and as people have them."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bayes_scaling.cli.app import app
from bayes_scaling.datasets.lm_eval import load_lm_eval, read_lm_eval
from bayes_scaling.errors import RunsError, RunsWarning
from bayes_scaling.runs import Runs

pytestmark = pytest.mark.filterwarnings("ignore::bayes_scaling.errors.RunsWarning")


def write_csv(path, table):
    table.to_csv(path, index=False)
    return path


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def harness_results(**changes):
    """Return results as the harness's v0.4 writes them, for a limited run of four tasks."""
    content = {
        "results": {
            "arc_easy": {
                "alias": "arc_easy",
                "acc,none": 0.5,
                "acc_stderr,none": 0.0354,
                "acc_norm,none": 0.45,
                "acc_norm_stderr,none": "N/A",
            },
            "gsm8k": {
                "alias": "gsm8k",
                "exact_match,strict-match": 0.02,
                "exact_match_stderr,strict-match": 0.004,
                "exact_match,flexible-extract": 0.03,
                "exact_match_stderr,flexible-extract": 0.005,
            },
            "lambada_openai": {"alias": "lambada_openai", "perplexity,none": 9.5, "acc,none": 0.6},
            "humaneval": {"alias": "humaneval", "pass@1,create_test": 0.25},
            "house_task": {"alias": "house_task", "acc,none": 0.4},
        },
        "group_subtasks": {"arc_easy": [], "gsm8k": []},
        "configs": {
            "arc_easy": {"output_type": "multiple_choice", "doc_to_choice": "{{choices.text}}"},
            "house_task": {"output_type": "multiple_choice", "doc_to_choice": ["A", "B", "C"]},
        },
        "n-samples": {
            "arc_easy": {"original": 2376, "effective": 200},
            "gsm8k": {"original": 1319, "effective": 1000},
            "lambada_openai": {"original": 5153, "effective": 5153},
            "humaneval": {"original": 164, "effective": 164},
            "house_task": {"original": 10, "effective": 10},
        },
        "config": {"model": "hf", "model_args": "pretrained=/ckpt/small,dtype=float16"},
        "model_name": "/ckpt/small",
        "model_name_sanitized": "__ckpt__small",
    }
    return {**content, **changes}


RUNS_TABLE = pd.DataFrame(
    {
        "run": ["small", "large"],
        "params": ["190M", "1.3B"],
        "tokens": ["3.8B", "26B"],
        "mixture": "mine",
        "loss_c4": [3.6, 2.9],
    }
)


def test_lm_eval(tmp_path):
    path = write_json(tmp_path / "results.json", harness_results())
    runs = load_lm_eval({"small": path}, RUNS_TABLE)
    table = runs.table.set_index(["benchmark", "metric"])
    assert len(table) == 7
    assert table.loc[("arc_easy", "acc"), ["score", "n_items", "chance"]].tolist() == [
        0.5,
        200,
        0.25,
    ]
    assert table.loc[("gsm8k", "exact_match,strict-match"), "chance"] == 0
    assert table.loc[("lambada_openai", "acc"), "score"] == 0.6
    assert table.loc[("humaneval", "pass@k"), "k"] == 1
    assert np.isnan(table.loc[("humaneval", "pass@k"), "n_items"])
    # Three choices are told by the results file itself.
    assert table.loc[("house_task", "acc"), "chance"] == pytest.approx(1 / 3)
    assert set(table["params"]) == {1.9e8}
    assert set(table["loss_c4"]) == {3.6}
    assert any("perplexity" in note for note in runs.notes)


def test_lm_eval_folder_matches_files_to_runs(tmp_path):
    write_json(tmp_path / "out/__ckpt__small/results_2025-01-01T00-00-00.json", harness_results())
    other = harness_results(model_name=None, model_name_sanitized=None, config={})
    write_json(tmp_path / "out/large/results_2025-01-02T00-00-00.json", other)
    (tmp_path / "out/large/samples_arc_easy.jsonl").write_text("not read")
    write_csv(tmp_path / "runs.csv", RUNS_TABLE)
    runs = load_lm_eval(tmp_path / "out", tmp_path / "runs.csv")
    assert sorted(runs.table["run"].unique()) == ["large", "small"]
    assert len(runs) == 14


def test_lm_eval_unknown_chance_is_left_out_aloud(tmp_path):
    results = {"mystery": {"alias": "mystery", "acc,none": 0.4}, "sciq": {"acc,none": 0.9}}
    path = write_json(tmp_path / "r.json", harness_results(results=results))
    with pytest.warns(RunsWarning, match="left out tasks of unknown chance level: mystery"):
        runs = load_lm_eval({"small": path}, RUNS_TABLE)
    assert runs.benchmarks == ("sciq",)
    assert any("mystery" in note for note in runs.notes)
    assert len(load_lm_eval({"small": path}, RUNS_TABLE, chance={"mystery": 0.2})) == 2


def test_lm_eval_group_counts_its_tasks(tmp_path):
    results = {"mmlu": {"acc,none": 0.3, "acc_stderr,none": 0.0265}}
    content = harness_results(
        results=results,
        group_subtasks={"mmlu": ["mmlu_law", "mmlu_virology"]},
        **{"n-samples": {"mmlu_law": {"effective": 180}, "mmlu_virology": {"effective": 120}}},
    )
    runs = load_lm_eval({"small": write_json(tmp_path / "r.json", content)}, RUNS_TABLE)
    assert runs.table["n_items"].tolist() == [300]


def test_lm_eval_stderr_against_the_counts(tmp_path):
    results = {"sciq": {"acc,none": 0.5, "acc_stderr,none": 0.1}}
    content = harness_results(results=results, **{"n-samples": {"sciq": {"effective": 1000}}})
    path = write_json(tmp_path / "r.json", content)
    with pytest.warns(RunsWarning, match="0.1 is the error of about 26 items"):
        load_lm_eval({"small": path}, RUNS_TABLE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "has no 'results'"),
        ({}, "has no 'results'"),
        ({"results": {"a": 1}}, "'results' of 'a' is not an object"),
        ({"results": {}}, "holds no accuracy"),
        ({"results": {"sciq": {"acc,none": "high"}}}, "column 'score': 'high' is not a number"),
        ({"results": {"sciq": {"acc,none": 53.0}}}, "looks like percent"),
        ({"results": {"sciq": {"acc,none": [1]}}}, "is not a number"),
        (
            {"results": {"sciq": {"acc,none": 0.5}}, "n-samples": {"sciq": {"effective": "all"}}},
            "'all' is not",
        ),
    ],
)
def test_lm_eval_broken_files(content, message, tmp_path):
    path = write_json(tmp_path / "r.json", content)
    with pytest.raises(RunsError, match=message):
        load_lm_eval({"small": path}, RUNS_TABLE)


# ---- files as people have them -------------------------------------------------------------------


def test_truncated_and_foreign_files_are_skipped_aloud(tmp_path):
    write_json(tmp_path / "small/results_2025-01-01T00-00-00.json", harness_results())
    (tmp_path / "small/results_2025-01-02T00-00-00.json").write_text('{"results": {"arc_ea')
    write_json(tmp_path / "other/results_2025-01-01T00-00-00.json", {"results": {}})
    with pytest.warns(RunsWarning, match="skipped 2 result files") as caught:
        found = read_lm_eval(tmp_path, RUNS_TABLE)
    said = str(caught[0].message)
    assert "results_2025-01-02T00-00-00.json (is not JSON" in said
    assert "none of its names" in said
    assert len(found.runs) == 7
    assert any("skipped 2 result files" in note for note in found.runs.notes)
    assert sorted(found.files["scores"]) == [0, 0, 7]
    assert (found.files["skipped"] != "").sum() == 2


def test_of_several_files_of_a_run_the_last_by_date_counts(tmp_path):
    def scored(score, **more):
        return harness_results(results={"sciq": {"acc,none": score}, **more})

    extra = {"piqa": {"acc,none": 0.7}}
    write_json(tmp_path / "b/small/results_2025-03-01T00-00-00.json", scored(0.8))
    write_json(tmp_path / "a/small/results_2025-01-01T00-00-00.json", scored(0.9, **extra))
    runs = load_lm_eval(tmp_path, RUNS_TABLE)
    table = runs.table.set_index("benchmark")["score"]
    assert table.to_dict() == {"sciq": 0.8, "piqa": 0.7}
    assert any("1 scores stand in several files" in note for note in runs.notes)


def old_results(**changes):
    """Return results as v0.3 wrote them: no filters, no counts of items."""
    return {
        "results": {
            "arc_easy": {"acc": 0.5, "acc_stderr": 0.01026, "acc_norm": 0.25, "acc_norm_stderr": 0},
            "lambada_openai": {"ppl": 12.3, "ppl_stderr": 0.4, "acc": 0.6, "acc_stderr": 0.007},
        },
        "versions": {"arc_easy": 0},
        "config": {"model": "hf-causal", "model_args": "pretrained=lab/small,revision=main"},
        **changes,
    }


def test_files_of_old_versions(tmp_path):
    path = write_json(tmp_path / "any.json", old_results())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a standard error of 0 is not believed
        runs = load_lm_eval(path, RUNS_TABLE)
    table = runs.table.set_index(["benchmark", "metric"])
    assert len(table) == 3
    assert table.loc[("arc_easy", "acc"), "n_items"] == 2376  # of a known benchmark
    assert any("ppl" in note for note in runs.notes)


def test_old_subjects_of_mmlu(tmp_path):
    subjects = {f"hendrycksTest-subject_{i}": {"acc": 0.2 + 0.01 * i} for i in range(57)}
    path = write_json(tmp_path / "any.json", old_results(results=subjects))
    table = load_lm_eval(path, RUNS_TABLE).table.set_index("benchmark")
    assert len(table) == 58
    assert table.loc["mmlu_subject_3", "chance"] == 0.25
    assert table.loc["mmlu", "score"] == pytest.approx(0.2 + 0.01 * 28)
    few = {name: subjects[name] for name in list(subjects)[:3]}
    path = write_json(tmp_path / "few.json", old_results(results=few))
    assert "mmlu" not in load_lm_eval(path, RUNS_TABLE).benchmarks


@pytest.mark.parametrize(
    "where",
    [
        ("small/step{}/results.json", "main"),
        ("small-step{}/results.json", "main"),
        ("zero-shot/small_step{}.json", "main"),
        ("small/results_{}.json", "step{}"),
    ],
)
def test_checkpoints_have_their_own_budgets(where, tmp_path):
    file, revision = where
    for step in (0, 1000, 143000):
        arguments = f"pretrained=lab/small,revision={revision.format(step)}"
        content = old_results(config={"model_args": arguments})
        write_json(tmp_path / "out" / file.format(step), content)
    table = RUNS_TABLE.assign(tokens_per_step=["2097152", ""])
    with pytest.warns(RunsWarning, match="skipped 1 result files.*step 0"):
        runs = load_lm_eval(tmp_path / "out", table)
    arc = runs.select("arc_easy", "acc").table.set_index("run").sort_values("flops")
    assert arc.index.tolist() == ["small step 1000", "small step 143000"]
    assert arc["tokens"].tolist() == [1000 * 2097152, 143000 * 2097152]
    assert set(arc["training"]) == {"small"}
    np.testing.assert_allclose(arc["flops"], 6 * arc["params"] * arc["tokens"])
    with pytest.raises(RunsError, match=r"\(steps 1000, 143000\) but no tokens_per_step"):
        load_lm_eval(tmp_path / "out", RUNS_TABLE)


def test_a_checkpoint_may_have_a_row_of_its_own(tmp_path):
    for step in (1000, 2000):
        write_json(tmp_path / f"small-step{step}/results.json", old_results(config={}))
    table = RUNS_TABLE.assign(run=["small-step1000", "small-step2000"])
    runs = load_lm_eval(tmp_path, table)
    assert sorted(set(runs.table["run"])) == ["small-step1000", "small-step2000"]


def test_a_pass_at_k_with_a_filter_of_its_own(tmp_path):
    results = {"humaneval": {"pass@1,create_test": 0.3, "pass@1_stderr,create_test": 0.03}}
    path = write_json(tmp_path / "r.json", harness_results(results=results))
    table = load_lm_eval({"small": path}, RUNS_TABLE).table
    assert table[["metric", "k", "score"]].to_numpy().tolist() == [["pass@k", 1, 0.3]]


def test_the_import_command_shows_what_was_matched(tmp_path):
    write_json(tmp_path / "out/small/results_2025-01-01T00-00-00.json", harness_results())
    (tmp_path / "out/small/results_broken.json").write_text("{")
    write_csv(tmp_path / "runs.csv", RUNS_TABLE)
    out = tmp_path / "table.csv"
    arguments = ["import", str(tmp_path / "out"), "--runs", str(tmp_path / "runs.csv")]
    done = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "small" in done.output
    assert "is not JSON" in done.output.replace("\n", " ")
    assert len(Runs.from_csv(out)) == 7
    bad = CliRunner().invoke(app, ["import", str(tmp_path / "none"), "--runs", str(out)])
    assert bad.exit_code == 2


def test_lm_eval_wrong_runs(tmp_path):
    path = write_json(tmp_path / "r.json", harness_results())
    with pytest.raises(RunsError, match="lacks medium"):
        load_lm_eval({"medium": path}, RUNS_TABLE)
    with pytest.raises(RunsError, match=r"none of its names .*small.* is a run"):
        load_lm_eval(path, RUNS_TABLE[1:])
    with pytest.raises(RunsError, match="column 'run': is missing"):
        load_lm_eval({"small": path}, RUNS_TABLE.drop(columns="run"))
    with pytest.raises(RunsError, match="small twice"):
        load_lm_eval({"small": path}, pd.concat([RUNS_TABLE, RUNS_TABLE[:1]]))
    with pytest.raises(RunsError, match="cannot be read"):
        load_lm_eval(tmp_path / "nowhere", RUNS_TABLE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunsError, match="holds no JSON file"):
        load_lm_eval(tmp_path / "empty", RUNS_TABLE)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"results": 1e999}', "\x00"])
def test_broken_json(text, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(RunsError):
        load_lm_eval({"small": path}, RUNS_TABLE)
