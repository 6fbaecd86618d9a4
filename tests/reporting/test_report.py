"""The report: true numbers, nothing hidden, one file that asks nothing of any network."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from ladders import as_runs
from trends import CURVES, task
from typer.testing import CliRunner

from bayes_scaling import Study, backtest, classify, fit_runs, report
from bayes_scaling.cli.app import app
from bayes_scaling.errors import BayesScalingError
from bayes_scaling.fitting.questions import percent
from bayes_scaling.reporting.gathering import gather_report
from bayes_scaling.reporting.page import PageTable
from bayes_scaling.reporting.parts import Part
from bayes_scaling.runs import Runs

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CONTROL = "control.invalid"
BROWSERS_OWN = {
    *("accounts.google.com", "clients2.google.com", "update.googleapis.com", "www.google.com"),
    *("android.clients.google.com", "optimizationguide-pa.googleapis.com", "edgedl.me.gvt1.com"),
    *("content-autofill.googleapis.com", "redirector.gvt1.com", "safebrowsing.googleapis.com"),
    "safebrowsingohttpgateway.googleapis.com",
}
WIDTHS = (390, 1200)  # CSS pixels of a phone and of a desktop


class References(HTMLParser):
    """Collects everything that a page points to."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]


@pytest.fixture(scope="module")
def page(power_law_fit, ceiling_fit, held_out, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "report.html"
    fits = [power_law_fit, ceiling_fit]
    return report(fits, out, held_out=held_out, flops=[1e22, 1e23], targets=[0.85])


@pytest.fixture(scope="module")
def text(page):
    return unescape(page.read_text(encoding="utf-8"))


# ---- numbers -------------------------------------------------------------------------------------


def test_forecasts_are_those_of_the_fits(text, power_law_fit):
    score = power_law_fit.forecast(flops=1e23)["score"]
    low, middle, high = np.quantile(score, [0.05, 0.5, 0.95])
    assert f"{low:.3f} to {high:.3f}" in text
    assert (
        f"If power_law holds, one run of 1e+23 FLOPs scores between {low:.3f} and {high:.3f} on "
        f"arc_easy with 90% probability (median {middle:.3f}; the largest fitted run is 18 times "
        "smaller)"
    ) in text
    chance = float((score >= 0.85).mean())
    assert f"It scores 0.85 or more with {percent(chance)}." in text


def test_budgets_are_those_of_the_fits(text, power_law_fit, ceiling_fit):
    for fit in (power_law_fit, ceiling_fit):
        assert fit.budget_for(0.85).sentence in text
        assert fit.budget_for(0.85, of="curve").sentence in text


def test_held_out_scores_are_counted(text, power_law_fit, ceiling_fit, held_out):
    inside = 0
    for fit in (power_law_fit, ceiling_fit):
        table = fit.forecast_table(held_out)
        inside += int(table["observed"].between(table["q05"], table["q95"]).sum())
    assert f"Of 16 forecasts of scores of larger runs that were held out, {inside} hold" in text


def test_every_prior_has_its_reason(text, power_law_fit):
    for name, reason in power_law_fit.model.reasons.items():
        if name in power_law_fit.model.priors:
            assert reason in text


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "less than 1%"), (0.5, "50%"), (0.999, "more than 99%"), (0.01, "1%")],
)
def test_no_probability_is_certain(value, said):
    assert percent(value) == said


def test_the_default_target_halves_the_error(power_law_fit):
    part = Part("x", power_law_fit, None, (), ())
    best = float(power_law_fit.observations["score"].max())
    assert part.wanted == (round((1 + best) / 2, 3),)
    assert part.asked == (10 * float(power_law_fit.runs.table["flops"].max()),)


def test_what_a_law_reads_besides_compute_is_held_at_usual_values(params_tokens_fit, pass_at_k_fit):
    by_ratio = Part("x", params_tokens_fit, None, (), (0.85,))
    assert by_ratio.held_inputs == {"tokens_per_param": params_tokens_fit.runs.usual_ratio}
    by_k = Part("y", pass_at_k_fit, None, (), (0.5,))
    assert by_k.held_inputs["k"] == pass_at_k_fit.runs.table["k"].min()
    for part in (by_ratio, by_k):
        assert len(part.forecast_table) == 1
        answer = part.answers[0]
        held = part.fit.probability(answer.target, flops=answer.median, **part.held_inputs)
        assert float(held[0]) == pytest.approx(0.5, abs=0.05)
    assert by_k.held_words == " at k = 1"
    assert by_ratio.held_words.endswith("tokens per parameter")


def test_the_default_target_is_of_the_k_that_is_forecast(pass_at_k_fit):
    part = Part("y", pass_at_k_fit, None, (), ())
    table = pass_at_k_fit.runs.table
    best = table.loc[table["k"] == table["k"].min(), "score"].max()
    assert part.wanted == (round((1 + best) / 2, 3),)
    assert best < table["score"].max()


def test_a_perfect_score_leaves_a_target_that_can_be_asked_for(power_law_fit):
    seen = power_law_fit.bound.observations
    perfect = seen.assign(score=seen["score"].where(seen["row"] != seen["row"][0], 1.0))
    bound = replace(power_law_fit.bound, observations=perfect)
    assert Part("x", replace(power_law_fit, bound=bound), None, (), ()).wanted == (0.999,)


def test_two_processes_write_the_same_page(page, power_law_fit, ceiling_fit, held_out, tmp_path):
    out = report(
        [power_law_fit, ceiling_fit], tmp_path / "two.html", held_out=held_out,
        flops=[1e22, 1e23], targets=[0.85], workers=2,
    )  # fmt: skip
    assert out.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


# ---- what is wrong stands first ------------------------------------------------------------------


def test_a_fit_that_has_not_converged_stands_first(power_law_fit, ceiling_fit, tmp_path):
    apart = power_law_fit.posterior.copy(deep=True)
    apart["level"][0] += 0.05
    bad = replace(power_law_fit, posterior=apart)
    text = unescape(report([ceiling_fit, bad], tmp_path / "bad.html").read_text(encoding="utf-8"))
    assert "1 of 2 fits have NOT CONVERGED." in text
    alerts = text[text.index("Read these first") : text.index("<h2>Forecasts")]
    first = alerts[alerts.index("<li>") : alerts.index("</li>")]
    assert "NOT CONVERGED" in first
    assert "power_law" in first
    assert "Do not use this forecast as it stands" in first
    assert "(NOT CONVERGED)" in text[text.index("Series by series") :]


def test_left_out_runs_have_a_picture_where_there_are_enough(text, arc_easy, tmp_path):
    assert text.count("Leave-one-out PITs of ") == 2
    few = fit_runs(arc_easy.below(2e19), "power_law", draws=200, tune=200, chains=2)
    assert few.observations.sizes["row"] < 20
    page = report(few, tmp_path / "few.html").read_text(encoding="utf-8")
    assert "Leave-one-out PITs of " not in page


def test_failed_checks_stand_first(text, power_law_fit):
    failed = power_law_fit.checks().dropna(subset="passed")
    failed = failed[~failed["passed"].astype(bool)]
    assert len(failed)  # a plain power law does not fit these runs
    alerts = text[text.index("Read these first") : text.index("<h2>Forecasts")]
    for sentence in failed["sentence"]:
        assert sentence in alerts


# ---- one file ------------------------------------------------------------------------------------


def test_the_page_points_to_nothing_outside(page):
    parser = References()
    parser.feed(page.read_text(encoding="utf-8"))
    assert parser.found
    assert all(value.startswith(("data:", "#")) for value in parser.found)
    styles = re.findall(r"<style>.*?</style>|<script>.*?</script>", page.read_text(), re.S)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp|https?:", " ".join(styles))


def test_the_page_is_small(page):
    assert page.stat().st_size < 2 * 250_000  # twelve fits stay below 3 MB


def test_names_cannot_break_the_page(tmp_path, power_law_fit):
    evil = "<script>alert(1)</script>"
    table = power_law_fit.runs.table.assign(benchmark=evil)
    bound = power_law_fit.model.on(Runs.from_frame(table))
    out = report(replace(power_law_fit, bound=bound), tmp_path / "evil.html")
    assert evil not in out.read_text(encoding="utf-8")


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows_and_nothing_is_requested(page, tmp_path, width):
    """In a frame of a phone's or a desktop's width; browsers have a least width of windows."""
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text(
        f'<iframe id="f" src="{page.as_uri()}" width="{width}" height="3000"></iframe><script>'
        f'new Image().src = "http://{CONTROL}/x.png";'
        'addEventListener("load", () => { const d = document.getElementById("f").contentDocument;'
        'for (const one of d.querySelectorAll("details")) one.open = true;'
        "document.title = JSON.stringify([d.documentElement.scrollWidth, "
        'd.querySelectorAll("img").length, [...d.images].every((i) => i.naturalWidth > 0)]); });'
        "</script>"
    )
    log = tmp_path / "net.json"
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    more = [f"--log-net-log={log}", "--virtual-time-budget=5000", "--dump-dom", wrapper.as_uri()]
    done = subprocess.run(
        [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'profile'}", *more],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    title = unescape(re.search(r"<title>(.*?)</title>", done.stdout).group(1))
    scroll_width, images, loaded = json.loads(title)
    assert scroll_width <= width
    assert images >= 6
    assert loaded
    asked = set(re.findall(r'"url":"https?://([^"/:]+)', log.read_text()))
    assert CONTROL in asked  # a request is seen where there is one
    # The browser itself may call home; the page must not be who asked.
    assert asked - {CONTROL} <= BROWSERS_OWN


# ---- the other sections --------------------------------------------------------------------------


def test_past_forecasts_and_behaviours_are_shown(dclm, power_law_fit, tmp_path):
    names = ["arc_easy", "piqa", "sciq"]
    runs = dclm.select(names, "acc", tokens_per_param=20).below(6e21)
    models = {"power_law": "power_law", "power_law_ceiling": "power_law_ceiling"}
    past = backtest(models, runs, [1e21], stack=False, loo=True)
    rng = np.random.default_rng(5)
    tasks = [task(CURVES[name], rng, name=name).table for name in ("predictable", "trendless")]
    found = classify(Runs.from_frame(pd.concat(tasks)), "loss_web", losses=[], draws=300, tune=300)
    out = report(power_law_fit, tmp_path / "r.html", past=past, behaviours=found, command="made so")
    text = unescape(out.read_text(encoding="utf-8"))
    rows = past.scores[past.scores["model"] == "power_law"]
    ours = rows[rows["benchmark"] == "arc_easy"]  # the only one with a fit on the page
    inside = ((ours["pit"] - 0.5).abs() <= 0.45).sum()
    assert f"their 90% intervals hold {inside} of {len(ours)} scores" in text
    assert "50% of 2 tasks depend on loss_web in a predictable way" in text
    assert "do not rely on its probability" not in text  # they have 48 runs each
    assert "least_squares_direct" in text
    assert "Leave-one-out among the smaller fitted runs" in text
    for row in past.by_loo().itertuples():
        assert re.search(rf"<td>{row.model}</td><td>{row.elpd:.3g}</td>", text)
    for weight in past.weights_ahead().values():
        assert f"<td>{weight:.3g}</td>" in text
    assert "made so" in text


def test_a_study_is_reported(arc_easy, tmp_path):
    study = Study(["power_law"], arc_easy, tmp_path / "study", draws=200, tune=200, chains=2)
    with pytest.raises(BayesScalingError, match="may not have run yet"):
        report(study, tmp_path / "none.html")
    study.run()
    text = report(study, tmp_path / "study.html").read_text(encoding="utf-8")
    assert "1 fits of 1 series of scores" in text


# ---- the command ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    """Return the runs of two benchmarks without a loss, of which one cannot be fitted."""
    rng = np.random.default_rng(1)
    flops = np.geomspace(1e18, 1e22, 12)
    curve = 0.25 + 0.75 * np.exp(-0.6 * (flops / 1e20) ** -0.15)
    runs = as_runs(pd.DataFrame({"flops": flops, "score": curve + rng.normal(0, 0.004, 12)}))
    quiz = runs.table.assign(benchmark="quiz", n_items=5000)
    stuck = quiz.assign(benchmark="stuck", score=0.25, n_items=np.nan)
    return pd.concat([quiz, stuck])


def test_the_command_writes_the_page_and_goes_on_from_kept_fits(table, tmp_path):
    source, out = tmp_path / "runs.csv", tmp_path / "page.html"
    table.to_csv(source, index=False)
    arguments = [
        "report", str(source), "--out", str(out), "--law", "power_law", "--target", "0.7",
        "--at", "1e23", "--draws", "500", "--tune", "300", "--workers", "1",
        "--fit-below", "5e21",
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    text = unescape(out.read_text(encoding="utf-8"))
    assert "how tasks depend on a validation loss is not told" in text
    assert "scores of larger runs that were held out" in text
    assert "stuck acc could not be fitted: stuck (acc): every score is 0.25" in text
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "page_fits").rglob("*.nc")}
    assert kept
    assert CliRunner().invoke(app, arguments).exit_code == 0
    again = {file: file.stat().st_mtime_ns for file in (tmp_path / "page_fits").rglob("*.nc")}
    assert again == kept


def test_several_mixtures_are_refused(table, tmp_path):
    both = pd.concat([table.assign(mixture=m, run=table["run"] + m) for m in ("a", "b")])
    with pytest.raises(BayesScalingError, match="choose one: a, b"):
        gather_report(Runs.from_frame(both), tmp_path)


# ---- tables --------------------------------------------------------------------------------------


def test_cells_of_tables_are_text():
    frame = pd.DataFrame(
        {
            "flops": [1e22], "q05": [0.123456], "n": [12], "with 5% at": [0.0],
            "with 95% at": [np.inf], "x": [np.nan],
        }
    )  # fmt: skip
    table = PageTable.of(frame)
    assert table.columns == ("flops", "5%", "n", "with 5% at", "with 95% at", "x")
    assert table.rows == (("1e+22", "0.123", "12", "any", "none", ""),)
