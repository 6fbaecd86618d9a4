"""One function for all samplers: the fast one, nutpie, PyMC's own, and NumPyro."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import pymc as pm
import xarray as xr

from bayes_scaling.errors import PACKAGE, ModelError, SamplerWarning
from bayes_scaling.inference.diagnostics import diagnose
from bayes_scaling.inference.record import Record, describe_attempt
from bayes_scaling.inference.target import Samples, Target

Sampler = Literal["fast", "nutpie", "pymc", "numpyro"]
SAMPLERS: tuple[str, ...] = get_args(Sampler)

_FAST = "bayes_scaling.inference.fast"
# Errors that a moved name or a changed signature in another library causes.
_MOVED = (ImportError, AttributeError, TypeError, NotImplementedError, RuntimeError)
# Posteriors of few runs are skewed; NUTS at its usual 0.8 diverges on some.
_TARGET_ACCEPT = 0.95
_told: set[str] = set()


def sample(
    target: Target,
    sampler: Sampler = "fast",
    *,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    cores: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Samples:
    """Sample a posterior.

    Parameters
    ----------
    target : Target
        What to sample.
    sampler : {"fast", "nutpie", "pymc", "numpyro"}
        "fast" compiles machine code once per law, which serves every series. It samples in
        coordinates of the posterior's modes, and tries again if the first attempt fails. The
        others build and compile the model for each fit: "nutpie" by `nutpie.compile_pymc_model`,
        "pymc" by `pm.sample(nuts_sampler="pymc")`, "numpyro" by
        `pm.sample(nuts_sampler="numpyro")`, which needs the extra `bayes-scaling[numpyro]`. All
        sample the same posterior.
    draws, tune, chains : int
        Kept draws and warm-up steps of each chain, and chains.
    cores : int, optional
        Chains that run at one time; the draws do not depend on it.
    seed : int
        Seed; the same seed gives the same draws.
    progress : bool
        Whether to show the sampler's progress bar.

    Returns
    -------
    Samples

    Raises
    ------
    ModelError
        If there is no such sampler, what it needs is not installed, or the posterior has no
        density where the chains start.
    KeyboardInterrupt
        On Ctrl-C.

    Warns
    -----
    SamplerWarning
        If the fast sampler cannot be used with the installed versions of other libraries. The
        message names the sampler that was used in its place.
    """
    if sampler not in SAMPLERS:
        raise ModelError(f"no sampler {sampler!r}. Samplers: {', '.join(SAMPLERS)}")
    settings = {
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "cores": cores,
        "seed": seed,
        "progress": progress,
    }
    if sampler == "fast":
        return _sample_fast(target, settings)
    return _PLAIN[sampler](target, settings)


def _sample_fast(target: Target, settings: dict[str, Any]) -> Samples:
    """Sample by the fast sampler, else by nutpie, else by PyMC."""
    try:
        fast = importlib.import_module(_FAST)
        bound = fast.prepare(target)
    except _MOVED as error:
        return _sample_instead(target, settings, error)
    try:
        found = fast.sample_bound(bound, hierarchical=target.hierarchical, **settings)
    except (AttributeError, TypeError) as error:
        return _sample_instead(target, settings, error)
    posterior, stats, diagnostics = found
    return Samples(posterior, stats, diagnostics, "fast")


def _sample_instead(target: Target, settings: dict[str, Any], cause: Exception) -> Samples:
    reason = f"{type(cause).__name__}: {cause}".splitlines()[0]
    try:
        samples = _sample_nutpie(target, settings)
    except (*_MOVED, ModelError) as error:
        reason += f"; nor nutpie, {type(error).__name__}: {str(error).splitlines()[0]}"
        samples = _sample_pymc(target, settings)
    if reason not in _told:
        _told.add(reason)
        warnings.warn(
            f"the fast sampler cannot be used here ({reason}); {samples.sampler} samples the same "
            "posterior, but compiles for each fit",
            SamplerWarning,
            skip_file_prefixes=PACKAGE,
        )
    return samples


# ---- the plain ones ----------------------------------------------------------------------------


def _sample_nutpie(target: Target, settings: dict[str, Any]) -> Samples:
    import nutpie

    tree = nutpie.sample(
        nutpie.compile_pymc_model(target.pymc),
        draws=settings["draws"],
        tune=settings["tune"],
        chains=settings["chains"],
        cores=settings["cores"],
        seed=settings["seed"],
        target_accept=_TARGET_ACCEPT,
        progress_bar=settings["progress"],
        save_warmup=False,
    )
    if tree["posterior"].sizes["draw"] < settings["draws"]:
        raise KeyboardInterrupt  # nutpie answers Ctrl-C with the draws so far
    return _as_samples(target, tree, "nutpie", settings)


def _sample_pymc(target: Target, settings: dict[str, Any]) -> Samples:
    return _by_pymc(target, settings, "pymc", nuts_sampler="pymc")


def _sample_numpyro(target: Target, settings: dict[str, Any]) -> Samples:
    try:
        importlib.import_module("numpyro")
    except ImportError as error:
        raise ModelError(
            "sampler 'numpyro' needs NumPyro: install bayes-scaling[numpyro]"
        ) from error
    return _by_pymc(target, settings, "numpyro", nuts_sampler="numpyro")


def _by_pymc(target: Target, settings: dict[str, Any], name: str, **more: Any) -> Samples:
    tree = pm.sample(
        model=target.pymc,
        draws=settings["draws"],
        tune=settings["tune"],
        chains=settings["chains"],
        cores=settings["cores"],
        random_seed=settings["seed"],
        target_accept=_TARGET_ACCEPT,
        progressbar=settings["progress"],
        quiet=not settings["progress"],
        compute_convergence_checks=False,
        **more,
    )
    return _as_samples(target, tree, name, settings)


def _as_samples(target: Target, tree: Any, name: str, settings: dict[str, Any]) -> Samples:
    """Return what every sampler gives: sampled and derived variables, and statistics."""
    model = target.pymc
    names = [v.name for v in (*model.free_RVs, *model.deterministics)]
    posterior = tree["posterior"].to_dataset()[names]
    kept = {str(k): v for k, v in tree["sample_stats"].to_dataset().items() if v.ndim == 2}
    stats = xr.Dataset({k: v for k, v in kept.items() if np.asarray(v).dtype.kind in "biuf"})
    diagnostics = diagnose(posterior, stats)
    made = {
        "modes": [],
        "coordinates": "plain",
        "tune": settings["tune"],
        "target_accept": _TARGET_ACCEPT,
        "draws": settings["draws"],
    }
    numbers, problems = diagnostics.to_dict(), diagnostics.problems()
    record = Record(attempts=[describe_attempt(made, numbers, problems, kept=True)])
    return Samples(posterior, record.attach(stats), diagnostics, name)


_PLAIN: dict[str, Callable[[Target, dict[str, Any]], Samples]] = {
    "nutpie": _sample_nutpie,
    "pymc": _sample_pymc,
    "numpyro": _sample_numpyro,
}
