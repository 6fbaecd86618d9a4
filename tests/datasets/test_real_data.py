"""The embedded figures: the published pattern, and posteriors that sample well."""

import numpy as np
import pytest

from bayes_scaling import fit_runs, load_dataset, load_model
from bayes_scaling.inference.samplers import sample

pytestmark = pytest.mark.slow


def errors_of(fit, held_out):
    forecast = fit.forecast_runs(held_out)
    return (forecast["score"].median(("chain", "draw")) - forecast["observed"]).to_numpy()


def test_the_direct_law_predicts_arc_easy_to_a_point(power_law_fit, held_out):
    """Krajewski et al. 2025: fitted on C <= 6e21, eight larger runs are met within a point."""
    assert len(held_out) == 8
    assert power_law_fit.runs.table["flops"].max() <= 6e21 < held_out.table["flops"].min()
    assert np.abs(errors_of(power_law_fit, held_out)).mean() < 0.01


def test_it_beats_the_best_guess_without_a_law(power_law_fit, held_out):
    last = power_law_fit.runs.table.sort_values("flops")["score"].iloc[-1]
    without = np.abs(held_out.table["score"] - last).mean()
    assert np.abs(errors_of(power_law_fit, held_out)).mean() < without / 3


def test_the_posterior_is_centred_on_the_published_way_of_fitting(arc_easy, power_law_fit):
    """A line through log(-log Q') by least squares, near-chance runs dropped, as in the paper."""
    table = arc_easy.drop_near_chance().table
    quality = (table["score"] - 0.25) / 0.75
    line = np.polyfit(np.log(table["flops"]), np.log(-np.log(quality)), 1)
    assert float(power_law_fit.posterior["exponent"].mean()) == pytest.approx(-line[0], abs=0.03)


GEOMETRY = [
    # law, benchmark, metric: scores near chance, near zero, with early and late saturation.
    ("power_law", "arc_challenge", "acc"),
    ("power_law", "gsm8k_cot_llama", "exact_match"),
    ("power_law", "winogrande", "acc"),
    ("power_law_ceiling", "arc_easy", "acc"),
    ("power_law_ceiling", "hellaswag", "acc_norm"),
    ("power_law_ceiling", "gsm8k_cot_llama", "exact_match"),
    ("broken_power_law", "sciq", "acc"),
    # A drift that the runs measure, one they leave to its prior, and a curve that meets chance.
    ("drifting_power_law", "gsm8k_cot_llama", "exact_match"),
    ("drifting_power_law", "humaneval-py", "pass@1"),
    ("drifting_power_law_ceiling", "sciq", "acc"),
    ("two_stage_linear", "triviaqa_1shot", "exact_match"),
    ("two_stage_logistic", "webqs_1shot", "exact_match"),
    ("pass_at_k", "humaneval-py", "pass@k"),
    ("pass_at_k", "lbpp", "pass@k"),
]


@pytest.mark.parametrize(("law", "benchmark", "metric"), GEOMETRY)
def test_posteriors_sample_well(law, benchmark, metric, series):
    found = sample(load_model(law).on(series(benchmark, metric))).diagnostics
    assert found.problems() == []


@pytest.mark.parametrize(
    ("law", "benchmark"),
    [
        ("params_tokens", "arc_easy"),
        ("params_tokens", "hellaswag"),
        ("drifting_params_tokens", "arc_challenge"),
        ("drifting_params_tokens", "winogrande"),
    ],
)
def test_laws_in_parameters_and_tokens_sample_well(law, benchmark, series):
    runs = series(benchmark, "acc", tokens_per_param=None)
    found = sample(load_model(law).on(runs)).diagnostics
    assert found.problems() == []


def test_the_other_mixture_samples_well():
    runs = load_dataset("krajewski2025", mixture="c4").select(benchmark="piqa", metric="acc_norm")
    assert fit_runs(runs.select(tokens_per_param=20)).diagnostics.problems() == []


def test_many_zeros_leave_the_scatter_to_the_other_runs(series):
    """Zero pass@1 in 9 of 11 runs: scores of at most 0.06 follow, up to 20 times the compute."""
    runs = series("lbpp", "pass@1", tokens_per_param=80)
    fit = fit_runs(runs.below(2e20), load_model("drifting_power_law"))
    assert fit.diagnostics.problems() == []
    assert float(fit.posterior["scatter"].quantile(0.05)) > 1e-3
    forecast = fit.forecast_runs(runs.above(2e20))
    highest = forecast["score"].quantile(0.95, ("chain", "draw"))
    assert (forecast["observed"] <= highest).all()


def test_one_odd_score_among_zeros_is_scatter_and_not_a_bend(series):
    """Scores of 0 to 0.004 but for one of 0.007; at 30 times the compute no more than 0.06."""
    runs = series("lbpp", "pass@1", tokens_per_param=None).below(6e21)
    fit = fit_runs(runs.below(2e20), load_model("drifting_power_law"))
    assert fit.diagnostics.problems() == []
    assert float(fit.posterior["tau"].quantile(0.95)) < 0.5
    forecast = fit.forecast_runs(runs.above(2e20))
    assert float(forecast["score"].median(("chain", "draw")).max()) < 0.1
