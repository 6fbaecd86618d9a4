"""Read a study from a TOML file."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayes_scaling._io.files import read_text
from bayes_scaling.datasets import load_csv, load_dataset, load_parquet
from bayes_scaling.datasets.krajewski2025 import STANDARD_BENCHMARKS
from bayes_scaling.errors import BayesScalingError, RunsError
from bayes_scaling.runs import Runs
from bayes_scaling.study.study import Study

ALL, STANDARD = "all", "standard"


@dataclass(frozen=True)
class _Field:
    """What a field of a study's file may hold, for the program and in words."""

    holds: Callable[[Any], bool]
    mend: str


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_positive(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < math.inf


def _list_of(holds: Callable[[Any], bool], *words: str) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return (
            isinstance(value, list) and bool(value) and all(v in words or holds(v) for v in value)
        )

    return check


def _at_least(least: int) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= least

    return check


def _texts_or_words(value: Any) -> bool:
    return value in (ALL, STANDARD) or _list_of(_is_text)(value)


_NUMBERS = _list_of(_is_positive, ALL)
_FIELDS = {
    "data": _Field(_is_text, 'an embedded data set, or a CSV or Parquet file: "krajewski2025"'),
    "models": _Field(_list_of(_is_text), 'a list of names or TOML files: ["power_law"]'),
    "benchmarks": _Field(_texts_or_words, '"standard", "all" or a list: ["arc_easy", "piqa"]'),
    "metrics": _Field(_list_of(_is_text), 'a list: ["acc"]'),
    "mixtures": _Field(_list_of(_is_text), 'a list: ["dclm"]'),
    "tokens_per_param": _Field(_NUMBERS, 'a list of ratios, or "all" for one: [20, "all"]'),
    "cutoffs": _Field(_NUMBERS, 'a list of budgets in FLOPs, or "all" for one: [1e21, "all"]'),
    "draws": _Field(_at_least(4), "a whole number of at least 4: 1000"),
    "tune": _Field(_at_least(1), "a whole number of at least 1: 1000"),
    "chains": _Field(_at_least(1), "a whole number of at least 1: 4"),
    "seed": _Field(_at_least(0), "a whole number of at least 0: 0"),
}
_NEEDED = ("data", "models")
_PASSED_ON = ("draws", "tune", "chains", "seed")


def read_study(file: Path, folder: Path) -> Study:
    """Return the study that a TOML file describes, to be kept in `folder`.

    Raises
    ------
    BayesScalingError
        If a field is wrong. The message names it and says what it should be.
    """
    spec = _read_fields(file)
    try:
        return Study(
            [_beside(file, name) if name.endswith(".toml") else name for name in spec["models"]],
            _read_runs(file, spec),
            folder,
            tokens_per_param=_numbers(spec.get("tokens_per_param")),
            cutoffs=_numbers(spec.get("cutoffs")),
            **{name: spec[name] for name in _PASSED_ON if name in spec},
        )
    except BayesScalingError as error:
        raise BayesScalingError(f"{file}: {error}") from error


def _read_fields(file: Path) -> dict[str, Any]:
    try:
        spec = tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as error:
        raise BayesScalingError(f"{file}: is not TOML: {error}") from error
    problems = [_unknown(name) for name in spec if name not in _FIELDS]
    problems += [
        f"field {name!r} is missing: {name} = {_FIELDS[name].mend}"
        for name in _NEEDED
        if name not in spec
    ]
    problems += [
        f"field {name!r} is {spec[name]!r}, but should be {field.mend}"
        for name, field in _FIELDS.items()
        if name in spec and not field.holds(spec[name])
    ]
    if problems:
        raise BayesScalingError(f"{file}: {'; '.join(problems)}")
    return spec


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, _FIELDS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(_FIELDS)}"
    return f"unknown field {name!r}; {hint}"


def _numbers(values: list[float | str] | None) -> list[float | None]:
    return [None if isinstance(value, str) else value for value in values or [ALL]]


def _beside(file: Path, name: str) -> str:
    """Return a path that is written from the place of the study's file."""
    return str(file.parent / name)


def _read_runs(file: Path, spec: Mapping[str, Any]) -> Runs:
    loaders = {".csv": load_csv, ".parquet": load_parquet}
    load = loaders.get(Path(spec["data"]).suffix)
    runs = load(_beside(file, spec["data"])) if load else load_dataset(spec["data"])
    runs = runs.select(mixture=spec.get("mixtures"))
    benchmarks, metrics = spec.get("benchmarks", ALL), spec.get("metrics")
    if benchmarks != STANDARD:
        return runs.select(benchmark=None if benchmarks == ALL else benchmarks, metric=metrics)
    if metrics is not None:
        raise RunsError("field 'metrics': the standard benchmarks have theirs; leave it out")
    return Runs.concat(
        [runs.select(benchmark=name, metric=metric) for name, metric in STANDARD_BENCHMARKS.items()]
    )
