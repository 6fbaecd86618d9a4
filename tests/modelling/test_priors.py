"""Priors: draws follow the distributions stated in models/*.toml, and numbers are data."""

import tomllib

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import scipy.stats
from pymc_extras.prior import Prior, register_tensor_transform

from bayes_scaling import Fit, Parameter, ScalingModel, fit_runs
from bayes_scaling._io.resources import resource_dir
from bayes_scaling.errors import ModelError
from bayes_scaling.inference import fast
from bayes_scaling.laws._reverting import BENDS
from bayes_scaling.modelling.model import load_model
from bayes_scaling.modelling.priors import create_variable
from bayes_scaling.modelling.transforms import ProbitInterval

SCIPY = {
    "Uniform": lambda lower, upper: scipy.stats.uniform(lower, upper - lower),
    "Normal": lambda mu, sigma: scipy.stats.norm(mu, sigma),
    "LogNormal": lambda mu, sigma: scipy.stats.lognorm(sigma, scale=np.exp(mu)),
    "Exponential": lambda lam: scipy.stats.expon(scale=1 / lam),
    "Beta": lambda alpha, beta: scipy.stats.beta(alpha, beta),
    "Gamma": lambda alpha, beta: scipy.stats.gamma(alpha, scale=1 / beta),
}


def stated(law):
    """Return the priors of models/<law>.toml as SciPy distributions, by name."""
    files = [resource_dir("models") / f"{name}.toml" for name in ("common", law)]
    priors = {}
    for path in files:
        priors |= tomllib.loads(path.read_text(encoding="utf-8"))["priors"]
    return {
        name: lambda entry=entry, **extra: SCIPY[entry["dist"]](**extra, **entry["kwargs"])
        for name, entry in priors.items()
    }


def place(distribution, values, lower=-np.inf, upper=np.inf):
    """Return each draw's place in its truncated distribution: uniform if it follows it."""
    low, high = distribution.cdf(lower), distribution.cdf(upper)
    return (distribution.cdf(values) - low) / (high - low)


def assert_uniform(places):
    # One in 10,000 by chance for each; with fixed seeds it either holds or does not.
    assert scipy.stats.kstest(places, "uniform").pvalue > 1e-4


def prior_draws(model, runs, draws=4000):
    prior = model.on(runs).prior(draws, seed=5)
    return {str(name): values.to_numpy().ravel() for name, values in prior.items()}


@pytest.mark.slow
def test_prior_draws_of_a_law_with_ceiling(arc_easy):
    drawn, expected = (
        prior_draws(load_model("power_law_ceiling").with_options(floor="free"), arc_easy),
        stated("power_law_ceiling"),
    )
    level, floor, E = drawn["level"], drawn["floor"], drawn["E"]
    whole = np.log((1 - floor) / (level - floor))  # -log Q' at the centroid bounds E
    assert_uniform(place(expected["level"](), level, floor, 1))
    assert_uniform(place(expected["floor"](mu=0.25), floor, 0, 1))
    assert_uniform(place(expected["E"](), E, 0, whole))
    for name in ("exponent", "scatter"):
        assert_uniform(place(expected[name](), drawn[name]))
    assert (floor > 0).all()
    assert (floor < level).all()
    assert (whole > E).all()
    assert np.allclose(drawn["ceiling"], np.exp(-E))


@pytest.mark.slow
def test_prior_draws_of_the_other_families(all_ratios, humaneval):
    model = load_model("params_tokens").with_options(likelihood="student_t", floor="fixed")
    drawn, expected = prior_draws(model, all_ratios), stated("params_tokens")
    assert_uniform(place(expected["level"](), drawn["level"], 0.25, 1))
    for name in ("params_share", "alpha", "beta", "scatter", "tail"):
        assert_uniform(place(expected[name](), drawn[name]))
    assert "floor" not in drawn
    drawn, expected = prior_draws(load_model("pass_at_k"), humaneval), stated("pass_at_k")
    assert_uniform(place(expected["floor"](mu=0.0), drawn["floor"], 0, drawn["level"]))
    for name in ("compute_slope", "samples_slope", "delta", "run_share"):
        assert_uniform(place(expected[name](), drawn[name]))


@pytest.mark.slow
def test_the_broken_law_scales_its_break_by_the_fitted_range(arc_easy):
    drawn, expected = (
        prior_draws(load_model("broken_power_law"), arc_easy),
        stated("broken_power_law"),
    )
    for name in ("exponent_change", "break_position", "break_width"):
        assert_uniform(place(expected[name](), drawn[name]))
    logs = np.log(arc_easy.table["flops"])
    reach = np.abs(logs - logs.mean()).max()
    place_of_break = (drawn["log_d1"] - logs.mean()) / reach
    assert np.allclose(place_of_break, drawn["break_position"])


# ---- the transform -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def transform():
    """Return the forward, backward and log derivative functions on (0.2, 0.7)."""
    inputs = (pt.constant(0.2), pt.constant(0.7))
    one = ProbitInterval()
    # As a PyTensor op a random variable's bounds come last, after its other inputs.
    return {
        name: lambda v, name=name: np.array(
            getattr(one, name)(pt.constant(np.asarray(v, float)), None, *inputs).eval(
                mode="FAST_COMPILE"
            )
        )
        for name in ("forward", "backward", "log_jac_det")
    }


def test_forward_is_the_normal_quantile_of_the_place(transform):
    values = np.array([0.2001, 0.3, 0.45, 0.6999])
    expected = scipy.stats.norm.ppf((values - 0.2) / 0.5)
    np.testing.assert_allclose(transform["forward"](values), expected, rtol=1e-9, atol=1e-9)


def test_backward_undoes_forward(transform):
    values = np.linspace(0.201, 0.699, 11)
    np.testing.assert_allclose(transform["backward"](transform["forward"](values)), values)


def test_jacobian_is_the_numerical_derivative(transform):
    at, step = np.linspace(-4, 4, 17), 1e-5
    rise = transform["backward"](at + step) - transform["backward"](at - step)
    np.testing.assert_allclose(
        transform["log_jac_det"](at), np.log(rise / (2 * step)), atol=1e-5, rtol=1e-6
    )


def test_backward_stays_in_the_interval_far_out(transform):
    values = transform["backward"](np.array([-50.0, -10.0, 10.0, 50.0]))
    assert (values >= 0.2).all()
    assert (values <= 0.7).all()
    # The lower end, where floors and E pile up, keeps its resolution.
    near = transform["backward"](np.array([-9.0, -8.0]))
    assert 0.2 <= near[0] <= near[1]


# ---- variables -----------------------------------------------------------------------------------


def test_hyperparameters_are_data_of_the_model():
    with pm.Model() as model:
        create_variable("alpha", Prior("Normal", mu=1.5, sigma=0.3))
    assert {data.name for data in model.data_vars} == {"alpha_mu", "alpha_sigma"}
    with model:
        assert float(np.mean(pm.draw(model["alpha"], 2000, random_seed=1))) == pytest.approx(
            1.5, abs=0.05
        )
        pm.set_data({"alpha_mu": -3.0})
        moved = pm.draw(model["alpha"], 2000, random_seed=1)
    assert float(np.mean(moved)) == pytest.approx(-3.0, abs=0.05)


# ---- every field is honoured or refused ----------------------------------------------------------


def made_from(prior, name="exponent", law="power_law"):
    return load_model(law).with_priors(**{name: prior})


@pytest.mark.parametrize(
    ("prior", "words"),
    [
        (Prior("Normal", mu=0.0, sigma=True), "sigma is bool, not a number"),
        (Prior("Normal", mu=0.0, sigma=np.array([1.0, 2.0])), "sigma is ndarray, not a number"),
        (Prior("Normal", mu=np.inf, sigma=1.0), "mu is inf; give a finite number"),
        (Prior("Normal", mu=0.0, sigma=1.0, dims="law"), r"dims \('law',\) are not those"),
        (Prior("Poisson", mu=3.0), "Poisson is not a continuous distribution of one number"),
        (Prior("Dirichlet", a=np.ones(3)), "Dirichlet is not a continuous distribution"),
        (Prior("Beta"), "Beta cannot be made from nothing"),
        (Prior("LogNormal", mu=Prior("Normal", mu=np.nan), sigma=1.0), "mu.*mu is nan"),
    ],
)
def test_a_field_that_cannot_be_honoured_is_refused_when_the_model_is_made(prior, words):
    with pytest.raises(ModelError, match=f"prior of 'exponent'.*{words}"):
        made_from(prior)


@pytest.mark.parametrize("name", ["level", "floor", "E"])
@pytest.mark.parametrize(
    "prior",
    [
        Prior("Normal", mu=0.0, sigma=1.0, transform="sigmoid"),
        Prior("Normal", mu=0.0, sigma=1.0, centered=False),
    ],
)
def test_what_is_cut_to_an_interval_takes_neither_transform_nor_offset(name, prior):
    with pytest.raises(ModelError, match=f"prior of '{name}': .* cut to an interval"):
        made_from(prior, name, "power_law_ceiling")


def test_a_model_file_with_an_unknown_field_is_refused():
    spec = load_model("power_law").to_dict()
    spec["priors"]["exponent"]["sigma"] = 3.0
    with pytest.raises(ModelError, match="unknown field sigma"):
        ScalingModel.from_dict(spec)


GROUP_MEAN = Prior("Normal", mu=-1.9, sigma=0.3)
HONOURED = {
    "transform": (
        Prior("Normal", mu=-1.9, sigma=0.7, transform="exp"),
        lambda d: scipy.stats.lognorm(0.7, scale=np.exp(-1.9)).cdf(d["exponent"]),
    ),
    "not centred": (
        Prior("Normal", mu=0.2, sigma=0.05, centered=False),
        lambda d: scipy.stats.norm(0.2, 0.05).cdf(d["exponent"]),
    ),
    "not centred, transformed": (
        Prior("Normal", mu=-1.9, sigma=0.7, centered=False, transform="exp"),
        lambda d: scipy.stats.lognorm(0.7, scale=np.exp(-1.9)).cdf(d["exponent"]),
    ),
    "a prior on a prior": (
        Prior("LogNormal", mu=GROUP_MEAN, sigma=0.7),
        lambda d: scipy.stats.norm(-1.9, (0.3**2 + 0.7**2) ** 0.5).cdf(np.log(d["exponent"])),
    ),
}


@pytest.mark.parametrize("which", HONOURED)
def test_prior_draws_are_what_the_field_says(which, arc_easy):
    prior, place_of = HONOURED[which]
    assert_uniform(place_of(prior_draws(made_from(prior), arc_easy)))


@pytest.mark.slow
@pytest.mark.parametrize("which", HONOURED)
def test_a_posterior_under_it_is_sampled_and_saved_as_it_was_sampled(which, arc_easy, tmp_path):
    fit = fit_runs(arc_easy, made_from(HONOURED[which][0]), draws=500)
    loaded = Fit.load(fit.save(tmp_path / "fit.nc"))
    assert loaded.model == fit.model
    assert loaded.model.priors["exponent"] == HONOURED[which][0]
    # 46 runs say more than any of these priors.
    assert float(fit.posterior["exponent"].mean()) == pytest.approx(0.168, abs=0.01)
    if which == "a prior on a prior":
        assert "exponent_mu" in fit.posterior
        # The hyperparameter is updated towards the log of the exponent, by as much as it should.
        weight = 0.3**2 / (0.3**2 + 0.7**2)
        expected = -1.9 + weight * (float(np.log(fit.posterior["exponent"]).mean()) + 1.9)
        assert float(fit.posterior["exponent_mu"].mean()) == pytest.approx(expected, abs=0.05)


@pytest.mark.slow
def test_a_prior_on_the_prior_of_a_bounded_or_a_scaled_parameter(arc_easy):
    """Ceilings are truncated, and bends measured in widths, whatever their priors are made from."""
    wide = Prior("Exponential", lam=Prior("Gamma", alpha=4.0, beta=0.4))
    drawn = prior_draws(made_from(wide, "E", "power_law_ceiling"), arc_easy)
    whole = np.log(0.75 / (drawn["level"] - 0.25))
    assert (drawn["E"] < whole).all()
    lam = scipy.stats.expon(scale=1 / drawn["E_lam"])
    assert_uniform(lam.cdf(drawn["E"]) / lam.cdf(whole))
    bends = Prior("Normal", mu=0.0, sigma=Prior("HalfNormal", sigma=1.0))
    # A few draws show what they are called; a scale of bends takes many attempts to sample well.
    bent = made_from(bends, "drift", "drifting_power_law")
    fit = fit_runs(arc_easy, bent, draws=50, tune=100)
    assert fit.posterior["drift"].sizes["knot"] == BENDS
    assert {"drift_sigma"} <= set(fit.posterior.data_vars)


def test_a_bound_on_a_vector_keeps_its_dims():
    with pm.Model(coords={"knot": range(3)}) as model:
        prior = Prior("Exponential", lam=np.array([1.0, 2.0, 3.0]))
        create_variable("steps", prior, bounds=(0.0, 0.5), dims=("knot",))
    assert model.named_vars_to_dims["steps"] == ("knot",)
    drawn = pm.draw(model["steps"], 2000, random_seed=1)
    assert drawn.shape == (2000, 3)
    assert (drawn < 0.5).all()
    for place_in, lam in zip(drawn.T, (1, 2, 3), strict=True):
        assert_uniform(place(scipy.stats.expon(scale=1 / lam), place_in, 0, 0.5))


def test_a_width_and_a_bound_together_are_refused():
    with pytest.raises(ModelError, match="'E' has an upper bound and a width"):
        Parameter("E", "a test", "", 0.1, upper=lambda p, xp: 1.0, width=lambda p, x, xp: 1.0)


@pytest.mark.slow
def test_a_transform_registered_again_is_another_function(arc_easy):
    model, found = None, []
    for factor in (1.0, 2.0):
        register_tensor_transform("of_a_test", lambda x, factor=factor: factor * pt.exp(x))
        model = model or made_from(Prior("Normal", mu=-1.9, sigma=0.7, transform="of_a_test"))
        found.append(fit_runs(arc_easy, model, draws=300).posterior.mean())
    raw = [float(np.exp(means["exponent_raw"])) for means in found]
    assert raw[0] / raw[1] == pytest.approx(2.0, rel=0.05)


@pytest.mark.slow
def test_chains_start_where_a_narrow_prior_has_density(arc_easy):
    """The law would start at an exponent of 0.15, where this prior has none."""
    fit = fit_runs(arc_easy, made_from(Prior("Uniform", lower=0.16, upper=0.3)), draws=300)
    assert float(fit.posterior["exponent"].min()) > 0.16
    assert float(fit.posterior["exponent"].std()) > 0.002


@pytest.mark.slow
def test_a_prior_without_density_is_told_as_such(arc_easy):
    with pytest.raises(ModelError, match="no density where the chains start"):
        fit_runs(arc_easy, made_from(Prior("Normal", mu=0.1, sigma=-1.0)))


# ---- priors of one's own -------------------------------------------------------------------------


TIGHT = Prior("LogNormal", mu=float(np.log(0.30)), sigma=0.01)
OWN_FILE = """
law = "power_law"
[priors.exponent]
dist = "LogNormal"
kwargs = { mu = -1.2039728043259361, sigma = 0.01 }
reason = "Known to be 0.30 for the sake of a test."
"""


def exponent_draws(fit_or_prior):
    return fit_or_prior["exponent"].to_numpy().ravel()


@pytest.mark.slow
def test_a_prior_changed_from_python_or_a_file_changes_the_posterior(
    arc_easy, power_law_fit, tmp_path
):
    path = tmp_path / "mine.toml"
    path.write_text(OWN_FILE, encoding="utf-8")
    programs = len(fast._programs)
    from_python = fit_runs(arc_easy, load_model("power_law").with_priors(exponent=TIGHT))
    from_file = fit_runs(arc_easy, str(path))
    assert len(fast._programs) == programs, "a changed number must not compile again"
    # The data alone say about 0.16; a prior of 0.30 ± 0.003 holds against them.
    assert exponent_draws(power_law_fit.posterior).mean() < 0.25
    assert exponent_draws(from_python.posterior).mean() > 0.28
    np.testing.assert_allclose(
        exponent_draws(from_file.posterior), exponent_draws(from_python.posterior), rtol=1e-9
    )
    prior = exponent_draws(from_file.prior(2000))
    assert_uniform(place(scipy.stats.lognorm(0.01, scale=0.30), prior))


@pytest.mark.slow
def test_a_floor_prior_may_say_where_it_is_centred(arc_easy):
    model = load_model("power_law").with_priors(floor=Prior("Normal", mu=0.1, sigma=0.001))
    floors = prior_draws(model, arc_easy, 500)["floor"]
    assert np.median(floors) == pytest.approx(0.1, abs=0.001)


@pytest.mark.slow
def test_another_family_of_prior_is_another_program(arc_easy, power_law_fit):
    bound = load_model("power_law").on(arc_easy)
    settled = bound.model
    half_normal = settled.with_priors(exponent=Prior("HalfNormal", sigma=0.3))
    assert bound.structure() in fast._programs
    assert half_normal.structure() != settled.structure()
    assert settled.with_priors(exponent=TIGHT).structure() == settled.structure()


WIDTHS = np.array([0.01, 0.5, 20.0])


def in_widths(prior):
    """Return a model of one vector with that prior, sampled in widths of a random scale."""
    with pm.Model(coords={"place": range(3)}) as model:
        width = pm.HalfNormal("scale", 1) * WIDTHS
        create_variable("bend", prior, width=width, dims=("place",))
    return model


@pytest.mark.parametrize(
    ("prior", "expected", "inverse"),
    [
        (Prior("Normal", mu=0.5, sigma=2.0), scipy.stats.norm(0.5, 2), lambda u: u),
        (Prior("StudentT", nu=4.0, mu=0.0, sigma=1.0), scipy.stats.t(4), lambda u: u),
        # A positive parameter is sampled by the log of what it is in widths.
        (
            Prior("LogNormal", mu=0.7, sigma=0.8),
            scipy.stats.lognorm(0.8, scale=np.exp(0.7)),
            np.exp,
        ),
        (Prior("Gamma", alpha=2.0, beta=0.5), scipy.stats.gamma(2, scale=2), np.exp),
    ],
)
def test_sampling_in_widths_leaves_the_prior_as_it_is(prior, expected, inverse):
    model, at, scale = in_widths(prior), np.array([-0.3, 1.2, 4.0]), 0.7
    point = {"scale_log__": np.log(scale), "bend_in_widths__": at}
    value = model.replace_rvs_by_values([model["bend"]])[0].eval(point, mode="FAST_COMPILE")
    np.testing.assert_allclose(value, inverse(at) * scale * WIDTHS)
    # On the sampled scale: the prior's density there, times how far a small step reaches.
    reach = (inverse(at + 1e-6) - inverse(at - 1e-6)) / 2e-6 * scale * WIDTHS
    density = model.compile_logp(vars=[model["bend"]], mode="FAST_COMPILE")(point)
    assert density == pytest.approx((expected.logpdf(value) + np.log(reach)).sum(), rel=1e-6)
    drawn = pm.draw(model["bend"], 3000, random_seed=3)
    assert_uniform(place(expected, drawn.ravel()))
