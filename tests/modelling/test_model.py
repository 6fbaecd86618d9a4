"""ScalingModel: files, composition, and what a compiled model depends on."""

import json
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from ladders import as_runs, budgets
from pymc_extras.prior import Prior

from bayes_scaling import available_models, load_model
from bayes_scaling._io.resources import resource_dir
from bayes_scaling.errors import BayesScalingError, ModelError
from bayes_scaling.laws import available_laws, get_law
from bayes_scaling.modelling.likelihoods import LIKELIHOODS
from bayes_scaling.modelling.link import accuracy
from bayes_scaling.modelling.model import FLOORS, ScalingModel

MODELS = available_models()


def read(name):
    text = (resource_dir("models") / f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@pytest.fixture(scope="module")
def runs():
    return as_runs(budgets(8), score=np.linspace(0.3, 0.7, 8), n_items=500)


# ---- models/*.toml -------------------------------------------------------------------------------


def test_each_law_has_a_model():
    assert set(available_laws()) <= {read(name)["law"] for name in MODELS}


@pytest.mark.parametrize("name", [*MODELS, "common"])
def test_each_prior_is_argued_for(name):
    for prior in read(name)["priors"].values():
        reason = prior["reason"].strip()
        assert len(reason.split()) >= 8, reason
        assert reason[0].isupper() or reason[0].isdigit(), reason
        assert reason.endswith("."), reason


@pytest.mark.parametrize("name", MODELS)
def test_a_model_file_holds_priors_of_its_law_only(name):
    own = {p.name for p in get_law(read(name)["law"]).parameters}
    assert own <= set(read(name)["priors"])
    assert set(read(name)["priors"]) <= own | set(read("common")["priors"])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_priors_cover_the_parameters(name, floor, likelihood):
    model = load_model(name).with_options(floor=floor, likelihood=likelihood)
    names = [p.name for p in model.parameters]
    assert len(set(names)) == len(names)
    assert set(names) <= set(model.priors)
    assert all(model.reasons[parameter] for parameter in names)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_survives_json(name):
    model = load_model(name)
    copy = ScalingModel.from_dict(json.loads(json.dumps(model.to_dict())))
    assert copy == model
    assert copy.reasons == model.reasons


# ---- files of one's own --------------------------------------------------------------------------


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_may_give_only_what_it_changes(tmp_path):
    path = write(
        tmp_path,
        """law = "power_law_ceiling"
        floor = "fixed"
        [priors.E]
        dist = "Exponential"
        kwargs = { lam = 40.0 }
        reason = "Cleaned items leave less noise."
        """,
    )
    model, ready = load_model(path), load_model("power_law_ceiling")
    assert model.priors["E"] == Prior("Exponential", lam=40.0)
    assert model.reasons["E"] == "Cleaned items leave less noise."
    assert model.floor == "fixed"
    assert {k: v for k, v in model.priors.items() if k != "E"} == {
        k: v for k, v in ready.priors.items() if k != "E"
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no field 'law'"),
        ('law = "power_law"\nlaws = 2', "unknown field laws"),
        ('law = "power_lav"', "no law 'power_lav'; did you mean 'power_law'"),
        (
            'law = "power_law"\nfloor = "loose"',
            "floor 'loose' is not one of auto, free, fixed, filter",
        ),
        ('law = "power_law"\nlikelihood = "poisson"', "no likelihood 'poisson'"),
        ('law = "power_law', "model file mine.toml"),
        ('law = "power_law"\n[priors]\nexponent = 3', "prior of 'exponent' cannot be read"),
        (
            'law = "power_law"\n[priors.exponent]\ndist = "Normal"\nkwargs = { mean = 1.0 }',
            "prior of 'exponent' cannot be read",
        ),
        (
            'law = "power_law"\n[priors.exponent]\ndist = "Nrmal"',
            "prior of 'exponent' cannot be read",
        ),
        (
            'law = "power_law"\n[priors.exponnent]\ndist = "Normal"\nkwargs = { mu = 1.0 }',
            "exponnent",
        ),
        ('law = "power_law"\npriors = [1]', "priors"),
    ],
)
def test_a_file_that_is_not_a_model(tmp_path, text, message):
    with pytest.raises(ModelError) as error:
        load_model(write(tmp_path, text))
    assert message in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match=r"absent\.toml"):
        load_model(tmp_path / "absent.toml")


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00law")
    with pytest.raises(ModelError, match=r"mine\.toml"):
        load_model(path)


@pytest.mark.parametrize("name", ["power_lav", "common", "", "../models/power_law"])
def test_an_unknown_model_is_refused_with_the_list(name):
    with pytest.raises(ModelError, match="no model") as error:
        load_model(name)
    assert all(model in str(error.value) for model in MODELS)


# ---- composing -----------------------------------------------------------------------------------


def test_with_priors_replaces_the_prior_and_its_reason():
    model = load_model("power_law")
    changed = model.with_priors(exponent=Prior("HalfNormal", sigma=0.3))
    assert changed.priors["exponent"] == Prior("HalfNormal", sigma=0.3)
    assert "exponent" not in changed.reasons
    assert model.priors["exponent"] == Prior("LogNormal", mu=-1.9, sigma=0.7)
    assert changed.priors["level"] == model.priors["level"]


def test_a_prior_of_the_floor_frees_it():
    """Else it would be ignored without a word where no run is near chance."""
    model = load_model("power_law").with_priors(floor=Prior("Normal", sigma=0.01))
    assert model.floor == "free"
    fixed = load_model("power_law").with_options(floor="fixed")
    assert fixed.with_priors(floor=Prior("Normal", sigma=0.01)).floor == "fixed"


def test_a_prior_of_no_parameter_is_refused():
    with pytest.raises(ModelError, match="power_law has no parameter E; it has floor, level"):
        load_model("power_law").with_priors(E=Prior("Exponential", lam=1.0))


def test_a_prior_that_is_a_number_is_refused():
    with pytest.raises(ModelError, match=r"prior of 'exponent': 0\.3 is not a pymc_extras Prior"):
        load_model("power_law").with_priors(exponent=0.3)


def test_a_law_without_a_prior_for_a_parameter_is_refused():
    class Bare(type(get_law("power_law_ceiling"))):
        name = "bare"

    with pytest.raises(ModelError, match="bare: no prior for exponent, E"):
        ScalingModel(Bare(), {"level": Prior("Uniform", lower=0, upper=1)})


@pytest.mark.parametrize("name", ["level", "floor", "scatter"])
def test_shared_parameters_have_a_prior_without_being_given_one(name):
    assert ScalingModel("power_law").priors[name] == load_model("power_law").priors[name]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"floor": "loose"}, "floor 'loose'"), ({"likelihood": "poisson"}, "no likelihood")],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ModelError, match=message):
        load_model("power_law").with_options(**options)


def test_every_refusal_is_the_packages_own_error():
    assert issubclass(ModelError, BayesScalingError)


# ---- settling ------------------------------------------------------------------------------------


def test_auto_is_normal_and_by_training_where_there_are_checkpoints(runs):
    bound = load_model("power_law").on(runs)
    assert bound.model.likelihood_name == "normal"
    assert bound.observations.sizes["row"] == 8
    table = budgets(8).assign(training=[*"aabbccdd"])
    checkpoints = as_runs(table, score=np.linspace(0.3, 0.7, 8), n_items=500)
    bound = load_model("power_law").on(checkpoints)
    assert bound.model.likelihood_name == "normal_by_training"
    assert bound.observations["training"].values.tolist() == [*"aabbccdd"]


def test_the_share_of_binomial_noise_is_sampled_where_items_are_known(runs):
    unknown = as_runs(budgets(8), score=np.linspace(0.3, 0.7, 8))
    partly = as_runs(budgets(8), score=np.linspace(0.3, 0.7, 8), n_items=[np.nan, *[500] * 7])
    names = [
        {p.name for p in load_model("power_law").on(r).parameters} for r in (runs, unknown, partly)
    ]
    assert names[0] == names[2] == names[1] | {"binomial_share"}
    free = [v.name for v in load_model("power_law").on(unknown).pymc.free_RVs]
    assert free == ["floor", "level", "exponent", "scatter"]


@pytest.mark.parametrize(("lowest", "floor"), [(0.299, "free"), (0.301, "fixed"), (0.2, "free")])
def test_the_floor_is_free_where_a_run_is_near_chance(lowest, floor):
    near = as_runs(budgets(8), score=np.linspace(lowest, 0.7, 8), n_items=500)
    assert load_model("power_law").floor == "auto"
    assert load_model("power_law").on(near).model.floor == floor


def test_the_level_lies_above_the_floor(runs):
    """Else half of the prior curves of a benchmark with many choices lie below chance."""
    for floor in ("free", "fixed"):
        drawn = load_model("power_law").with_options(floor=floor).on(runs).prior(500)
        assert bool((drawn["level"] > drawn.get("floor", 0.25)).all())


def test_four_runs_are_enough_for_a_power_law_with_a_free_floor():
    four = as_runs(budgets(4), score=[0.26, 0.3, 0.4, 0.5], n_items=500)
    assert len(load_model("power_law").on(four).parameters) == 5


def test_beta_binomial_needs_item_counts():
    runs = as_runs(budgets(8), score=np.linspace(0.3, 0.7, 8))
    model = load_model("power_law").with_options(likelihood="beta_binomial")
    with pytest.raises(ModelError, match="'beta_binomial' needs n_items in every row"):
        model.on(runs)


def test_filter_drops_scores_near_chance():
    scores = [0.26, 0.29, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6]  # chance is 0.25, the margin 0.05
    runs = as_runs(budgets(8), score=scores, n_items=500)
    seen = load_model("power_law").with_options(floor="filter").on(runs).observations
    assert seen["score"].min() == 0.35
    assert seen.sizes["row"] == 6


def test_runs_are_counted_after_the_filter():
    scores = [0.24, 0.25, 0.26, 0.25, 0.27, 0.28, 0.55, 0.6]
    runs = as_runs(budgets(8), score=scores, n_items=500)
    bound = load_model("power_law").with_options(floor="filter").on(runs)
    assert (bound.n_numbers, bound.n_parameters) == (2, 3)


def test_fewer_runs_than_parameters_need_proper_priors():
    few = as_runs(budgets(3), score=[0.4, 0.5, 0.6], n_items=500)
    assert load_model("broken_power_law").on(few).n_numbers == 3
    with pytest.raises(ModelError, match=r"the prior of exponent is improper; give a proper"):
        load_model("broken_power_law").with_priors(exponent=Prior("Flat")).on(few)


def test_a_free_floor_is_a_parameter_and_a_fixed_one_is_not(runs):
    free, fixed = (
        {p.name for p in load_model("power_law").with_options(floor=f).on(runs).parameters}
        for f in ("free", "fixed")
    )
    assert free == {"level", "floor", "exponent", "scatter", "binomial_share"}
    assert fixed == free - {"floor"}


def test_the_floor_is_centred_on_chance_unless_its_prior_says_where(runs):
    model = load_model("power_law")
    assert model.on(runs).data()["floor_mu"] == 0.25
    own = model.with_priors(floor=Prior("Normal", mu=0.2, sigma=0.01))
    assert own.on(runs).data()["floor_mu"] == 0.2


# ---- structure and data --------------------------------------------------------------------------


def test_numbers_do_not_change_the_structure(runs):
    model = load_model("power_law").on(runs).model
    same = model.with_priors(exponent=Prior("LogNormal", mu=0.0, sigma=2.0))
    assert same.structure() == model.structure()


def test_family_floor_likelihood_and_law_change_the_structure(runs):
    model = load_model("power_law").with_options(floor="free").on(runs).model
    others = [
        model.with_priors(exponent=Prior("HalfNormal", sigma=0.3)),
        model.with_options(floor="fixed"),
        model.with_options(likelihood="student_t"),
        load_model("power_law_ceiling").on(runs).model,
    ]
    assert len({model.structure(), *(other.structure() for other in others)}) == 5


def test_every_number_of_a_built_model_is_data_that_can_be_replaced(runs):
    settled = load_model("power_law_ceiling").with_options(floor="free").on(runs)
    built, numbers = settled.pymc, settled.data()
    assert {data.name for data in built.data_vars} == set(numbers)
    assert {"E_lam", "exponent_mu", "floor_sigma", "n_items", "centre_flops"} <= set(numbers)
    assert [v.name for v in built.free_RVs] == [p.name for p in settled.parameters]
    assert {v.name for v in built.deterministics} == {"A", "alpha", "ceiling"}


def test_every_parameter_has_a_start(runs):
    bound = load_model("power_law").on(runs)
    for name in MODELS:
        model = load_model(name).with_options(likelihood="student_t")
        loss = {"loss": bound.observations["score"] + 2}  # read by laws through a loss only
        with_loss = replace(bound, model=model, observations=bound.observations.assign(loss))
        starts = with_loss.starts()
        assert set(starts) == {p.name for p in with_loss.parameters}
        assert all(start is not None for start in starts.values())


@pytest.mark.parametrize("floor", ["free", "fixed"])
@pytest.mark.parametrize(
    ("chance", "scores"),
    [
        (0.25, [0.3, 0.5, 0.7]),
        (0.25, [0.17, 0.2, 0.22]),  # below chance
        (0.0, [0.0, 0.0, 0.004]),
        (0.5, [0.97, 0.99, 1.0]),
    ],
)
def test_chains_start_where_every_bound_holds(chance, scores, floor):
    bound = (
        load_model("power_law")
        .with_options(floor=floor)
        .on(as_runs(budgets(8), score=np.linspace(0.6, 0.8, 8), n_items=500, chance=chance))
    )
    seen = bound.observations.isel(row=slice(3)).assign(score=("row", scores))
    starts = replace(bound, observations=seen).starts()
    assert (0 if floor == "free" else chance) < starts["level"] < 1
    if floor == "free":
        assert 0 < starts["floor"] < starts["level"]


def test_the_floor_starts_near_a_narrow_prior():
    """A chain that starts far above it stays there: pass@k, whose prior sd is 0.003."""
    runs = as_runs(budgets(8), score=np.linspace(0.004, 0.5, 8), n_items=500, chance=0.0)
    assert load_model("power_law").on(runs).starts()["floor"] == pytest.approx(0.002)


def test_counts_of_right_answers_are_whole(runs):
    model = load_model("power_law").with_options(likelihood="beta_binomial")
    counts = model.on(runs).data()["n_correct"]
    np.testing.assert_allclose(counts, np.round(np.linspace(0.3, 0.7, 8) * 500))


# ---- the curve -----------------------------------------------------------------------------------


def test_accuracy_mixes_floor_and_quality():
    assert accuracy(np.array([0.2, 0.9]), 0.25, np) == pytest.approx([0.4, 0.925])


def test_accuracy_stays_off_0_and_1_where_a_law_crosses_them():
    values = accuracy(np.array([-2.0, 0.0, 1.0, 1.7]), 0.0, np)
    assert (values > 0).all()
    assert (values < 1).all()
    assert values == pytest.approx([0, 0, 1, 1], abs=1e-6)


# ---- in words ------------------------------------------------------------------------------------


def test_a_model_says_what_it_is(runs):
    model = load_model("two_stage_logistic")
    assert repr(model) == (
        "<ScalingModel two_stage_logistic: auto likelihood, auto floor, through auto loss>"
    )
    words = str(load_model("power_law")).splitlines()
    assert words[1].strip() == "-log Q' = A C^-alpha"
    assert words[4].strip().startswith('exponent ~ Prior("LogNormal", mu=-1.9, sigma=0.7): local')
    bound = load_model("power_law").on(runs)
    assert repr(bound) == "<BoundModel of power_law on simulated acc, unspecified: 8 scores>"
