"""Intervals of the means in tables of held-out runs: paired, by mixture, and said in words."""

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import ModelError
from bayes_scaling.evaluation.intervals import INTERVALS
from bayes_scaling.evaluation.results import Backtest
from bayes_scaling.evaluation.uncertainty import Clusters, clustered_mean, clustered_share
from bayes_scaling.evaluation.verdicts import STACKED

LEAST_SQUARES = "least_squares_direct"
FAMILIES = {"law": "direct", "worse": "direct", STACKED: STACKED, LEAST_SQUARES: "point"}


def scores(mixture="web", cutoff=1e21, benchmarks=("one", "two", "three", "four"), runs=5, seed=0):
    """Return scores of all models; the errors of `worse` are those of `law` and 0.01 more."""
    rng = np.random.default_rng(seed)
    known = {"metric": "acc", "mixture": mixture, "cutoff": cutoff}
    rows = []
    for benchmark in benchmarks:
        # One error of the benchmark, which every run and every model has.
        shared = rng.gamma(2, 0.03) + 0.005 * rng.random(runs)
        for model, family in FAMILIES.items():
            more = {"law": 0.0, "worse": 0.01, STACKED: 0.002, LEAST_SQUARES: 0.02}[model]
            error = shared + more + 0.0005 * rng.random(runs)
            table = pd.DataFrame({"run": [f"r{i}" for i in range(runs)], "crps": error})
            table["flops"] = np.geomspace(2e21, 1e22, runs)
            table["median"] = 0.5 + error
            table["pit"] = np.nan if family == "point" else rng.random(runs)
            rows.append(table.assign(model=model, family=family, benchmark=benchmark, **known))
    table = pd.concat(rows, ignore_index=True).assign(observed=0.5, elpd=-1.0, distance=2.0)
    return table.assign(q05=0.4, q25=0.45, q75=0.6, q95=0.7)


def result(*tables):
    empty = pd.DataFrame()
    skipped = pd.DataFrame(columns=["model", "reason"])
    return Backtest(pd.concat(tables, ignore_index=True), empty, empty, skipped)


# ---- tables of means -----------------------------------------------------------------------------


def test_means_have_the_intervals_of_their_scores():
    table = scores()
    found = result(table).summary().set_index("model")
    law = table[table["model"] == "law"]
    clusters = Clusters.of(law)
    error = clustered_mean(law["crps"], clusters, positive=True)
    assert found.loc["law", ["crps_low", "crps_high"]].tolist() == pytest.approx(
        [error.low, error.high]
    )
    inside = (law["pit"] - 0.5).abs() <= 0.45
    share = clustered_share(inside, law["pit"], clusters)
    assert found.loc["law", ["cover90_low", "cover90_high"]].tolist() == pytest.approx(
        [share.low, share.high]
    )
    assert found.loc["law", "cover90"] == pytest.approx(inside.mean())
    for name in ("mae", "crps", "cover50", "cover90"):
        low, mean, high = (found.loc["law", f"{name}{end}"] for end in ("_low", "", "_high"))
        assert low <= mean <= high
    assert found.loc[LEAST_SQUARES, ["cover90", "cover90_low", "cover90_high"]].isna().all()
    assert found.loc[LEAST_SQUARES, ["crps_low", "crps_high"]].notna().all()


def test_benchmarks_count_alike_in_a_mean_and_in_its_interval():
    """A benchmark whose scores are all listed twice weighs no more than the others."""
    table = scores()
    law = table[table["model"] == "law"]
    one = law[law["benchmark"] == "one"]
    uneven = pd.concat([law, one], ignore_index=True)
    even, odd = (result(t).summary().iloc[0] for t in (law, uneven))
    columns = ["crps", "crps_low", "crps_high"]
    assert odd[columns].tolist() == pytest.approx(even[columns].tolist())


def test_one_benchmark_has_no_interval():
    found = result(scores(benchmarks=["one"])).summary()
    assert found[[*INTERVALS]].isna().all(axis=None)
    assert not set(INTERVALS) & set(result(scores()).by_benchmark())


def test_mixtures_are_never_averaged():
    web, books = scores("web", seed=1), scores("books", seed=2)
    both = result(web, books).summary().set_index(["model", "mixture"])
    for mixture, table in (("web", web), ("books", books)):
        alone = result(table).summary().set_index("model")
        columns = ["crps", "crps_low", "crps_high", "cover90", "n", "benchmarks"]
        assert both.loc[("law", mixture), columns].tolist() == pytest.approx(
            alone.loc["law", columns].tolist()
        )


def test_the_weight_of_a_model_is_the_mean_over_cutoffs():
    tables = [scores(cutoff=cutoff) for cutoff in (1e20, 1e21)]
    weights = pd.DataFrame(
        {"cutoff": [1e20, 1e21], "past_scores": 20, "design_effect": 3.0, "law": [0.9, 0.5]}
    )
    backtest = result(*tables)
    found = Backtest(backtest.scores, backtest.fits, weights, backtest.skipped).by_model()
    assert found.set_index("model")["weight"].dropna().to_dict() == pytest.approx({"law": 0.7})


# ---- differences ---------------------------------------------------------------------------------


def test_differences_are_paired_by_score():
    """What the benchmarks add to both models' errors cancels."""
    backtest = result(scores().sample(frac=1, random_state=0))
    found = backtest.differences("law").set_index("model")
    assert found.loc["worse", "difference"] == pytest.approx(0.01, abs=5e-4)
    assert found.loc["worse", "n"] == 20
    assert 0.009 < found.loc["worse", "low"] < found.loc["worse", "high"] < 0.011
    apart = backtest.summary().set_index("model")
    width = found["high"] - found["low"]
    assert width["worse"] < (apart["crps_high"] - apart["crps_low"])["worse"] / 10
    assert found["difference"].is_monotonic_increasing
    assert "law" not in found.index


def test_differences_turn_round_with_the_reference():
    backtest = result(scores())
    one = backtest.differences("law", "mae").set_index("model").loc["worse"]
    two = backtest.differences("worse", "mae").set_index("model").loc["law"]
    assert one["difference"] == pytest.approx(-two["difference"])
    assert (one["low"], one["high"]) == pytest.approx((-two["high"], -two["low"]))


def test_only_scores_that_both_forecast_are_compared():
    table = scores()
    missing = (table["model"] == "worse") & (table["benchmark"] == "four")
    found = result(table[~missing]).differences("law").set_index("model")
    assert found["n"].to_dict() == {"worse": 15, STACKED: 20, LEAST_SQUARES: 20}
    kept = result(table[table["benchmark"] != "four"]).differences("law").set_index("model")
    assert found.loc["worse", "high"] == pytest.approx(kept.loc["worse", "high"])


def test_equal_scores_of_one_run_are_told_apart_by_their_order():
    """Two k of pass@k that both score 0.5."""
    table = scores()
    again = table.assign(crps=table["crps"] + 0.1 * (table["model"] == "worse"))
    found = result(table, again).differences("law").set_index("model")
    assert found.loc["worse", "n"] == 40
    assert found.loc["worse", "difference"] == pytest.approx(0.06, abs=1e-3)


def test_the_reference_is_the_stacked_forecast_or_the_best():
    table = scores()
    assert set(result(table).differences()["reference"]) == {STACKED}
    without = result(table[table["model"] != STACKED])
    assert set(without.differences()["reference"]) == {"law"}
    with pytest.raises(ModelError, match="no scores of 'none'; there are"):
        without.differences("none")


def test_too_few_clusters_are_said_beside_the_difference():
    found = result(scores(runs=2)).differences("law").iloc[0]
    assert np.isnan([found["low"], found["high"]]).all()
    assert "2 runs and 4 benchmarks" in found["problem"]


# ---- words ---------------------------------------------------------------------------------------


def test_comparisons_in_words_come_with_their_intervals():
    said = result(scores()).verdicts()
    (single,) = [
        line for line in said if line.startswith("The best single law on these scores is law.")
    ]
    assert "0.0020 below that of the stacked forecast" in single
    assert "(90% interval of the difference -0.00" in single
    (squares,) = [line for line in said if line.startswith("The mean absolute error of the least")]
    assert "least-squares direct law is 0.018" in squares
    assert "above that of the stacked forecast" in squares
    (share,) = [line for line in said if line.startswith("The 90% intervals of the stacked")]
    assert "% to " in share


def test_no_interval_is_a_sentence():
    said = result(scores(runs=1)).verdicts()
    assert any(line.startswith("No interval: the scores are of 1 run and 4") for line in said)
    assert not any("90% interval of the difference" in line for line in said)


def test_cutoffs_and_mixtures_have_sentences_of_their_own():
    early, late = scores(cutoff=1e20), scores(cutoff=1e21)
    late.loc[late["model"] == LEAST_SQUARES, "median"] = 0.5
    said = result(early, late).verdicts()
    lost = [line for line in said if "larger absolute error" in line]
    assert lost[0].startswith("fitted up to 1e+20 FLOPs: The stacked forecast")
    assert "on 0 of 4 benchmarks" in lost[0]
    assert lost[1].startswith("fitted up to 1e+21 FLOPs: The stacked forecast")
    assert "on 4 of 4 benchmarks" in lost[1]
    by_mixture = result(early, scores("books", cutoff=1e20)).verdicts()
    starts = {line.split(": ")[0] for line in by_mixture}
    assert starts == {"web", "books"}
