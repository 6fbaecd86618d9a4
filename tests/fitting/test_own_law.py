"""A law of one's own lives as a shipped one does, from a notebook or from a file."""

import importlib.util
import inspect
import subprocess
import sys
import textwrap
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from ladders import as_runs, budgets, centred, count_correct, curve
from pymc_extras.prior import Prior

import bayes_scaling
from bayes_scaling import (
    Constant,
    Fit,
    Input,
    Parameter,
    Runs,
    ScalingLaw,
    ScalingModel,
    Study,
    backtest,
    check_law,
    compare,
    error_budget,
    fit_runs,
    get_law,
    load_model,
    register_law,
)
from bayes_scaling.errors import BayesScalingError, ModelError
from bayes_scaling.laws import registry
from bayes_scaling.plots import plot_bands, plot_forecast, plot_priors

pytestmark = pytest.mark.slow
mpl.use("agg")


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


class Logistic(ScalingLaw):
    """Q' = 1 / (1 + (C / C_half)^−steepness)."""

    name = "logistic"
    equation = "Q' = 1 / (1 + (C / C_half)^-steepness)"
    source = "a test"
    parameters = (Parameter("steepness", "steepness in log C", "", start=0.3),)
    constants = (Constant("log_C_half", "log C at which Q' is one half", "log FLOPs"),)
    priors = {"steepness": Prior("LogNormal", mu=-1.2, sigma=0.7)}

    def normalised_accuracy(self, p, x, c, xp):
        return 1 / (1 + xp.expm1(p["neg_log_q"]) * xp.exp(-p["steepness"] * x["flops"]))

    def textbook(self, p, c, xp):
        return {"log_C_half": c["flops"] + xp.log(xp.expm1(p["neg_log_q"])) / p["steepness"]}


def simulate(steepness=0.35, n=24, **columns):
    table, rng = budgets(n), np.random.default_rng(4)
    quality = 1 / (1 + np.exp(-steepness * centred(table)))
    counts = count_correct(0.25 + 0.75 * quality, 2000, 0.005, rng)
    return as_runs(table, n_correct=counts, n_items=2000, **columns)


@pytest.fixture(scope="module")
def runs():
    return simulate()


@pytest.fixture(scope="module")
def fit(runs):
    return fit_runs(runs.below(1e21), Logistic)


def test_it_finds_what_it_was_simulated_from(fit):
    check_law(Logistic)
    draws = fit.posterior["steepness"]
    assert abs(float(draws.mean()) - 0.35) < 3 * float(draws.std())
    assert float(draws.std()) < 0.05
    # Half of Q' is at the centroid of all runs.
    half = float(fit.posterior["log_C_half"].mean())
    assert half == pytest.approx(np.log(budgets(24)["flops"]).mean(), abs=0.5)


def test_it_forecasts_and_is_drawn(fit, runs):
    forecast = fit.forecast_runs(runs.above(1e21))
    low, high = forecast["score"].quantile([0.01, 0.99], ("chain", "draw"))
    assert bool(((forecast["observed"] > low) & (forecast["observed"] < high)).all())
    assert float(error_budget(fit, flops=1e22)["share"].sum()) == pytest.approx(1)
    for figure in (plot_forecast(fit, runs.above(1e21)), plot_priors(fit), plot_bands({"a": fit})):
        assert figure.axes
    assert "steepness" in fit._repr_html_()


def test_it_is_compared_and_backtested_beside_shipped_ones(fit, runs):
    other = fit_runs(runs.below(1e21), "power_law")
    assert set(compare({"logistic": fit, "power_law": other}).table.index) == {
        "logistic",
        "power_law",
    }
    models = {"logistic": ScalingModel(Logistic()), "power_law": load_model("power_law")}
    result = backtest(models, runs, [1e21], baselines=False, draws=300, chains=2)
    assert set(result.scores["model"]) == {"logistic", "power_law", "stacked"}


def test_its_file_needs_the_law_it_was_fitted_with(fit, tmp_path):
    path = fit.save(tmp_path / "fit.nc")
    with pytest.raises(BayesScalingError, match=r"no law 'logistic'.* after register_law"):
        Fit.load(path)
    loaded = Fit.load(path, law=Logistic())
    assert loaded.forecast(flops=1e22).equals(fit.forecast(flops=1e22))
    register_law(Logistic)
    assert Fit.load(path).model == fit.model

    class Steeper(Logistic):
        def normalised_accuracy(self, p, x, c, xp):
            return 1 / (1 + xp.expm1(p["neg_log_q"]) * xp.exp(-2 * p["steepness"] * x["flops"]))

    with pytest.raises(BayesScalingError, match="computes something else than when it was saved"):
        Fit.load(path, law=Steeper())
    with pytest.raises(BayesScalingError, match="law 'logistic', not 'power_law'"):
        Fit.load(path, law=get_law("power_law"))


SCRIPT = """
import sys, warnings
import numpy as np
from pymc_extras.prior import Prior
from bayes_scaling import Constant, Parameter, ScalingLaw, Study
from bayes_scaling.runs import Runs

{law}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    runs = Runs.from_csv({table!r})
    study = Study(
        {{"mine": Logistic()}}, runs, {folder!r}, cutoffs=[1e21, None], draws=100, tune=100
    )
    index = study.run(workers=2, progress=False)
    print(index["status"].tolist())
    again = Study.resume({folder!r}, laws=[Logistic()])
    print(again.index()["status"].tolist(), len(list(again.fits())))
"""


def test_a_law_of_a_script_is_studied_on_workers(runs, tmp_path):
    """The class is in __main__, as in a notebook: workers get it with the work."""
    runs.to_csv(tmp_path / "runs.csv")
    law = textwrap.dedent(inspect.getsource(Logistic))
    text = SCRIPT.format(law=law, table=str(tmp_path / "runs.csv"), folder=str(tmp_path / "study"))
    script = tmp_path / "mine.py"
    script.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["['done', 'done']", "['done', 'done'] 2"], done.stderr
    with pytest.raises(ModelError, match="no law 'logistic'"):
        Study.resume(tmp_path / "study")


def test_another_law_of_the_same_name_is_another_fit(runs, tmp_path):
    """A cell that is changed and run again must not get the fits of the old one."""

    class Changed(Logistic):
        def normalised_accuracy(self, p, x, c, xp):
            return xp.exp(-p["neg_log_q"] * xp.exp(-p["steepness"] * x["flops"]))

    store = bayes_scaling.FitStore(tmp_path)
    names = {store.name(runs, ScalingModel(law)) for law in (Logistic(), Changed(), Logistic())}
    assert len(names) == 2


def test_a_number_from_outside_the_class_is_part_of_the_law(runs):
    """As in a notebook: another cell is changed, and the law is fitted again."""
    factor = 1.0

    class Outside(Logistic):
        name = "outside"

        def normalised_accuracy(self, p, x, c, xp):
            slope = factor * p["steepness"]
            return 1 / (1 + xp.expm1(p["neg_log_q"]) * xp.exp(-slope * x["flops"]))

        def textbook(self, p, c, xp):
            return {"log_C_half": c["flops"] + 0 * p["steepness"]}

    first = fit_runs(runs, Outside, draws=300)
    factor = 2.0
    second = fit_runs(runs, Outside, draws=300)
    ratio = float(first.posterior["steepness"].mean() / second.posterior["steepness"].mean())
    assert ratio == pytest.approx(2.0, rel=0.05)


FILE = '''
"""A law in a file of its own."""

from bayes_scaling.laws import Constant, Parameter, ScalingLaw
from pymc_extras.prior import Prior


class Saturating(ScalingLaw):
    """-log Q' falls as 1 / (1 + x), x > -1 from the reach of the runs."""

    name = "saturating"
    equation = "-log Q' = a / (1 + b log C)"
    source = "a test"
    parameters = (Parameter("bend", "bend over the reach of the runs", "", start=0.3),)
    constants = (Constant("slope", "fall of -log Q' at the centroid", "nats per log FLOPs"),)
    priors = {"bend": Prior("Beta", alpha=2.0, beta=2.0)}

    def normalised_accuracy(self, p, x, c, xp):
        return xp.exp(-p["neg_log_q"] / (1 + p["bend"] * x["flops"] / (1.5 * c["reach"])))

    def textbook(self, p, c, xp):
        return {"slope": p["neg_log_q"] * p["bend"] / (1.5 * c["reach"])}


LAW = Saturating()
'''


def test_a_law_is_one_file_and_nothing_else_changes(runs, tmp_path, monkeypatch):
    """A file beside the shipped laws is a law: found by name, fitted, forecast, compared."""
    folder = tmp_path / "laws"
    folder.mkdir()
    (folder / "saturating.py").write_text(FILE, encoding="utf-8")
    import bayes_scaling.laws as package

    shipped = [str(Path(package.__file__).parent), str(folder)]
    monkeypatch.setattr(package, "__path__", shipped)
    monkeypatch.setattr(registry, "_folders", lambda: shipped)
    monkeypatch.delitem(sys.modules, "bayes_scaling.laws.saturating", raising=False)
    importlib.invalidate_caches()
    assert "saturating" in bayes_scaling.available_laws()
    check_law(get_law("saturating"))
    fit = fit_runs(runs, "saturating", draws=300)
    assert fit.model.law_name == "saturating"
    assert float(fit.forecast(flops=1e22)["curve"].mean()) > 0.7
    assert {"bend", "slope"} <= set(fit.posterior.data_vars)
    sys.modules.pop("bayes_scaling.laws.saturating", None)


# ---- a covariate ---------------------------------------------------------------------------------


class CodeAware(ScalingLaw):
    """The power law with a shift of log(−log Q') by the share of code in the mixture."""

    name = "code_aware"
    equation = "-log Q' = A C^-alpha e^(-effect share)"
    source = "a test"
    inputs = ("flops", Input("code_share", log=False))
    parameters = (
        Parameter("exponent", "fall of log(-log Q') in log C", "", start=0.15),
        Parameter("effect", "fall of log(-log Q') per unit of the share of code", "", start=0.1),
    )
    priors = {
        "exponent": Prior("LogNormal", mu=-1.9, sigma=0.7),
        "effect": Prior("Normal", mu=0.0, sigma=1.0),
    }

    def normalised_accuracy(self, p, x, c, xp):
        fall = p["exponent"] * x["flops"] + p["effect"] * x["code_share"]
        return xp.exp(-p["neg_log_q"] * xp.exp(-fall))

    def textbook(self, p, c, xp):
        return {}


@pytest.fixture(scope="module")
def with_code():
    table = pd.concat([budgets(16).assign(code_share=s) for s in (0.0, 0.2, 0.5)])
    fall = 0.2 * centred(table) + 0.8 * (table["code_share"] - table["code_share"].mean())
    accuracy = curve(0.6 * np.exp(-fall), 0.25)
    counts = count_correct(accuracy, 4000, 0.003, np.random.default_rng(3))
    raw = table.assign(
        run=[f"r{i}" for i in range(len(table))],
        benchmark="simulated", metric="acc", chance=0.25, n_correct=counts, n_items=4000,
    )  # fmt: skip
    return Runs.from_frame(raw.reset_index(drop=True), covariates=["code_share"])


def test_a_covariate_enters_a_law_and_its_forecasts(with_code):
    check_law(CodeAware)
    fit = fit_runs(with_code, CodeAware)
    effect = fit.posterior["effect"]
    assert abs(float(effect.mean()) - 0.8) < 3 * float(effect.std())
    assert float(effect.std()) < 0.1
    assert float(fit.observations["centre_code_share"]) == pytest.approx(0.7 / 3)
    low, high = fit.forecast(flops=1e22, code_share=[0.0, 0.5])["curve"].mean(("chain", "draw"))
    assert float(high) > float(low) + 0.03
    with pytest.raises(ModelError, match="code_aware needs code_share to forecast"):
        fit.forecast(flops=1e22)
    assert plot_forecast(fit).axes
    assert plot_bands({"code": fit}).axes


def test_a_logarithm_of_a_share_of_zero_is_refused(with_code):
    class InLogs(CodeAware):
        name = "in_logs"
        inputs = ("flops", "code_share")

    with pytest.raises(ModelError, match="reads the logarithm of 'code_share', which is 0 in run"):
        fit_runs(with_code, InLogs)
