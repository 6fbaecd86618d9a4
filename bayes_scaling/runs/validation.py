"""Convert any table to the canonical columns of `Runs`, and list what is wrong with it.

Nothing raises here: `examine` returns the table and its problems, so that a caller can show them
all at once.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_scaling.errors import printable
from bayes_scaling.runs.checks import CHECKS
from bayes_scaling.runs.draft import BUDGET, PASS_AT_K, UNSPECIFIED, Bools, Draft, Floats, Problem
from bayes_scaling.runs.quantities import has_unit, is_missing, parse_quantity, split_pass_at_k

LABELS = ("run", "training", "mixture", "benchmark", "metric")
COLUMNS = (
    "run",
    "training",
    "mixture",
    "params",
    "tokens",
    "flops",
    "tokens_per_param",
    "benchmark",
    "metric",
    "k",
    "score",
    "n_items",
    "chance",
    "task_loss",
)

_INPUT_ONLY = ("n_correct", "stderr")  # checked against score and n_items, then left out
_NUMBERS = (*BUDGET, "k", "score", "n_items", "chance", "task_loss", *_INPUT_ONLY)
INPUT_COLUMNS = (*LABELS, *_NUMBERS)
_ZERO_CHANCE_METRICS = (PASS_AT_K, "exact_match")
_LOSS_NAME = re.compile(r"loss_[A-Za-z0-9_.+-]+")
_COVARIATE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]*")
_CHANCE_MEND = "1/choices for multiple choice, 0 for exact match and generation"
# Half a unit of the second decimal: the coarsest rounding that tables are printed with.
_ROUNDING = 0.0051


@dataclass(frozen=True)
class Examination:
    """A table in canonical columns, with what is wrong with it and what was changed.

    Attributes
    ----------
    table : DataFrame
        Canonical columns; use it only if `errors` is empty.
    problems : tuple of Problem
    notes : tuple of str
        What was left out or changed on the way in, with counts.
    """

    table: pd.DataFrame
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Problems that keep the table from being used."""
        return tuple(p for p in self.problems if p.level == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Problems that a careful reader should know about."""
        return tuple(p for p in self.problems if p.level == "warning")


def examine(frame: pd.DataFrame, covariates: Iterable[str] = ()) -> Examination:
    """Convert a table to the canonical columns and list everything wrong with it.

    Parameters
    ----------
    frame : DataFrame
        One row per run × benchmark × metric (× k). See `Runs.from_frame` for the columns.
    covariates : iterable of str
        Further numeric columns to keep.

    Returns
    -------
    Examination
    """
    draft, frame = _start(frame, tuple(dict.fromkeys(covariates)))
    draft.kind = "cell"
    _read_labels(draft, frame)
    _read_numbers(draft, frame)
    for draft.kind, derive in _DERIVED.items():
        derive(draft)
    for draft.kind, check in CHECKS.items():
        check(draft)
    return Examination(_canonical(draft), tuple(draft.problems), tuple(draft.notes))


# --- columns of the input ---------------------------------------------------------------------


def _start(frame: pd.DataFrame, covariates: tuple[str, ...]) -> tuple[Draft, pd.DataFrame]:
    frame = clean_columns(frame)
    rows = list(frame.index) if frame.index.is_unique else range(len(frame))
    draft = Draft(_objects(rows), kind="columns")
    twice = frame.columns.duplicated()
    for name in dict.fromkeys(frame.columns[twice]):
        draft.add("error", name, "the table has it twice; keep one")
    frame = frame.loc[:, ~twice]
    draft.losses = tuple(sorted(name for name in frame.columns if name.startswith("loss_")))
    draft.covariates = covariates
    if not len(frame):
        draft.add("error", None, "the table has no rows")
    for column, message in _missing_columns(set(frame.columns)):
        draft.add("error", column, message)
        draft.faulty[column] = np.ones(len(frame), bool)
    for name in draft.losses:
        if not _LOSS_NAME.fullmatch(name):
            draft.add("error", name, "files cannot hold this name; use letters, digits, _ . + -")
    _check_covariates(draft, set(frame.columns))
    _note_unknown_columns(draft, frame.columns)
    return draft, frame


def _check_covariates(draft: Draft, have: set[str]) -> None:
    for name in draft.covariates:
        if name in INPUT_COLUMNS or name.startswith("loss_"):
            draft.add("error", name, "is a column of its own; leave it out of covariates")
        elif name not in have:
            draft.add("error", name, "is asked for as a covariate, but is missing from the table")
        elif not _COVARIATE_NAME.fullmatch(name):
            draft.add("error", name, "files cannot hold this name; use letters, digits, _ . + -")
    draft.covariates = tuple(n for n in draft.covariates if n in have and n not in INPUT_COLUMNS)


def clean_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Make column names printable texts without blanks around them."""
    return frame.set_axis([printable(str(name).strip()) for name in frame.columns], axis=1)


def _objects(values: Iterable[Any]) -> NDArray[Any]:
    values = list(values)
    out = np.empty(len(values), object)
    out[:] = values
    return out


def _missing_columns(have: set[str]) -> Iterator[tuple[str, str]]:
    mends = {
        "run": "give each training run a name",
        "benchmark": "name the benchmark of each score",
        "metric": "name it, such as acc, acc_norm, exact_match or pass@1",
    }
    for column, mend in mends.items():
        if column not in have:
            yield column, f"is missing from the table; {mend}"
    if "score" not in have and not {"n_correct", "n_items"} <= have:
        yield "score", "is missing from the table; give it, or n_correct and n_items"
    if "flops" not in have and len({"params", "tokens", "tokens_per_param"} & have) < 2:
        yield "flops", "is missing from the table; give it, or params and tokens"


def _note_unknown_columns(draft: Draft, names: Iterable[str]) -> None:
    known = {*LABELS, *_NUMBERS, *draft.losses, *draft.covariates}
    unknown = [name for name in names if name not in known]
    losses = [name for name in unknown if "loss" in name.lower()]
    if unknown:
        draft.notes.append(
            f"left out columns {', '.join(unknown)}; name them as covariates to keep them"
        )
    if losses:
        draft.notes.append(f"rename {', '.join(losses)} to loss_<name> to have them read as losses")


def _read_labels(draft: Draft, frame: pd.DataFrame) -> None:
    for column in LABELS:
        texts = _texts(frame[column]) if column in frame else _objects([""] * len(frame))
        draft.columns[column] = texts
        if column == "mixture":
            texts[texts == ""] = UNSPECIFIED
        odd = np.array([not text.isprintable() for text in texts], bool)
        draft.error(column, odd, "{!r} holds characters that cannot be printed", texts)
        if column == "training":  # a run that names none is a training of its own
            texts[texts == ""] = draft.labels("run")[texts == ""]
        else:
            draft.error(column, texts == "", "is empty; every row needs it")


def _texts(values: pd.Series) -> NDArray[Any]:
    return _objects("" if is_missing(value) else str(value).strip() for value in values.tolist())


def _read_numbers(draft: Draft, frame: pd.DataFrame) -> None:
    for column in (*_NUMBERS, *draft.losses, *draft.covariates):
        if column not in frame:
            draft.columns[column] = np.full(len(frame), np.nan)
            continue
        values, complaints = _floats(frame[column])
        draft.columns[column] = values
        draft.error(column, complaints != "", "{}; give a number", complaints)
        draft.error(column, np.isinf(values), "is infinite; give a finite number")
        _note_units(draft, column, frame[column])


def _floats(values: pd.Series) -> tuple[Floats, NDArray[Any]]:
    """Convert to float64, before any arithmetic; the second array holds complaints or ""."""
    complaints = _objects([""] * len(values))
    if pd.api.types.is_integer_dtype(values.dtype) or pd.api.types.is_float_dtype(values.dtype):
        return values.to_numpy(np.float64, na_value=np.nan, copy=True), complaints
    out = np.full(len(values), np.nan)
    for i, value in enumerate(values.tolist()):
        try:
            out[i] = parse_quantity(value)
        except ValueError as error:
            complaints[i] = str(error)
    return out, complaints


def _note_units(draft: Draft, column: str, values: pd.Series) -> None:
    texts = [v for v in values.tolist() if isinstance(v, str) and has_unit(v)]
    if texts:
        draft.notes.append(
            f"{column}: converted {len(texts)} values with units, such as {texts[0]}"
        )


# --- derived columns --------------------------------------------------------------------------


def _derive_k(draft: Draft) -> None:
    metric, k = draft.labels("metric"), draft.numbers("k")
    written = np.array([_k_or_nan(text) for text in metric], np.float64)
    spelled = ~np.isnan(written)
    clash = spelled & ~np.isnan(k) & (k != written)
    draft.error("k", clash, "{:g} contradicts metric {}; keep one of them", k, metric)
    k[spelled] = written[spelled]
    metric[spelled] = PASS_AT_K
    passes = metric == PASS_AT_K
    draft.error("k", passes & np.isnan(k), "is empty; metric pass@k needs k")
    draft.error("k", passes & ~((k >= 1) & (k == np.round(k))), "{:g} is not 1, 2, 3, ...", k)
    alien = ~passes & ~np.isnan(k)
    draft.error("k", alien, "{:g} given for metric {}; leave it empty except for pass@k", k, metric)


def _k_or_nan(metric: str) -> float:
    k = split_pass_at_k(metric)
    return np.nan if k is None else float(k)


def _derive_budget(draft: Draft) -> None:
    params, tokens, flops, ratio = (draft.numbers(column) for column in BUDGET)
    negative = flops < 0
    overflow = "{:g} is not positive; 6·N·D overflows int64, convert N and D to float first"
    draft.error("flops", negative, overflow, flops)
    for column in BUDGET:
        values = draft.numbers(column)
        draft.error(column, values <= 0, "{:g} is not positive", values)
    # float64 throughout: 6·N·D of a large run is beyond int64.
    with np.errstate(all="ignore"):
        _fill(params, tokens / ratio)
        _fill(tokens, params * ratio)
        _fill(flops, 6.0 * params * tokens)
        _fill(ratio, tokens / params)
    # A value that cannot be computed because an input is faulty is not a second problem.
    inputs = draft.sound("params", "tokens", "tokens_per_param")
    draft.error("flops", np.isnan(flops) & inputs, "is empty; give it, or params and tokens")
    for column in BUDGET:
        values = draft.numbers(column)
        out_of_range = (np.isinf(values) | (values == 0)) & inputs
        draft.error(column, out_of_range, "comes out as {:g}; check params and tokens", values)


def _fill(values: Floats, computed: Floats) -> None:
    gaps = np.isnan(values)
    values[gaps] = computed[gaps]


def _derive_score(draft: Draft) -> None:
    n_items, n_correct = draft.numbers("n_items"), draft.numbers("n_correct")
    odd = (n_items < 1) | ((n_items != np.round(n_items)) & ~np.isnan(n_items))
    draft.error("n_items", odd, "{:g} is not 1, 2, 3, ...; leave it empty if unknown", n_items)
    given = ~np.isnan(n_correct)
    odd = given & ((n_correct < 0) | (n_correct != np.round(n_correct)))
    draft.error("n_correct", odd, "{:g} is not 0, 1, 2, ...", n_correct)
    draft.error("n_correct", given & np.isnan(n_items), "is given, but n_items is empty")
    swapped = "{:g} is more than n_items {:g}; are they swapped?"
    draft.error("n_correct", n_correct > n_items, swapped, n_correct, n_items)
    _score_from_counts(draft, given & draft.sound("n_correct", "n_items"))
    gaps = np.isnan(draft.numbers("score")) & draft.sound("n_correct", "n_items")
    draft.error("score", gaps, "is empty; give it or leave the row out")


def _score_from_counts(draft: Draft, exact: Bools) -> None:
    score = draft.numbers("score")
    ratio = np.full(len(score), np.nan)
    np.divide(draft.numbers("n_correct"), draft.numbers("n_items"), out=ratio, where=exact)
    clash = (np.abs(score - ratio) > _ROUNDING) & (score >= 0) & (score <= 1)
    draft.error("score", clash, "{:g} contradicts n_correct / n_items = {:g}", score, ratio)
    agreed = exact & (np.isnan(score) | (np.abs(score - ratio) <= _ROUNDING))
    score[agreed] = ratio[agreed]


def _derive_chance(draft: Draft) -> None:
    chance, benchmark = draft.numbers("chance"), draft.labels("benchmark")
    benchmark = np.where(benchmark == "", "this benchmark", benchmark)
    unknown = np.isnan(chance) & draft.sound("chance")
    zero = unknown & np.isin(draft.labels("metric").astype(str), _ZERO_CHANCE_METRICS)
    if zero.any():
        chance[zero] = 0.0
        draft.notes.append(f"chance: set to 0 in {zero.sum()} rows of pass@k and exact_match")
    for name in dict.fromkeys(benchmark[unknown & ~zero]):
        rows = unknown & ~zero & (benchmark == name)
        draft.error("chance", rows, "is unknown for {}; give " + _CHANCE_MEND, benchmark)
    outside = (chance < 0) | (chance >= 1)
    draft.error("chance", outside, "{:g} is not in [0, 1); give " + _CHANCE_MEND, chance)


_DERIVED: dict[str, Callable[[Draft], None]] = {
    "k": _derive_k,
    "budget": _derive_budget,
    "score": _derive_score,
    "chance": _derive_chance,
}


def _canonical(draft: Draft) -> pd.DataFrame:
    order = _order(draft)
    columns = {name: draft.columns[name][order] for name in _order_of_columns(draft)}
    labels = {name: pd.Series(columns[name], dtype=str) for name in LABELS}
    return pd.DataFrame({**columns, **labels})


def _order_of_columns(draft: Draft) -> Iterator[str]:
    covariates = (name for name in draft.covariates if not name.startswith("loss_"))
    return iter((*COLUMNS, *draft.losses, *sorted(covariates)))


def _order(draft: Draft) -> list[int]:
    labels = [draft.labels(name) for name in ("mixture", "benchmark", "metric")]
    k = np.nan_to_num(draft.numbers("k"), nan=0.0)
    keys = list(zip(*labels, k, draft.numbers("flops"), draft.labels("run"), strict=True))
    return sorted(range(len(keys)), key=keys.__getitem__)
