"""Figures released with Krajewski et al. 2025, arXiv:2512.08894."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_scaling._io.files import read_csv
from bayes_scaling._io.resources import resource_dir
from bayes_scaling.datasets.benchmarks import fill_known, known_values
from bayes_scaling.errors import RunsError
from bayes_scaling.runs import Runs
from bayes_scaling.runs.quantities import short_list, split_pass_at_k
from bayes_scaling.runs.validation import examine

_MIXTURES = ("dclm", "c4")
_METRICS = ("acc", "acc_norm", "exact_match")
_TASK_LOSS = "nll"

# The twelve benchmarks of the paper, with the metric that every study here uses.
STANDARD_BENCHMARKS = {
    "arc_challenge": "acc_norm",
    "arc_easy": "acc",
    "sciq": "acc",
    "piqa": "acc_norm",
    "hellaswag": "acc_norm",
    "winogrande": "acc",
    "webqs_1shot": "exact_match",
    "triviaqa_1shot": "exact_match",
    "gsm8k_cot_llama": "exact_match",
    "lambada_openai": "acc",
    "humaneval-py": "pass@1",
    "lbpp": "pass@1",
}

# The published split of the DCLM runs: fitted at or below this budget, held out above it, at this
# many tokens per parameter.
PUBLISHED_CUTOFF = 6e21
PUBLISHED_RATIO = 20.0

# Mean errors as the paper gives them: fits of C <= 6e21 FLOPs at 20 tokens a parameter, forecasts
# of the larger DCLM runs. They are probably not means over all twelve (docs/published.md). Keys
# are our names of the same point fits.
PUBLISHED_ERRORS = {
    "least_squares_direct": {"mre": 0.0196, "mae": 0.015},
    "least_squares_broken": {"mre": 0.0271, "mae": 0.020},
    "least_squares_two_stage_linear": {"mre": 0.0667, "mae": 0.044},
    "least_squares_two_stage_logistic": {"mre": 0.0635, "mae": 0.047},
}


def load_krajewski2025(mixture: str | None = None) -> Runs:
    """Load the embedded tables; see `load_dataset`."""
    if mixture is not None and mixture not in _MIXTURES:
        raise RunsError(
            f"krajewski2025 has no mixture {mixture!r}. Available: {', '.join(_MIXTURES)}"
        )
    return Runs.concat(_load(name) for name in ([mixture] if mixture else _MIXTURES))


def standard_runs(
    mixture: str = "dclm",
    benchmarks: Sequence[str] = (),
    tokens_per_param: float | None = PUBLISHED_RATIO,
) -> Runs:
    """Return the embedded runs of the standard benchmarks, each with its standard metric.

    Parameters
    ----------
    mixture : str
        "dclm" or "c4".
    benchmarks : sequence of str
        Some of the standard ones, or others that are there; all twelve if empty.
    tokens_per_param : float or None
        Ratio to keep, within 10%; None for all.

    Raises
    ------
    RunsError
        If a benchmark or mixture is not there.

    Examples
    --------
    >>> len(standard_runs().benchmarks)
    12
    """
    runs = load_krajewski2025(mixture).select(tokens_per_param=tokens_per_param)
    unknown = [b for b in benchmarks if b not in STANDARD_BENCHMARKS]
    if unknown:
        runs.select(benchmark=unknown)  # raises an error with all names if one is not there
    chosen = {b: STANDARD_BENCHMARKS.get(b) for b in benchmarks} or STANDARD_BENCHMARKS
    return Runs.concat([runs.select(benchmark=b, metric=m) for b, m in chosen.items()])


def is_published_split(runs: Runs, cutoff: float) -> bool:
    """Return whether runs and cut-off are those of the paper's table of errors."""
    return cutoff == PUBLISHED_CUTOFF and runs == standard_runs()


def _load(mixture: str) -> Runs:
    folder = resource_dir("data")
    runs = pd.read_csv(folder / f"krajewski2025_{mixture}_runs.csv")
    scores = pd.read_csv(folder / f"krajewski2025_{mixture}_scores.csv")
    table = _with_task_loss(scores.rename(columns={"value": "score"}))
    table = table.merge(runs.drop(columns="source_row"), on="run", validate="many_to_one")
    # The embedded figures are known to be sound; data/README.md lists what would cause warnings.
    found = examine(table.assign(mixture=mixture))
    return Runs._of(found.table, found.notes)


def _with_task_loss(scores: pd.DataFrame) -> pd.DataFrame:
    """Move rows of metric "nll" to a column ``task_loss`` of the same run and benchmark."""
    keys = ["run", "benchmark"]
    is_loss = scores["metric"] == _TASK_LOSS
    losses = scores[is_loss].set_index(keys)["score"]
    if losses.index.has_duplicates:
        run, benchmark = losses.index[losses.index.duplicated()][0]
        raise RunsError(f"run {run} has {_TASK_LOSS} of {benchmark!r} more than once; keep one")
    scores = scores[~is_loss]
    found = losses.reindex(pd.MultiIndex.from_frame(scores[keys]))
    return scores.assign(task_loss=found.to_numpy())


def load_krajewski_csv(
    path: str | Path, mixture: str = "", chance: Mapping[str, float] | None = None
) -> Runs:
    """Load a long CSV in the layout of the figures' original release.

    Parameters
    ----------
    path : path
        Columns ``tokens``, ``benchmark``, ``metric_type``, ``score``, ``tpr`` (tokens per
        parameter) and, if there, ``flops``, ``params`` and ``loss_*``. One row per run ×
        benchmark × metric. Runs have no names: rows that agree in tokens, tpr, flops and params
        are of one run, and runs are numbered in the order of the file.
    mixture : str
        Name of the training mixture, which the file does not give.
    chance : mapping of str to float, optional
        Chance levels of benchmarks that are not in `known_benchmarks`.

    Returns
    -------
    Runs
        Metrics acc, acc_norm, exact_match and pass@k; nll becomes ``task_loss``. Left out, with
        a note: rows listed twice, other metrics, benchmarks of unknown chance level, and
        pass@k of evaluations with one sample per problem.

    Raises
    ------
    RunsError
        If the file cannot be read, lacks a column, or holds an invalid table; rows are named by
        the line of the file.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "runs.csv"
    >>> rows = ["tokens,tpr,benchmark,metric_type,score", "3.8e9,20,arc_easy,acc,0.412"]
    >>> _ = file.write_text(chr(10).join(rows))
    >>> load_krajewski_csv(file, "web").mixtures
    ('web',)
    """
    table = read_csv(path)
    needed = ("tokens", "benchmark", "metric_type", "score", "tpr")
    missing = [name for name in needed if name not in table]
    if missing:
        raise RunsError(f"{path}: has no column {', '.join(missing)}")
    table = table.rename(columns={"metric_type": "metric", "tpr": "tokens_per_param"})
    table = _name_runs(table, mixture)
    table, notes = _leave_out(table, known_values("chance") | dict(chance or {}))
    table, filled = fill_known(_with_task_loss(table), chance)
    return Runs.from_frame(table, source=str(path), notes=[*notes, *filled])


def _name_runs(table: pd.DataFrame, mixture: str) -> pd.DataFrame:
    keys = [c for c in ("tokens", "tokens_per_param", "flops", "params") if c in table]
    number = table.groupby(keys, sort=False, dropna=False).ngroup()
    names = (mixture or "run") + "-" + number.map("{:03d}".format)
    return table.assign(run=names, mixture=mixture)


def _leave_out(table: pd.DataFrame, chance: Mapping[str, float]) -> tuple[pd.DataFrame, list[str]]:
    counted = table["metric"].isin([*_METRICS, _TASK_LOSS])
    passes = table["metric"].map(split_pass_at_k).notna()
    unknown = ~passes & ~table["benchmark"].isin(list(chance))
    reasons = {
        "rows listed twice": table.duplicated(),
        "rows of other metrics": ~(counted | passes),
        "rows of unknown chance level": unknown & counted,
        "rows of pass@k from one sample a problem": passes & _one_sample(table),
    }
    notes = []
    for reason, drop in reasons.items():
        if drop.any():
            names = short_list(table.loc[drop, "benchmark"])
            notes.append(f"left out {drop.sum()} {reason} ({names})")
    return table[~np.logical_or.reduce(list(reasons.values()))], notes


def _one_sample(table: pd.DataFrame) -> "pd.Series[bool]":
    """Tell which rows are of an evaluation whose pass@k is 1 at every k above 1."""
    k = table["metric"].map(split_pass_at_k)
    score = pd.to_numeric(table["score"], errors="coerce")
    is_sure = (score == 1).where(k > 1)
    groups = is_sure.groupby([table["run"], table["benchmark"]])
    return k.notna() & (groups.transform("min") == 1)  # without any k above 1, min is NaN
