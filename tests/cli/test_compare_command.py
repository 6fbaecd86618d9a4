"""`bayes-scaling compare`: what it compares, writes and says."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ladders import as_runs, budgets, centred, count_correct, curve
from typer.testing import CliRunner

from bayes_scaling.cli import compare_view
from bayes_scaling.cli.app import app
from bayes_scaling.cli.selections import choose_runs
from bayes_scaling.datasets.krajewski2025 import STANDARD_BENCHMARKS, is_published_split
from bayes_scaling.errors import RunsError
from bayes_scaling.evaluation.baselines import point_fits
from bayes_scaling.evaluation.results import Backtest
from bayes_scaling.evaluation.routes import RoutePair
from bayes_scaling.evaluation.splits import COMPARED_LAWS, RATIO_LAWS, plan_comparison
from bayes_scaling.evaluation.verdicts import STACKED

LAWS = ["power_law", "two_stage_linear"]
DIRECT, LINEAR = "least_squares_direct", "least_squares_two_stage_linear"


def own_ladder(benchmark, seed, n_runs=20, ratio=20.0, **columns):
    """Return runs of one benchmark with two losses, neither of the mixture's name."""
    rng, table = np.random.default_rng(seed), budgets(n_runs, ratio=ratio)
    accuracy = curve(0.9 * np.exp(-0.2 * centred(table)), floor=0.25)
    table["n_items"] = 2000
    table["n_correct"] = count_correct(accuracy, 2000, 0.01, rng)
    fall = 2.5 * np.exp(-0.06 * centred(table))
    luck = np.random.default_rng(0)  # a run's losses are the same for every benchmark
    losses = {f"loss_{name}": fall * luck.lognormal(0, 0.01, n_runs) for name in ("web", "books")}
    return as_runs(table.assign(**losses), benchmark=benchmark, **columns).table


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(*tables):
        pd.concat(tables).to_csv("runs.csv", index=False)
        return "runs.csv"

    return write


def choose(
    file=None, mixture=None, benchmarks=(), ratio=None, fit_below=None, laws=LAWS, loss=None, **more
):
    all_ratios = more.pop("all_ratios", False)
    cutoff, runs = choose_runs(file, mixture, benchmarks, ratio, all_ratios=all_ratios)
    cutoff = cutoff if fit_below is None else fit_below
    return plan_comparison(runs, laws=laws, cutoff=cutoff, loss=loss)


def is_papers(plan):
    return is_published_split(plan.runs, plan.cutoff)


# ---- what is compared ----------------------------------------------------------------------------


def test_embedded_data_are_the_papers_split():
    task = choose(laws=[])
    found = {key.benchmark: key.metric for key, _ in task.runs.series()}
    assert found == {b: "pass@k" if m == "pass@1" else m for b, m in STANDARD_BENCHMARKS.items()}
    assert task.cutoff == 6e21
    assert task.runs.above(6e21).table["run"].nunique() == 8
    assert list(task.models) == list(COMPARED_LAWS)
    assert is_papers(task)


def test_a_law_in_parameters_and_tokens_takes_part_where_both_vary(own):
    one, two = (own_ladder("quiz", seed=0), own_ladder("quiz", seed=1, ratio=80.0))
    two["run"] = "more-" + two["run"]
    for tables, laws in (([one], COMPARED_LAWS), ([one, two], (*COMPARED_LAWS, *RATIO_LAWS))):
        assert tuple(choose(own(*tables), laws=[]).models) == laws
    assert list(choose(own(one, two)).models) == LAWS  # those asked for, and no others


def test_embedded_runs_of_every_ratio_are_compared_on_request():
    task, usual = choose(laws=[], all_ratios=True), choose(laws=[])
    ratios = {round(ratio) for ratio in task.runs.table["tokens_per_param"]}
    assert {10, 20, 40, 80, 160} <= ratios
    assert set(usual.runs.table["run"]) < set(task.runs.table["run"])
    assert list(task.models) == [*COMPARED_LAWS, *RATIO_LAWS]
    assert task.cutoff == usual.cutoff
    both = CliRunner().invoke(app, ["compare", "--all-ratios", "--tokens-per-param", "40"])
    assert both.exit_code == 2
    assert "give --tokens-per-param or --all-ratios, not both" in both.stderr


@pytest.mark.parametrize(
    "other",
    [
        {"fit_below": 1e21},
        {"ratio": 40},
        {"benchmarks": ["piqa"]},
        {"mixture": "c4"},
        {"all_ratios": True},
    ],
)
def test_published_errors_stand_beside_that_split_only(other):
    assert not is_papers(choose(**other))


def test_published_errors_are_printed_beside_ours(capsys):
    compare_view.show(choose(), made_up(), [])
    direct = next(x for x in capsys.readouterr().out.splitlines() if DIRECT in x and "%" in x)
    assert direct.split()[2] == "4.00%"  # ours, of the made-up scores
    assert direct.split()[-2:] == ["1.96%", "0.0150"]
    compare_view.show(choose(fit_below=1e21), made_up(), [])
    elsewhere = capsys.readouterr().out
    assert "Published" not in elsewhere
    assert "1.96%" not in elsewhere


def test_elsewhere_the_last_factor_of_six_is_held_out(own):
    assert choose(own(own_ladder("one", 1))).cutoff == pytest.approx(1e21)
    c4 = choose(mixture="c4")
    assert c4.cutoff == pytest.approx(c4.runs.table["flops"].max() / 6)
    assert choose(own(own_ladder("one", 1)), fit_below=2e20).cutoff == 2e20


def test_the_loss_is_for_laws_that_go_through_one(own):
    models = choose(own(own_ladder("one", 1)), loss="loss_books").models
    assert models["two_stage_linear"].loss == "loss_books"
    assert models["power_law"].loss == "auto"


def test_mixtures_are_compared_one_at_a_time(own):
    tables = own_ladder("one", 1, mixture="a"), own_ladder("one", 2, mixture="b")
    with pytest.raises(RunsError, match="choose one with --mixture: a, b"):
        choose(own(*tables))
    assert choose("runs.csv", mixture="b").runs.mixtures == ("b",)


# ---- what it says --------------------------------------------------------------------------------


def made_up():
    """Return a backtest of two benchmarks: on `lost`, the better point fit beats the stack."""
    errors = {
        STACKED: (0.03, 0.01),
        LINEAR: (0.05, 0.05),
        DIRECT: (0.02, 0.02),
        "a": (0.01, 0.02),
        "b": (0.02, 0.01),
    }
    rows = [
        {"model": model, "benchmark": benchmark, "median": 0.5 + error, "crps": error, "elpd": -1.0}
        for model, pair in errors.items()
        for benchmark, error in zip(("lost", "won"), pair, strict=True)
    ]
    known = {"metric": "acc", "mixture": "m", "cutoff": 1e21, "run": "r", "flops": 2e21}
    bands = {"observed": 0.5, "q05": 0.4, "q25": 0.45, "q75": 0.6, "q95": 0.7, "pit": 0.5}
    scores = pd.DataFrame(rows).assign(**known, **bands, family="direct")
    scores.loc[scores["model"].isin([DIRECT, LINEAR]), "family"] = "point"
    fits = pd.DataFrame(
        [
            {"model": model, "benchmark": benchmark, "elpd_loo": elpd, "problems": ""}
            for model, pair in {"a": (-10.0, -10.0), "b": (-20.0, -20.0)}.items()
            for benchmark, elpd in zip(("lost", "won"), pair, strict=True)
        ]
    ).assign(metric="acc", mixture="m", cutoff=1e21)
    fits.loc[0, "problems"] = "R-hat 1.2 above 1.01"
    skipped = pd.DataFrame([{"model": "c", "benchmark": "won", "reason": "too few runs"}])
    return Backtest(scores, fits, pd.DataFrame(), skipped)


def test_losses_disagreement_and_lack_of_convergence_are_said():
    said = "\n".join(made_up().verdicts())
    assert f"than the best published point fit, {DIRECT}, on 1 of 2" in said
    assert "benchmarks: lost" in said
    assert "name the same best model on 1 of 2 benchmarks" in said
    assert "won: leave-one-out prefers a, held-out runs b" in said
    assert "NOT CONVERGED: a on lost: R-hat 1.2" in said
    assert "left out: c: too few runs" in said


def test_routes_are_printed_and_written(capsys, tmp_path):
    plain = made_up()
    scores = plain.scores.assign(distance=2.0)
    paired = Backtest(
        scores, plain.fits, plain.weights, plain.skipped, (RoutePair("a", "b", "loss_own"),)
    )
    compare_view.show(choose(), paired, compare_view.write(tmp_path, paired, {}))
    said = capsys.readouterr().out
    assert "CRPS through the loss less that of the same law direct" in said
    (line,) = [x for x in said.splitlines() if "loss_own" in x]
    assert "cannot tell" in line
    assert len(pd.read_csv(tmp_path / "compare_routes.csv")) == 1
    routes = compare_view.to_json(choose(), paired, [])["routes"]
    assert [row["through"] for row in routes] == ["b"]
    assert json.dumps(routes)
    assert compare_view.to_json(choose(), plain, [])["routes"] == []


def test_intervals_stand_beside_the_means(capsys):
    few = made_up()
    rows = [few.scores.assign(run=run, benchmark=few.scores["benchmark"] + more)
            for run in ("r", "s", "t") for more in ("", " again")]  # fmt: skip
    scores = pd.concat(rows, ignore_index=True)
    scores["crps"] += 0.001 * np.random.default_rng(0).random(len(scores))
    many = Backtest(scores, few.fits, few.weights, few.skipped)
    compare_view.show(choose(), many, [])
    said = capsys.readouterr().out
    model = many.by_model().set_index("model").loc["a"]
    between = f"[{model['crps_low']:.4f}, {model['crps_high']:.4f}]"
    (line,) = [x for x in said.splitlines() if between in x]
    assert line.split()[0] == "a"
    gap = many.differences().set_index("model").loc["a"]
    assert f"{gap['low']:+.4f} to {gap['high']:+.4f}" in said
    # One run and two benchmarks are too few, and it is said.
    compare_view.show(choose(), few, [])
    said = capsys.readouterr().out
    assert "No interval: the scores are of 1 run and 2 benchmarks" in said
    assert "nan" not in said


def test_means_over_fewer_benchmarks_are_told_apart():
    result = made_up()
    assert not [line for line in result.verdicts() if line.startswith("Means")]
    both = result.scores
    few = both[~both["model"].isin([DIRECT, LINEAR]) | (both["benchmark"] == "won")]
    said = Backtest(few, result.fits, result.weights, result.skipped).verdicts()
    (means,) = [line for line in said if line.startswith("Means")]
    assert means.startswith("Means over 1 of 2 benchmarks only")
    assert f": {LINEAR}, {DIRECT};" in means
    # And it is beaten, or not, where it is there to be beaten.
    assert any(f"{DIRECT}, on 0 of 1 benchmarks" in line for line in said)


# ---- the whole command ---------------------------------------------------------------------------


@pytest.mark.slow
def test_tables_and_figures_of_a_users_own_runs(own):
    file = own(own_ladder("one", 1), own_ladder("two", 2))
    options = ["--loss", "loss_web", "--fit-below", "1e21", "--draws", "300", "--chains", "2"]
    laws = [word for law in LAWS for word in ("--law", law)]
    result = CliRunner().invoke(app, ["compare", file, *laws, *options, "--json", "--out", "x"])
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    expected = {*LAWS, *point_fits(), STACKED}
    assert {row["model"] for row in said["models"]} == expected

    models = pd.read_csv("x/compare.csv")
    columns = "model family mre mae rmse r2 elpd crps cover50 cover90 weight"
    assert " ".join(models.columns).startswith(columns)
    assert set(models["model"]) == expected
    assert models["crps"].is_monotonic_increasing
    assert models["weight"].sum() == pytest.approx(1)
    models = models.set_index("model")
    # The simulated accuracy is a power law of compute.
    assert models.loc["power_law", "mae"] < models.loc[LINEAR, "mae"]
    assert models.loc["power_law", "family"] == "direct"

    cells = pd.read_csv("x/compare_by_benchmark.csv").set_index(["model", "benchmark"])
    assert len(cells) == 2 * len(expected)
    assert cells.loc[("power_law", "one"), ["elpd_loo", "se", "bad_k"]].notna().all()
    assert cells.groupby("model")["mae"].mean()["power_law"] == pytest.approx(
        models.loc["power_law", "mae"]
    )
    scores = pd.read_csv("x/compare_scores.csv").query("model == 'power_law'")
    assert scores["flops"].min() > 1e21
    inside = scores["pit"].between(0.05, 0.95)
    assert models.loc["power_law", "cover90"] == pytest.approx(inside.mean())
    differences = pd.read_csv("x/compare_differences.csv").set_index("model")
    assert set(differences.index) == expected - {STACKED}
    gap = models["crps"] - models.loc[STACKED, "crps"]
    assert differences["difference"].to_dict() == pytest.approx(gap.drop(STACKED).to_dict())
    assert all(Path(file).stat().st_size > 1000 for file in said["files"])
    assert sum(file.endswith(".png") for file in said["files"]) == 4

    # A second call, for people, finds the fits where the first one left them.
    again = CliRunner().invoke(app, ["compare", file, *laws, *options, "--out", "x"])
    assert again.exit_code == 0, again.stderr
    assert "Fitted on C ≤ 1e+21 FLOPs" in again.stdout
    assert "two_stage_linear" in again.stdout
    assert models.equals(pd.read_csv("x/compare.csv").set_index("model"))


@pytest.mark.slow
@pytest.mark.parametrize("others", [["--law", "power_law"], []])
def test_without_a_choice_of_loss_its_laws_are_left_out_and_it_is_said(own, others):
    """Whatever is left is scored, be it point fits alone."""
    options = [*others, "--law", "two_stage_linear", "--draws", "200", "--chains", "2", "--json"]
    result = CliRunner().invoke(app, ["compare", own(own_ladder("one", 1)), *options])
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)["verdicts"]
    reason = "name one of loss_books, loss_web, task_loss as the model's loss (--loss)"
    left_out = "left out: least_squares_two_stage_linear, least_squares_two_stage_logistic, "
    assert [line for line in said if reason in line] == [
        f"{left_out}two_stage_linear: which loss should the model go through? There is no "
        f"'loss_unspecified'; {reason}"
    ]
