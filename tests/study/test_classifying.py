"""Classification of many tasks: tables, contrasts, workers, and what is kept."""

import json

import numpy as np
import pandas as pd
import pytest
from trends import CURVES, task

from bayes_scaling.errors import BayesScalingError, ModelError
from bayes_scaling.evaluation.behaviours import BEHAVIOURS
from bayes_scaling.fitting import task_trends
from bayes_scaling.runs import Runs
from bayes_scaling.study.classifying import classify

QUICK = {"draws": 500, "tune": 300}


@pytest.fixture(scope="module")
def runs():
    rng = np.random.default_rng(8)
    parts = [task(CURVES["predictable"], rng, name="easy", apart=0.1).table]
    parts.append(task(CURVES["inverse"], rng, name="easy_zeroshot").table)
    parts.append(task(CURVES["trendless"], rng, name="dull").table.assign(score=0.25))
    return Runs.from_frame(pd.concat(parts))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trends")


@pytest.fixture(scope="module")
def found(runs, folder):
    return classify(runs, "loss_web", losses=runs.losses, folder=folder, **QUICK)


def test_each_task_has_probabilities_or_a_reason(found):
    table = found.table().set_index("task")
    assert table["behaviour"].to_dict() == {
        "easy": "predictable",
        "easy_zeroshot": "inverse",
        "dull": "cannot tell",
    }
    told = table.drop("dull")
    np.testing.assert_allclose(told[[f"p_{name}" for name in BEHAVIOURS]].sum(axis=1), 1)
    assert "every score is 0.25" in table.loc["dull", "reason"]
    assert table.loc["easy", "n_runs"] == 48


def test_the_share_falls_as_the_rule_becomes_stricter(found):
    share = found.share()
    assert share["n_tasks"] == 2
    assert share["cannot_tell"] == 1
    assert share["q05"] <= share["median"] == 0.5 <= share["q95"]
    curve = [row["median"] for row in found.share(thresholds=(0.5, 0.9, 1.0))["by_threshold"]]
    assert curve[0] == 0.5
    assert curve[-1] == 0
    json.dumps(share)


def test_the_context_has_a_row_for_each_mixture_and_loss(found):
    context = found.context()
    known = context[context["behaviour"] != "cannot tell"]
    assert set(zip(known["mixture"], known["loss"], strict=True)) == {
        (mixture, loss) for mixture in "ab" for loss in ("loss_web", "loss_code")
    }
    easy = known[(known["task"] == "easy") & (known["loss"] == "loss_web")]
    # The losses fall by 1.6 nats while accuracy rises by 0.3.
    assert easy["slope"].to_numpy() == pytest.approx(0.3 / 1.6, abs=0.02)
    assert (easy["slope_q05"] < easy["slope"]).all()
    assert known[known["loss"] == "loss_web"]["p_change"].isna().all()


def test_contrasts_tell_corpora_and_set_ups_apart(found):
    contrasts = found.contrasts()
    (set_up,) = contrasts[contrasts["kind"] == "set-up"].to_dict("records")
    assert {set_up["a"], set_up["b"]} == {"easy", "easy_zeroshot"}
    assert set_up["p_change"] > 0.9
    corpora = contrasts[(contrasts["kind"] == "corpus") & (contrasts["task"] == "easy")]
    main = corpora.set_index("loss").loc["loss_web"]
    assert main["p_better"] < 0.05  # b is 0.1 above a
    assert 0.02 < main["p_steeper"] < 0.98  # and as steep
    assert corpora.set_index("loss").loc["loss_code", "p_flip"] < 0.05


def test_finished_tasks_are_not_fitted_again(runs, folder, found, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("it is there already")

    monkeypatch.setattr(task_trends, "fit_trend", fail)
    again = classify(runs, "loss_web", losses=runs.losses, folder=folder, **QUICK)
    pd.testing.assert_frame_equal(again.table(), found.table())


@pytest.mark.slow
def test_workers_find_the_same(runs, found):
    told = []
    again = classify(
        runs, "loss_web", losses=runs.losses, workers=2, show=lambda *now: told.append(now), **QUICK
    )
    pd.testing.assert_frame_equal(again.table(), found.table())
    assert told[-1][:2] == (2, 1)  # of one nothing can be told
    assert any("easy_zeroshot" in what for _, _, what in told)


def test_the_folder_has_an_index_of_what_became_of_each_task(found, folder):
    index = pd.read_csv(folder / "index.csv").set_index("benchmark")
    assert index["status"].to_dict() == {"easy": "done", "easy_zeroshot": "done", "dull": "failed"}
    assert "every score is 0.25" in index.loc["dull", "reason"]
    assert index.loc["easy", "mixture"] == "a, b"
    assert (index["model"] == "trend in loss_web").all()


def test_ctrl_c_keeps_finished_tasks_and_says_so(runs, tmp_path, monkeypatch):
    made = []

    def interrupted(*given, **options):
        if made:
            raise KeyboardInterrupt
        made.append(given)
        return fit(*given, **options)

    fit = task_trends.fit_trend
    monkeypatch.setattr(task_trends, "fit_trend", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"1 of 3 tasks are done; they are in .* same call"):
        classify(runs, "loss_web", losses=[], folder=tmp_path, **QUICK)
    with pytest.raises(KeyboardInterrupt, match="0 of 3 tasks are done; give a folder"):
        classify(runs, "loss_web", losses=[], **QUICK)


def test_trouble_with_one_task_leaves_the_others(runs, monkeypatch):
    def fail(one, *given, **options):
        if one.benchmarks == ("easy",):
            raise RuntimeError("no luck")
        return fit(one, *given, **options)

    fit = task_trends.fit_trend
    monkeypatch.setattr(task_trends, "fit_trend", fail)
    table = classify(runs, "loss_web", losses=[], **QUICK).table().set_index("task")
    assert table.loc["easy", "reason"] == "RuntimeError: no luck"
    assert table.loc["easy_zeroshot", "behaviour"] == "inverse"


def test_a_damaged_file_is_fitted_again(runs, tmp_path):
    one = runs.select("easy_zeroshot")
    first = classify(one, "loss_web", losses=[], folder=tmp_path, **QUICK)
    (file,) = tmp_path.glob("fits/*.nc")
    file.write_bytes(b"cut off")
    again = classify(one, "loss_web", losses=[], folder=tmp_path, **QUICK)
    pd.testing.assert_frame_equal(first.table(), again.table())


@pytest.mark.parametrize(
    ("loss", "message"),
    [(None, "Name one of loss_code, loss_web"), ("loss_x", "no loss column 'loss_x'")],
)
def test_the_loss_has_to_be_there(runs, loss, message):
    with pytest.raises(ModelError, match=message):
        classify(runs, loss)
    bare = Runs.from_frame(runs.table.drop(columns=["loss_web", "loss_code"]))
    with pytest.raises(ModelError, match="no run has a validation loss"):
        classify(bare)


def test_one_run_is_no_trend_and_no_worker_no_work(runs):
    table = runs.select("easy").table
    one = Runs.from_frame(table[table["run"] == "a-0"])
    found = classify(one, "loss_web")
    assert found.table()["behaviour"].tolist() == ["cannot tell"]
    with pytest.raises(BayesScalingError, match="nothing can be told of any task"):
        found.share()
    with pytest.raises(BayesScalingError, match="workers should be at least 1"):
        classify(runs, "loss_web", workers=0)
