"""`bayes-scaling classify`: what it writes and says."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from trends import CURVES, task
from typer.testing import CliRunner

from bayes_scaling.cli.app import app
from bayes_scaling.evaluation.behaviours import BehaviourRules


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classify")
    rng = np.random.default_rng(8)
    parts = [task(CURVES[name], rng, name=name).table for name in ("predictable", "inverse")]
    parts.append(parts[0].assign(benchmark="dull", score=0.25))
    pd.concat(parts).drop(columns=["training"]).to_csv(folder / "runs.csv", index=False)
    return folder


def run(folder, *arguments):
    out = str(folder / "out")
    given = ["classify", str(folder / "runs.csv"), "--out", out, "--workers", "1", *arguments]
    return CliRunner().invoke(app, given)


def test_it_writes_tables_and_figures(folder):
    result = run(folder, "--loss", "loss_web", "--context", "all")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(folder / "out" / "classification.csv").set_index("task")
    assert table["behaviour"].to_dict() == {
        "predictable": "predictable",
        "inverse": "inverse",
        "dull": "cannot tell",
    }
    share = json.loads((folder / "out" / "share.json").read_text())
    assert share["median"] == 0.5
    assert share["loss"] == "loss_web"
    assert share["rules"] == asdict(BehaviourRules())
    assert len(pd.read_csv(folder / "out" / "context.csv")) == 3 * 2 * 2
    assert (pd.read_csv(folder / "out" / "contrasts.csv")["kind"] == "corpus").all()
    assert all((folder / "out" / name).is_file() for name in ("behaviours.png", "flips.png"))
    assert "50% of 2 tasks are predictable" in result.output
    assert "cannot tell: dull (acc): every score is 0.25" in " ".join(result.output.split())


def test_json_and_stricter_rules(folder):
    result = run(folder, "--loss", "loss_web", "--context", "all", "--explained", "1", "--json")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["share"]["rules"]["explained"] == 1
    assert content["share"]["median"] == 0
    assert {row["behaviour"] for row in content["tasks"]} == {"noisy", "cannot tell"}


def test_a_loss_that_has_to_be_named_is_asked_for(folder):
    result = run(folder)
    assert result.exit_code == 2
    assert "Name one of loss_code, loss_web (--loss)" in " ".join(result.output.split())


def test_a_folder_of_another_kind_is_refused(folder):
    result = CliRunner().invoke(app, ["classify", str(folder / "out")])
    assert result.exit_code == 2
    assert "gadre2024_runs.csv" in result.output
