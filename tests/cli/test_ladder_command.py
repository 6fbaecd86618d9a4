"""`bayes-scaling ladder`: what it writes and says, on draws that were not sampled."""

import json

import numpy as np
import pandas as pd
import pytest
from pooled import BENCHMARKS, fit_of_prior, grid_of_budgets, simulate
from typer.testing import CliRunner

from bayes_scaling.cli.app import app
from bayes_scaling.fitting import ladder_fit


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = simulate(grid_of_budgets(4), through=True, rng=np.random.default_rng(3))
    runs.table.drop(columns=["training"]).to_csv("runs.csv", index=False)
    asked = {}

    def fit(given, model, **settings):
        asked.update(runs=given, model=model, **settings)
        return fit_of_prior(given, model, draws=50)

    monkeypatch.setattr(ladder_fit, "fit_ladder", fit)
    return asked


def run(*arguments):
    return CliRunner().invoke(app, ["ladder", "runs.csv", *arguments])


def test_it_writes_forecasts_routes_figure_and_fit(table, tmp_path):
    result = run("--fit-below", "1e20", "--at", "1e22", "--seed", "7")
    assert result.exit_code == 0, result.output
    assert table["seed"] == 7
    assert table["runs"].table["flops"].max() <= 1e20
    folder = tmp_path / "ladder"
    forecast = pd.read_csv(folder / "ladder.csv")
    assert set(forecast["benchmark"]) == {*BENCHMARKS, "average"}
    assert forecast["flops"].max() == 1e22
    held_out = forecast[forecast["run"].notna() & (forecast["benchmark"] == "average")]
    assert held_out["observed"].notna().all()
    assert len(held_out)
    assert set(pd.read_csv(folder / "ladder_routes.csv")["benchmark"]) == {*BENCHMARKS, "mean"}
    assert all((folder / name).is_file() for name in ("ladder.png", "ladder.nc"))
    assert "average" in result.output
    assert "cannot tell" in result.output


def test_json_has_the_same_and_no_loss_means_no_route(table):
    result = run("--loss", "none", "--at", "1e22", "--json")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["routes"] == []
    assert content["data"]["loss"] is None
    assert {row["benchmark"] for row in content["forecast"]} == {*BENCHMARKS, "average"}
    assert table["model"].loss is None


def test_nothing_to_forecast_is_an_error(table):
    result = run()
    assert result.exit_code == 2
    assert "--at" in result.stderr
