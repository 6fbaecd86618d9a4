"""The model that a user gets who names none, and why."""

from __future__ import annotations

from bayes_scaling.modelling.observations import ratios_vary
from bayes_scaling.runs import Runs

IN_COMPUTE = "drifting_power_law_ceiling"
IN_BOTH = "drifting_params_tokens"
_OF_SAMPLES = "pass_at_k"
_CALIBRATED = (
    "of the laws whose 90% intervals held 85% or more of the held-out runs of the development "
    "ladders at every distance, it has the smallest CRPS (docs/default.md)"
)


def choose_default(runs: Runs) -> tuple[str, str]:
    """Return the name of the model for one series, and a sentence that says why.

    A rule chose it that was written down before its table was made; docs/default.md has both.

    Parameters
    ----------
    runs : Runs
        One series, as it will be fitted.

    Returns
    -------
    name : str
        A ready model: drifting_params_tokens where all runs have parameters and tokens, and both
        vary, as does their ratio; pass_at_k where runs have several k; else
        drifting_power_law_ceiling.
    reason : str
        One sentence.

    Examples
    --------
    >>> from bayes_scaling import load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc")
    >>> choose_default(runs)[0], choose_default(runs.select(tokens_per_param=20))[0]
    ('drifting_params_tokens', 'drifting_power_law_ceiling')
    """
    table = runs.table
    if table["k"].nunique() > 1:
        return _OF_SAMPLES, f"{_OF_SAMPLES} is the default where runs have several k of pass@k."
    if table[["params", "tokens"]].notna().to_numpy().all() and ratios_vary(table):
        constant = [name for name in ("params", "tokens") if table[name].nunique() == 1]
        if constant:
            return (
                IN_COMPUTE,
                f"{IN_COMPUTE} is the default where all runs have the same {constant[0]}: nothing "
                f"says what other {constant[0]} would do, so a forecast is of larger runs with as "
                "many.",
            )
        return (
            IN_BOTH,
            f"{IN_BOTH} is the default where the ratio of tokens to params varies: {_CALIBRATED}.",
        )
    return IN_COMPUTE, f"{IN_COMPUTE} is the default: {_CALIBRATED}."
