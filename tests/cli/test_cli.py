"""The command line: what it prints, writes and refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bayes_scaling.cli.app import app

SCRIPT = Path(sys.executable).with_name("bayes-scaling")
COMMAND = (
    [SCRIPT]
    if SCRIPT.exists()
    else [sys.executable, "-c", "from bayes_scaling.cli.app import app; app()"]
)
SCORE = ["median", "q05", "q25", "q75", "q95"]
FILES = [
    *("forecast.csv", "error_budget.csv"),
    *("forecast.png", "priors.png", "error_budget.png", "fit.nc"),
]


def run(*args):
    return CliRunner().invoke(app, ["forecast", *map(str, args)])


def refusal(*args):
    """Return the one line with which the command refuses its arguments."""
    result = run(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr.strip()


def ladder(**columns):
    """Return a user's own table: twelve runs of one benchmark, scores as counts."""
    C = np.geomspace(1e18, 1e21, 12)
    accuracy = 0.25 + 0.75 * np.exp(-2 * (C / 1e18) ** -0.2)
    table = {
        "run": [f"r{i}" for i in range(12)],
        "flops": C,
        "benchmark": "own_task",
        "metric": "acc",
        "n_items": 1000,
        "n_correct": np.round(1000 * accuracy),
        "chance": 0.25,
    }
    return pd.DataFrame({**table, **columns})


@pytest.fixture
def own(tmp_path):
    """Return a function that writes a user's own tables and returns the file."""

    def write(*tables):
        path = tmp_path / "runs.csv"
        pd.concat(tables or [ladder()]).to_csv(path, index=False)
        return path

    return write


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# ---- without a fit -----------------------------------------------------------------------------


def test_help_imports_nothing_slow():
    code = (
        "import sys; from bayes_scaling.cli.app import app\n"
        "try: app(['forecast', '--help'])\n"
        "except SystemExit: pass\n"
        "slow = {'pymc', 'pytensor', 'nutpie', 'arviz', 'pandas', 'numpy', 'matplotlib', 'rich'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--fit-below" in done.stdout


def test_without_a_command_help_is_shown():
    assert "forecast" in CliRunner().invoke(app, []).output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["none.csv"], "none.csv: cannot be read"),
        (["--law", "powerlaw"], "no model 'powerlaw'. Models: "),
        (["--law", "power_law", "--model", "own.toml"], "give --law or --model, not both"),
        (["--model", "none.toml"], "model file none.toml: "),
        (["--floor", "none"], "floor 'none' is not one of auto, free, fixed, filter"),
        (["--likelihood", "poisson"], "no likelihood 'poisson'. Likelihoods: normal, student_t"),
        (["--benchmark", "arc_esy"], "Did you mean arc_easy?"),
        (["--benchmark", "hellaswag", "--metric", "f1"], "Available: acc, acc_norm"),
        (["--tokens-per-param", "33"], "Available: 10, 20, 40, 80, 160"),
        (["--fit-below", "1e10"], "no run has at most 1e+10 FLOPs; the smallest has 1e+18"),
        (["--at", "-1"], "flops must be positive and finite"),
        (
            ["--law", "power_law", "--benchmark", "humaneval-py"],
            "choose one with --metric pass@1, or a law",
        ),
        (["--law", "pass_at_k"], "arc_easy (acc): pass_at_k needs 'k'"),
        (
            ["--law", "power_law", "--loss", "loss_c4"],
            "power_law does not go through a loss; leave --loss out",
        ),
        (["--law", "two_stage_linear", "--loss", "nll"], "no loss column 'nll'; there are loss_c4"),
    ],
)
def test_refusals_are_one_line_with_the_mend(args, message):
    line = refusal(*args)
    assert line.startswith("error: ")
    assert message in line
    assert len(line.splitlines()) == 1


def test_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "own.toml").write_text("law = power_law")
    assert refusal("--model", "own.toml").startswith("error: model file own.toml: ")


def test_choice_among_several_is_left_to_the_user(own):
    two = own(ladder(), ladder(benchmark="other"))
    assert "there are 2 benchmarks; choose one with --benchmark: other, own_task" in refusal(two)
    two = own(ladder(), ladder(metric="acc_norm"))
    assert "there are 2 metrics; choose one with --metric: acc, acc_norm" in refusal(two)
    two = own(ladder(mixture="a"), ladder(mixture="b"))
    assert "there are 2 mixtures; choose one with --mixture: a, b" in refusal(two)


def test_invalid_table_is_refused_with_the_row(own):
    assert "row 2, column 'n_correct'" in refusal(own(ladder(n_correct=5000)))


def test_folder_that_cannot_be_made_is_refused(own):
    assert "File exists" in refusal(own(), "--out", "runs.csv")


# ---- with a fit --------------------------------------------------------------------------------


@pytest.mark.slow
def test_command_without_arguments_as_a_user_runs_it(tmp_path):
    done = subprocess.run(
        [*COMMAND, "forecast", "--json", "--at", "1e23"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result = json.loads(done.stdout)

    *held_out, future = result["forecast"]
    assert len(held_out) == 8
    assert (future["flops"], future["observed"]) == (1e23, None)
    errors = [row["median"] - row["observed"] for row in held_out]
    assert np.mean(np.abs(errors)) < 0.01
    for row in result["forecast"]:
        assert 0 < row["q05"] < row["q25"] < row["median"] < row["q75"] < row["q95"] < 1

    for name in ("exponent", "binomial_share", "level", "scatter", "ceiling"):
        parameter = result["parameters"][name]
        assert parameter["q05"] < parameter["mean"] < parameter["q95"]
        assert parameter["sd"] > 0
    diagnostics = result["diagnostics"]
    assert diagnostics["divergences"] == 0
    assert diagnostics["max_rhat"] <= 1.01
    assert min(diagnostics["min_ess_bulk"], diagnostics["min_ess_tail"]) >= 400
    assert result["problems"] == []
    checks = {row["check"]: row for row in result["checks"]}
    assert checks["convergence"]["passed"] is True
    assert checks["item noise"]["passed"] is None
    assert {"neighbours", "end slope", "prior conflict", "prior sensitivity"} <= set(checks)
    model = {"law": "drifting_power_law_ceiling", "likelihood": "normal", "floor": "fixed"}
    assert model.items() <= result["model"].items()
    assert "is the default" in result["model"]["why"]
    used = {"benchmark": "arc_easy", "metric": "acc", "mixture": "dclm", "n_runs_fitted": 46}
    assert used.items() <= result["data"].items()

    assert [Path(file) for file in result["files"]] == [Path("forecast") / name for name in FILES]
    check_files(tmp_path / "forecast", result)


def check_files(folder, result):
    from bayes_scaling import Fit

    written = pd.read_csv(folder / "forecast.csv")
    told = pd.DataFrame(result["forecast"])
    np.testing.assert_allclose(written[SCORE], told[SCORE].astype(float))
    for figure in ("forecast.png", "priors.png", "error_budget.png"):
        assert (folder / figure).read_bytes().startswith(b"\x89PNG")
    fit = Fit.load(folder / "fit.nc")
    forecast = fit.forecast(flops=1e23)["score"]
    assert float(forecast.median()) == pytest.approx(told["median"].iloc[-1])


@pytest.mark.slow
def test_table_for_people(own):
    result = run(own(), "--fit-below", "3e20", "--at", "1e22")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    out = " ".join(result.stdout.split())
    of = "(normal, fixed floor) on own_task acc, unspecified: 10 scores"
    assert f"drifting_power_law_ceiling {of}" in out
    assert "drifting_power_law_ceiling is the default: of the laws whose 90% intervals" in out
    assert "flops observed median 50% interval 90% interval inside" in out
    assert "Intervals are of the score of one future run" in out
    assert "Sampling: 0 divergences, R-hat up to 1.0" in out
    assert all(f"forecast/{name}" in out for name in FILES)
    assert "1e+22" in out


@pytest.mark.slow
def test_failed_checks_are_told_and_a_bent_ladder_cautions(own):
    u = np.linspace(0, 1, 24)
    table = (
        ladder()
        .iloc[np.repeat(0, 24)]
        .assign(
            run=[f"r{i}" for i in range(24)],
            flops=1e18 * 1000**u,
            n_items=10_000,
            n_correct=np.round(10_000 * (0.4 + 0.2 * u + 0.5 * (u - 0.75).clip(0))),
        )
    )
    out = " ".join(run(own(table), "--law", "power_law").stdout.split())
    before, after = out.split("Intervals are of the score of one future run")
    assert "Caution: Over the last 6 runs the scores bend away from the curve" in before
    assert "forecasts of larger runs are likely too low" in before
    assert "Fails end slope: Over the last 6 runs" in after


@pytest.mark.slow
def test_with_nothing_held_out_the_next_run_is_forecast(own):
    result = json.loads(run(own(), "--json").stdout)
    (row,) = result["forecast"]
    assert row["flops"] == pytest.approx(1e22)
    assert row["observed"] is None
    assert result["data"]["n_runs_held_out"] == 0
    assert "10 times the largest budget fitted" in result["data"]["notes"][-1]


@pytest.mark.slow
def test_where_ratios_vary_the_default_reads_them_and_budgets_get_the_usual_one(own):
    params = np.geomspace(1e8, 1e10, 12)
    table = ladder().iloc[:12].assign(params=params, tokens=params[::-1] ** 0.5 * 1e6)
    table = table.drop(columns="flops")
    result = json.loads(run(own(table), "--at", "1e22", "--json").stdout)
    assert result["model"]["law"] == "drifting_params_tokens"
    assert "where the ratio of tokens to params varies" in result["model"]["why"]
    (row,) = result["forecast"]
    usual = float((table["tokens"] / table["params"]).median())
    assert row["tokens"] / row["params"] == pytest.approx(usual)
    assert "the median of the fitted runs" in result["data"]["notes"][-1]


@pytest.mark.slow
def test_a_ratio_that_no_run_has_is_one_for_budgets_of_a_law_that_reads_it(own):
    params = np.geomspace(1e8, 1e10, 12)
    table = ladder(params=params, tokens=params[::-1] ** 0.5 * 1e6).drop(columns="flops")
    asked = ["--law", "params_tokens", "--tokens-per-param", "33", "--at", "1e22", "--json"]
    (row,) = json.loads(run(own(table), *asked, "--draws", "300").stdout)["forecast"]
    assert row["tokens"] / row["params"] == pytest.approx(33)


@pytest.mark.slow
def test_options_reach_the_fit(own, tmp_path):
    (tmp_path / "own.toml").write_text(
        'law = "power_law"\n[priors.exponent]\ndist = "LogNormal"\n'
        "kwargs = { mu = 0.0, sigma = 0.001 }\n"
    )
    options = ["--floor", "fixed", "--draws", "300", "--chains", "2", "--seed", "7"]
    result = json.loads(run(own(), "--model", "own.toml", *options, "--json", "--out", "x").stdout)
    assert result["parameters"]["exponent"]["mean"] == pytest.approx(1.0, abs=0.01)
    assert result["model"]["floor"] == "fixed"
    assert "floor" not in result["parameters"]
    assert result["sampling"] == {"seed": 7, "chains": 2, "draws": 300}
    assert (tmp_path / "x" / "fit.nc").exists()


@pytest.mark.slow
def test_warnings_and_lack_of_convergence_are_loud_but_not_on_stdout(own):
    suspicious = own(ladder(n_correct=0, n_items=1000, chance=0.0))
    result = run(suspicious, "--json", "--draws", "20", "--tune", "5", "--chains", "2")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["problems"]
    assert result.stderr.startswith("warning: ")
    assert "ConvergenceWarning" not in result.stderr
    shown = run(suspicious, "--draws", "20", "--tune", "5", "--chains", "2").stdout
    assert " ".join(shown.split()).count("NOT CONVERGED") == 2


@pytest.mark.slow
def test_pass_at_k_is_forecast_for_each_k(pass_at_k_fit, monkeypatch):
    monkeypatch.setattr("bayes_scaling.fitting.fit.fit_runs", lambda *_, **__: pass_at_k_fit)
    options = ["--benchmark", "humaneval-py", "--law", "pass_at_k", "--at", "1e23"]
    rows = json.loads(run(*options, "--json").stdout)["forecast"]
    assert len(rows) == 64 + 8
    assert [row["k"] for row in rows[64:]] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert all(row["flops"] == 1e23 for row in rows[64:])
    assert rows[0]["observed"] is not None


@pytest.mark.slow
def test_params_tokens_uses_all_ratios_and_forecasts_at_one(params_tokens_fit, monkeypatch):
    monkeypatch.setattr("bayes_scaling.fitting.fit.fit_runs", lambda *_, **__: params_tokens_fit)
    shown = run("--law", "params_tokens", "--at", "1e23").stdout
    assert "flops tokens/param observed median" in " ".join(shown.split())
    table = pd.read_csv("forecast/forecast.csv")
    assert len(table) == 11 + 1
    assert table["tokens"].iloc[-1] / table["params"].iloc[-1] == pytest.approx(20)
