"""Studies: nothing is lost or fitted twice, whoever works and whatever stops the work."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import install
from typer.testing import CliRunner

from bayes_scaling import BayesScalingError, Study
from bayes_scaling.cli.app import app
from bayes_scaling.fitting import fit as fitting
from bayes_scaling.fitting import store as storing
from bayes_scaling.fitting.shares import split
from bayes_scaling.study.jobs import Job

TINY = {"draws": 50, "tune": 50, "chains": 2}
CUTOFFS = [1e21, 3e21, 6e21, None]
BENCHMARKS = ["arc_easy", "sciq", "winogrande", "lambada_openai"]


@pytest.fixture(scope="module")
def runs(dclm):
    return dclm.select(benchmark=BENCHMARKS, metric="acc", tokens_per_param=20)


@pytest.fixture
def fake(monkeypatch):
    install(patch=monkeypatch.setattr)


@pytest.fixture
def fake_but(fake, monkeypatch):
    """Return a function that has the fake fit do something else first."""

    def change(first):
        fit_runs = fitting.fit_runs

        def changed(runs, model, **settings):
            first(runs)
            return fit_runs(runs, model, **settings)

        monkeypatch.setattr(fitting, "fit_runs", changed)

    return change


def study(runs, folder, models=("power_law",), **changes):
    return Study(list(models), runs, folder, **{"cutoffs": CUTOFFS, **TINY, **changes})


def contents(folder):
    """Return each file of fits with its time and bytes."""
    return {
        path.name: (path.stat().st_mtime_ns, path.read_bytes())
        for path in (Path(folder) / "fits").glob("*.nc")
    }


def draws(study):
    return {job: fit.posterior["level"].to_numpy() for job, fit in study.fits()}


def same_draws(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[job], other[job]) for job in one)


def raise_at(count, error):
    """Return a function that raises at its call number `count`."""
    calls = []

    def first(runs):
        calls.append(runs)
        if len(calls) == count:
            raise error

    return first


# ---- what a study is of ------------------------------------------------------------------------


def test_jobs_are_models_by_series_by_ratios_by_cutoffs(dclm, tmp_path):
    runs = dclm.select(benchmark=["arc_easy", "piqa"], metric=["acc", "acc_norm"])
    models = ["power_law", "params_tokens"]
    found = Study(models, runs, tmp_path, tokens_per_param=[20, 160, None], cutoffs=[1e21, None])
    series = {key for key, _ in runs.series()}
    wanted = {
        Job(model, *key, ratio, cutoff)
        for model in models
        for key in series
        for ratio in (20.0, 160.0, None)
        for cutoff in (1e21, None)
    }
    assert set(found.jobs) == wanted
    assert len(found.jobs) == len(wanted)
    assert list(tmp_path.iterdir()) == []


def test_each_k_is_a_series_to_a_law_that_does_not_read_it(humaneval, tmp_path):
    found = Study(["power_law", "pass_at_k"], humaneval, tmp_path)
    metrics = {model: [j.metric for j in found.jobs if j.model == model] for model in found.models}
    ks = sorted(humaneval.table["k"].unique())
    assert metrics == {"power_law": [f"pass@{k:g}" for k in ks], "pass_at_k": ["pass@k"]}


def test_seeds_differ_between_jobs_and_studies_only(runs, tmp_path):
    jobs = study(runs, tmp_path).jobs
    assert len({job.seed(0) for job in jobs}) == len(jobs)
    assert jobs[0].seed(0) == Job(*jobs[0]).seed(0) != jobs[0].seed(1)


def test_a_study_of_nothing_is_refused(runs, tmp_path):
    with pytest.raises(BayesScalingError, match="a model and a series"):
        study(runs, tmp_path, models=[])


# ---- fits and index ----------------------------------------------------------------------------


def test_every_fit_is_stored_and_in_the_index(fake, runs, tmp_path):
    done = study(runs, tmp_path)
    index = done.run(progress=False)
    assert len(index) == len(done.jobs) == 16
    assert (index["status"] == "done").all()
    assert (index["reason"] == "").all()
    assert (index["seconds"] >= 0).all()
    for row, (job, fit) in zip(index.itertuples(), done.fits(), strict=True):
        assert (row.model, row.benchmark, row.metric) == job[:3]
        assert fit.runs == runs.select(benchmark=job.benchmark).below(job.cutoff or np.inf)
        assert fit.seed == job.seed(0)
        assert row.problems == "; ".join(fit.diagnostics.problems()) != ""
        assert row.min_ess_bulk == pytest.approx(fit.diagnostics.min_ess_bulk)
        assert (tmp_path / row.file).is_file()
    written = pd.read_csv(tmp_path / "index.csv", keep_default_na=False, na_values="")
    assert list(written) == list(index)
    assert written["file"].tolist() == index["file"].tolist()
    assert "16 of 16 fits done (16 not converged), 0 failed, 0 left" in done.describe()


def test_a_failing_fit_is_recorded_and_the_others_are_made(fake_but, runs, tmp_path):
    def refuse_sciq(rows):
        if rows.benchmarks == ("sciq",):
            raise RuntimeError("all chains failed\nand more")

    fake_but(refuse_sciq)
    done = study(runs, tmp_path, cutoffs=[1e17, 6e21])
    index = done.run(progress=False).set_index(["benchmark", "cutoff"])
    too_few, sampler = index.xs(1e17, level="cutoff"), index.loc[("sciq", 6e21)]
    assert (too_few["status"] == "failed").all()
    assert too_few["reason"].str.contains("no rows are left").all()
    assert sampler["reason"] == "RuntimeError: all chains failed"
    assert (index["status"] == "done").sum() == 3
    assert "3 of 8 fits done (3 not converged), 5 failed, 0 left" in done.describe()
    job = next(j for j in done.jobs if j.benchmark == "sciq" and j.cutoff == 6e21)
    with pytest.raises(BayesScalingError, match=r"sciq acc on dclm.*failed RuntimeError"):
        done.load(job)


def test_a_failed_fit_is_tried_again(fake_but, runs, tmp_path):
    fake_but(raise_at(3, RuntimeError("luck")))
    done = study(runs, tmp_path)
    assert (done.run(progress=False)["status"] == "failed").sum() == 1
    before = contents(tmp_path)
    assert (Study.resume(tmp_path).run(progress=False)["status"] == "done").all()
    assert before.items() <= contents(tmp_path).items()


def test_before_it_is_run_all_is_pending(runs, tmp_path):
    waiting = study(runs, tmp_path)
    assert (waiting.index()["status"] == "pending").all()
    assert list(waiting.fits()) == []
    with pytest.raises(BayesScalingError, match="pending"):
        waiting.load(waiting.jobs[0])


# ---- interrupted -------------------------------------------------------------------------------


def test_ctrl_c_keeps_fits_and_says_how_to_go_on(fake_but, runs, tmp_path):
    fake_but(raise_at(6, KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt, match=r"5 of 16 .* bayes-scaling study --resume"):
        study(runs, tmp_path).run(progress=False)
    before = contents(tmp_path)
    assert len(before) == 5
    assert (pd.read_csv(tmp_path / "index.csv")["status"] == "done").sum() == 5
    resumed = Study.resume(tmp_path)
    resumed.run(progress=False)
    assert before.items() <= contents(tmp_path).items()
    whole = study(runs, tmp_path / "whole")
    whole.run(progress=False)
    assert same_draws(draws(resumed), draws(whole))
    assert set(contents(tmp_path)) == set(contents(tmp_path / "whole"))


def test_trouble_of_the_machine_stops_the_study_and_is_no_failed_fit(fake_but, runs, tmp_path):
    fake_but(raise_at(6, OSError("no space left")))
    stopped = study(runs, tmp_path)
    with pytest.raises(BayesScalingError, match=r"no space left.*5 of 16 .*--resume"):
        stopped.run(progress=False)
    assert (stopped.index()["status"] == "pending").sum() == 11


def test_what_was_damaged_or_removed_is_fitted_again(fake, runs, tmp_path):
    done = study(runs, tmp_path)
    done.run(progress=False)
    before = draws(done)
    files = sorted((tmp_path / "fits").iterdir())
    files[0].unlink()
    files[1].write_bytes(b"")
    outcomes = tmp_path / "outcomes"
    (outcomes / f"{files[1].name}.json").write_text('{"status"')
    (outcomes / f"{files[2].name}.json").unlink()
    assert (done.index()["status"] == "pending").sum() == 3
    kept = contents(tmp_path)[files[2].name]
    assert (done.run(progress=False)["status"] == "done").all()
    assert contents(tmp_path)[files[2].name] == kept
    assert same_draws(draws(done), before)


def test_another_study_in_the_folder_is_left_alone(fake, runs, tmp_path):
    study(runs, tmp_path).run(progress=False)
    before = contents(tmp_path)
    with pytest.raises(BayesScalingError, match="differs in seed, draws"):
        study(runs, tmp_path, seed=1, draws=60).run(progress=False)
    with pytest.raises(BayesScalingError, match="differs in runs"):
        study(runs.below(6e21), tmp_path).run(progress=False)
    study(runs, tmp_path).run(progress=False)  # the same one is no other
    assert contents(tmp_path) == before


def test_a_newer_version_goes_on_with_the_fits_of_an_older_one(fake_but, runs, tmp_path):
    fake_but(raise_at(6, KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        study(runs, tmp_path).run(progress=False)
    before = contents(tmp_path)
    begun, older = Study.resume(tmp_path), storing.FitStore(None, "0.0.1")
    for name, job in begun._by_name.items():
        if name in before:
            rows, model, settings = begun._inputs(job)
            older_name = older.name(rows, model, **settings)
            (tmp_path / "fits" / name).rename(tmp_path / "fits" / older_name)
    spec = json.loads((tmp_path / "study.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps(spec | {"bayes_scaling": "0.0.1"}))
    Study.resume(tmp_path).run(progress=False)
    after = contents(tmp_path).values()
    assert len(after) == 16
    assert set(before.values()) <= set(after)


def test_resuming_where_there_is_no_study(tmp_path):
    with pytest.raises(BayesScalingError, match="no study in"):
        Study.resume(tmp_path)
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(BayesScalingError, match="damaged"):
        Study.resume(tmp_path)


KILLED = """
import fakes
from bayes_scaling import Study, load_dataset
fakes.install(seconds=0.1)
runs = load_dataset("krajewski2025", "dclm")
runs = runs.select(benchmark={benchmarks!r}, metric="acc", tokens_per_param=20)
Study(["power_law"], runs, {folder!r}, cutoffs={cutoffs!r}, **{tiny!r}).run()
"""


@pytest.mark.slow
def test_nothing_is_lost_when_the_process_is_killed(fake, runs, tmp_path):
    code = KILLED.format(benchmarks=BENCHMARKS, folder=str(tmp_path), cutoffs=CUTOFFS, tiny=TINY)
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path})
    wait_for_fits(tmp_path, 5, process.poll)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = contents(tmp_path)
    assert 5 <= len(before) < 16
    # As if the kill had come in the midst of writing the next fit.
    resumed = Study.resume(tmp_path)
    left = next(j for j in resumed.jobs if resumed._names[j] not in before)
    half = tmp_path / "fits" / f"{resumed._names[left]}.0.part"
    half.write_bytes(next(iter(before.values()))[1][:1000])
    assert resumed.index()["status"].value_counts()["pending"] >= 16 - len(before)
    assert (resumed.run(progress=False)["status"] == "done").all()
    assert before.items() <= contents(tmp_path).items()
    assert len(contents(tmp_path)) == 16
    assert resumed.load(left).posterior.sizes == {"chain": 2, "draw": 50}


def wait_for_fits(folder, count, ended=lambda: None, seconds=120):
    end = time.monotonic() + seconds
    while len(list(Path(folder).glob("outcomes/*.json"))) < count:
        assert ended() is None, "ended before it was killed"
        assert time.monotonic() < end, "took too long"
        time.sleep(0.02)


# ---- many workers ------------------------------------------------------------------------------


def sizes(groups, workers):
    return [len(chunk) for chunk in split([[object()] * n for n in groups], workers)]


@pytest.mark.parametrize(
    ("groups", "workers", "chunks"),
    [
        ([12] * 7, 2, [12] * 7),
        ([12] * 7, 1, [12] * 7),
        ([1000], 1, [1000]),
        ([12, 1000, 12], 2, [128] * 7 + [104] + [12, 12]),
        ([3], 8, [3]),
        ([], 2, []),
    ],
)
def test_a_law_is_cut_up_only_where_workers_would_be_idle(groups, workers, chunks):
    found = sizes(groups, workers)
    assert sum(found) == sum(groups)
    assert len(found) == len(chunks)
    assert found == sorted(found, reverse=True)
    assert max(found, default=0) <= max(chunks, default=0)


def test_chunks_hold_every_task_once():
    tasks = [list(range(100)), list(range(100, 105))]
    assert sorted(task for chunk in split(tasks, 4) for task in chunk) == list(range(105))


def test_the_law_with_the_most_unknowns_comes_first(fake, runs, tmp_path, monkeypatch):
    laws = []
    fit_runs = fitting.fit_runs

    def noted(runs, model, **settings):
        laws.append(model.law_name)
        return fit_runs(runs, model, **settings)

    monkeypatch.setattr(fitting, "fit_runs", noted)
    names = ("power_law", "drifting_power_law", "power_law_ceiling")
    study(runs, tmp_path, names).run(workers=1)
    assert list(dict.fromkeys(laws)) == ["drifting_power_law", "power_law_ceiling", "power_law"]


def test_any_executor_does_the_same_work(fake, runs, tmp_path):
    alone, threads = study(runs, tmp_path / "alone"), study(runs, tmp_path / "threads")
    alone.run(progress=False)
    with ThreadPoolExecutor(2) as pool:
        index = threads.run(2, pool, progress=False)
    assert (index["status"] == "done").all()
    assert same_draws(draws(alone), draws(threads))


class Broken(Executor):
    """A pool whose worker dies at its second task."""

    def submit(self, function, *args):
        future = Future()
        if hasattr(self, "used"):
            future.set_exception(BrokenProcessPool("terminated abruptly"))
        else:
            future.set_result(function(*args))
        self.used = True
        return future


def test_a_dead_worker_is_an_error_that_says_how_to_go_on(fake, runs, tmp_path):
    with pytest.raises(BayesScalingError, match=r"worker process ended.* of 16 .*--resume"):
        study(runs, tmp_path).run(2, Broken(), progress=False)
    before = contents(tmp_path)
    assert 0 < len(before) < 16
    assert (Study.resume(tmp_path).run(progress=False)["status"] == "done").all()
    assert before.items() <= contents(tmp_path).items()


@pytest.mark.slow
def test_draws_depend_neither_on_workers_nor_on_order(runs, tmp_path):
    two = study(runs, tmp_path / "two")
    assert (two.run(workers=2, progress=False)["status"] == "done").all()
    part = runs.select(benchmark=["winogrande", "arc_easy"])
    one = study(part, tmp_path / "one", cutoffs=CUTOFFS[::-1])
    assert (one.run(workers=1, progress=False)["status"] == "done").all()
    assert one.jobs != tuple(job for job in two.jobs if job in one.jobs)
    alone, together = draws(one), draws(two)
    assert len(alone) == 8
    assert same_draws(alone, {job: together[job] for job in alone})
    assert len({values.tobytes() for values in together.values()}) == 16


@pytest.mark.slow
def test_nothing_is_lost_when_a_dask_worker_is_killed(runs, tmp_path):
    distributed = pytest.importorskip("distributed")

    class Fakes(distributed.WorkerPlugin):
        def setup(self, worker):
            install(seconds=0.3)

    killed = []

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
        ThreadPoolExecutor(1) as aside,
    ):
        client.register_plugin(Fakes())
        pids = client.run(os.getpid)

        def kill():
            wait_for_fits(tmp_path, 5)
            killed.append(contents(tmp_path))
            os.kill(next(iter(pids.values())), signal.SIGKILL)

        killing = aside.submit(kill)
        index = study(runs, tmp_path).run(2, client.get_executor(), progress=False)
        killing.result()
    assert (index["status"] == "done").all()
    assert 5 <= len(killed[0]) < 16
    assert killed[0].items() <= contents(tmp_path).items()
    assert len(contents(tmp_path)) == 16


# ---- the command -------------------------------------------------------------------------------

STUDY = {
    "data": "krajewski2025",
    "models": ["power_law"],
    "benchmarks": BENCHMARKS,
    "metrics": ["acc"],
    "mixtures": ["dclm"],
    "tokens_per_param": [20],
    "cutoffs": [1e21, 3e21, 6e21, "all"],
    **TINY,
}


@pytest.fixture
def toml(tmp_path):
    """Return a function that writes a study's file, from changes or as given."""

    def write(changes=None):
        path = tmp_path / "study.toml"
        if isinstance(changes, str):
            path.write_text(changes)
            return path
        fields = {**STUDY, **(changes or {})}
        lines = [f"{k} = {json.dumps(v)}" for k, v in fields.items() if v is not None]
        path.write_text("\n".join(lines))
        return path

    return write


def command(*args):
    return CliRunner().invoke(app, ["study", *map(str, args)])


def test_the_command_fits_and_goes_on(fake_but, toml, tmp_path, runs):
    fake_but(raise_at(6, KeyboardInterrupt))
    out = tmp_path / "out"
    stopped = command(toml(), "--out", out)
    assert stopped.exit_code == 130
    assert stopped.stderr.startswith("interrupted: 5 of 16 fits done")
    assert f"bayes-scaling study --resume {out}" in stopped.stderr
    before = contents(out)
    resumed = command("--resume", out, "--json")
    assert resumed.exit_code == 0, resumed.stderr
    said = json.loads(resumed.stdout)
    assert (said["done"], said["not_converged"], said["failed"], said["left"]) == (16, 16, 0, 0)
    assert len(said["fits"]) == 16
    assert before.items() <= contents(out).items()
    assert Study.resume(out).jobs == study(runs, tmp_path, tokens_per_param=[20]).jobs
    assert Study.resume(out).settings == TINY


def test_the_command_names_what_failed(fake_but, toml, tmp_path):
    def refuse_sciq(rows):
        if rows.benchmarks == ("sciq",):
            raise RuntimeError("all chains failed")

    fake_but(refuse_sciq)
    result = command(toml(), "--out", tmp_path / "out")
    said = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert "FAILED: power_law, 4 fits: RuntimeError: all chains failed" in said
    assert "NOT CONVERGED: power_law on arc_easy acc, dclm" in said
    assert "NOT CONVERGED: 2 more" in said
    assert "12 of 16 fits done (12 not converged), 4 failed, 0 left" in said


def test_the_command_fails_if_nothing_could_be_fitted(fake, toml, tmp_path):
    result = command(toml({"cutoffs": [1e17]}), "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "no rows are left" in result.stdout


def test_a_table_and_a_model_of_ones_own_are_found_beside_the_file(fake, toml, tmp_path, runs):
    (tmp_path / "mine").mkdir()
    runs.to_csv(tmp_path / "mine" / "runs.csv")
    (tmp_path / "mine" / "law.toml").write_text('law = "power_law"\nfloor = "fixed"\n')
    changes = {"data": "mine/runs.csv", "models": ["power_law", "mine/law.toml"]}
    result = command(toml(changes), "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    made = Study.resume(tmp_path / "out")
    assert made.runs == runs
    assert {name: model.floor for name, model in made.models.items()} == {
        "power_law": "auto",
        "law": "fixed",
    }


def test_standard_benchmarks_come_with_their_metrics(fake, toml, tmp_path):
    changes = {"benchmarks": "standard", "metrics": None, "cutoffs": [6e21]}
    assert command(toml(changes), "--out", tmp_path / "out").exit_code == 0
    found = {(job.benchmark, job.metric) for job in Study.resume(tmp_path / "out").jobs}
    assert len(found) == 12
    assert {("arc_easy", "acc"), ("piqa", "acc_norm"), ("lbpp", "pass@1")} <= found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"benchmark": ["sciq"]}, "unknown field 'benchmark'; did you mean 'benchmarks'?"),
        ({"data": None}, "field 'data' is missing: data = an embedded data set"),
        ({"models": "power_law"}, "field 'models' is 'power_law', but should be a list"),
        ({"models": []}, "field 'models' is [], but should be a list"),
        ({"benchmarks": "most"}, "field 'benchmarks' is 'most', but should be \"standard\""),
        ({"cutoffs": [1e21, -1]}, "field 'cutoffs' is [1e+21, -1], but should be a list"),
        ({"cutoffs": 1e21}, "field 'cutoffs' is 1e+21, but should be a list"),
        ({"tokens_per_param": [True]}, "field 'tokens_per_param' is [True]"),
        ({"draws": 2}, "field 'draws' is 2, but should be a whole number of at least 4"),
        ({"seed": 1.5}, "field 'seed' is 1.5, but should be a whole number"),
        ({"chains": True}, "field 'chains' is True, but should be a whole number"),
        ({"data": "krajewski"}, "no data set 'krajewski'. Available: krajewski2025"),
        ({"data": "none.csv"}, "none.csv: cannot be read"),
        ({"models": ["power_la"]}, "no model 'power_la'"),
        ({"models": ["power_law", "power_law"]}, "two models of one name"),
        ({"mixtures": ["pile"]}, "no row has mixture pile"),
        ({"benchmarks": "standard"}, "field 'metrics': the standard benchmarks have theirs"),
        ("models =", "is not TOML"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_in_one_line(toml, tmp_path, changes, words):
    result = command(toml(changes), "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "study.toml: " in result.stderr
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("both", [True, False])
def test_a_file_or_a_folder_not_both(toml, tmp_path, both):
    args = [toml(), "--resume", tmp_path] if both else []
    result = command(*args)
    assert result.exit_code == 2
    assert "--resume" in result.stderr
