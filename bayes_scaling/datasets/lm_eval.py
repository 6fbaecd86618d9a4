"""Results of lm-evaluation-harness (v0.2 to v0.4), with a table of their runs."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_scaling._io.files import read_csv
from bayes_scaling.datasets.benchmarks import fill_known, known_values
from bayes_scaling.datasets.result_files import ResultFile, match_folder, match_named
from bayes_scaling.errors import PACKAGE, RunsError, RunsWarning
from bayes_scaling.runs import Runs
from bayes_scaling.runs.quantities import parse_quantity, short_list, split_pass_at_k

# Shares of right answers. Other metrics (perplexity, f1, bleu) are not shares of items.
_METRICS = ("acc", "acc_norm", "exact_match", "em")
_CHANCE_BY_OUTPUT = {"generate_until": 0.0, "loglikelihood": 0.0}
# Until v0.3 the subjects of MMLU, which has four choices, had names of their own.
_OLD_MMLU, _MMLU, _SUBJECTS, _MMLU_CHANCE = "hendrycksTest-", "mmlu", 57, 0.25
# Column of the table of runs that makes budgets of checkpoints.
_TOKENS_PER_STEP = "tokens_per_step"
_SCORE = ["run", "benchmark", "metric"]


@dataclass(frozen=True)
class LmEvalResults:
    """Results of lm-evaluation-harness as runs, and where they came from.

    Attributes
    ----------
    runs : Runs
        The scores.
    files : pandas.DataFrame
        A row a file: file, run (with the step of a checkpoint), scores (how many it gave), and
        skipped (why it was not used; empty if it was).
    """

    runs: Runs
    files: pd.DataFrame


def load_lm_eval(
    results: str | Path | Mapping[str, str | Path],
    runs: str | Path | pd.DataFrame,
    chance: Mapping[str, float] | None = None,
) -> Runs:
    """Load results of lm-evaluation-harness.

    Parameters
    ----------
    results : path or mapping of str to path
        Run → results file; or one results file; or a folder with ``results*.json`` files at any
        depth. Files are matched to runs by the model's name in the file, the names of the folders
        that hold it, or the file's own name. Of a folder, files that cannot be read or matched
        are skipped with a warning. If several files score a run on a task, the last one by the
        date in its name is taken.
    runs : path or DataFrame
        A table (CSV) with one row per run: ``run``; ``flops``, or ``params`` and ``tokens``; and,
        if known, ``mixture``, ``tokens_per_param`` and ``loss_*``. Checkpoints (``step1000`` in
        the name of a file, a folder, or the revision of a model) need a row each, or a column
        ``tokens_per_step`` beside ``params`` in the row of their training run.
    chance : mapping of str to float, optional
        Chance levels of tasks that are neither in `known_benchmarks` nor given by the results
        file (a list of choices, or a generation task).

    Returns
    -------
    Runs
        Metrics acc, acc_norm, exact_match, em and pass@k; a filter other than "none" stays part
        of the metric's name ("exact_match,strict-match"). Item counts are the harness's
        effective sample counts, or for old files those of known benchmarks; standard errors of 0
        are not believed. What was left out is in the notes. Of old files ``hendrycksTest-*``
        becomes ``mmlu_*``, and ``mmlu`` is their mean where all 57 subjects are there.

    Raises
    ------
    RunsError
        If no file can be used, a file that was named cannot be read, a file's run is not in the
        table, a checkpoint has no budget, or the table is invalid.

    Warns
    -----
    RunsWarning
        If files were skipped, or tasks were left out because their chance level is unknown.

    Examples
    --------
    >>> import json, tempfile
    >>> file = Path(tempfile.mkdtemp()) / "results.json"
    >>> scores = {"arc_easy": {"acc,none": 0.5, "acc_stderr,none": 0.01}}
    >>> counts = {"arc_easy": {"original": 2376, "effective": 2376}}
    >>> _ = file.write_text(json.dumps({"results": scores, "n-samples": counts}))
    >>> table = pd.DataFrame({"run": ["small"], "params": [190e6], "tokens": [3.8e9]})
    >>> load_lm_eval({"small": file}, table).table["score"].item()
    0.5
    """
    return read_lm_eval(results, runs, chance).runs


def read_lm_eval(
    results: str | Path | Mapping[str, str | Path],
    runs: str | Path | pd.DataFrame,
    chance: Mapping[str, float] | None = None,
) -> LmEvalResults:
    """Load results of lm-evaluation-harness, and say what each file was matched to.

    Parameters, errors and warnings are those of :func:`load_lm_eval`.
    """
    table = read_csv(runs) if isinstance(runs, str | Path) else runs
    if "run" not in table.columns:
        raise RunsError("table of runs: column 'run': is missing; name each run")
    table = table.assign(run=table["run"].astype(str).str.strip())
    _one_row_a_run(table["run"])
    known = set(table["run"])
    skipped: dict[Path, str] = {}
    if isinstance(results, Mapping):
        files = match_named(results, known)
    else:
        files, skipped = match_folder(Path(results), known)
    reader = _Reader(known_values("chance", "harness") | dict(chance or {}))
    rows = {file.path: [*reader.rows(file), *reader.mean_of_subjects(file)] for file in files}
    scores = [row for part in rows.values() for row in part]
    if not scores:
        raise RunsError(f"{results}: holds no accuracy, exact match or pass@k with a known chance")
    last = pd.DataFrame(scores).drop_duplicates(_SCORE, keep="last")
    merged = last.drop(columns="place").merge(
        _with_checkpoints(table, files), on="run", how="left", suffixes=("", "_of_run")
    )
    notes = [*reader.notes(), *_skipped(skipped), *_replaced(len(scores) - len(last))]
    filled, more = fill_known(merged.set_axis(last["place"].tolist()), suite="harness")
    found = Runs.from_frame(filled, source="lm-eval results", notes=[*notes, *more])
    return LmEvalResults(found, _file_table(files, rows, skipped))


def _one_row_a_run(names: "pd.Series[str]") -> None:
    twice = sorted(set(names[names.duplicated()]))
    if twice:
        raise RunsError(f"table of runs: column 'run': {', '.join(twice)} twice; keep one row each")


# ---- checkpoints ---------------------------------------------------------------------------------


def _with_checkpoints(table: pd.DataFrame, files: Sequence[ResultFile]) -> pd.DataFrame:
    """Return the table of runs with a row for each checkpoint of a training run."""
    steps: dict[str, set[int]] = {}
    for file in files:
        if file.step is not None:
            steps.setdefault(file.run, set()).add(file.step)
    if not steps:
        return table.drop(columns=_TOKENS_PER_STEP, errors="ignore")
    rows = table.set_index("run", drop=False).to_dict("index")
    made = []
    for run, there in steps.items():
        row = {str(k): v for k, v in rows[run].items() if k not in ("flops", "tokens_per_param")}
        a_step = _tokens_per_step(run, row, there)
        made += [
            row | {"run": f"{run} step {step}", "training": run, "tokens": step * a_step}
            for step in there
        ]
    whole = pd.concat([table, pd.DataFrame(made)], ignore_index=True)
    return whole.drop(columns=_TOKENS_PER_STEP, errors="ignore")


def _tokens_per_step(run: str, row: Mapping[str, Any], steps: set[int]) -> float:
    given = row.get(_TOKENS_PER_STEP)
    value = parse_quantity(given) if given not in (None, "") else float("nan")
    if not value > 0:
        there = ", ".join(map(str, sorted(steps)))
        raise RunsError(
            f"table of runs: run {run} has checkpoints (steps {there}) but no {_TOKENS_PER_STEP}; "
            "add that column (tokens of a batch), or a row for each checkpoint, named as its "
            f"files, such as {run}-step{min(steps)}"
        )
    return value


# ---- what was matched ----------------------------------------------------------------------------


def _file_table(
    files: Sequence[ResultFile], rows: Mapping[Path, Sequence[Any]], skipped: Mapping[Path, str]
) -> pd.DataFrame:
    used = [
        {"file": str(f.path), "run": f.name, "scores": len(rows[f.path]), "skipped": ""}
        for f in files
    ]
    left = [
        {"file": str(path), "run": "", "scores": 0, "skipped": why} for path, why in skipped.items()
    ]
    return pd.DataFrame([*used, *left])


def _skipped(skipped: Mapping[Path, str]) -> list[str]:
    if not skipped:
        return []
    named = short_list(f"{path.name} ({why})" for path, why in skipped.items())
    text = f"skipped {len(skipped)} result files: {named}"
    warnings.warn(text, RunsWarning, skip_file_prefixes=PACKAGE)
    return [text]


def _replaced(n: int) -> list[str]:
    if not n:
        return []
    return [f"{n} scores stand in several files of their run; the last by date was taken"]


# ---- reading -------------------------------------------------------------------------------------


class _Reader:
    """Reads results files into rows, and records what was left out."""

    def __init__(self, chance: Mapping[str, float]) -> None:
        self._chance = chance
        self._metrics: set[str] = set()
        self._tasks: set[str] = set()

    def rows(self, file: ResultFile) -> Iterator[dict[str, Any]]:
        """Yield a row for each score of a file."""
        for task, metrics in file.content["results"].items():
            if not isinstance(metrics, dict):
                raise RunsError(f"{file.path}: 'results' of {task!r} is not an object of metrics")
            yield from self._task(file, task.strip(), metrics)

    def _task(
        self, file: ResultFile, task: str, metrics: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        # Since v0.4 the filter follows the name: "acc,none". Before, there was none.
        filters = any("," in key for key in metrics)
        for key, value in metrics.items():
            name, _, filtered = key.partition(",")
            if bool(filtered) != filters or name.endswith("_stderr"):
                continue
            is_pass = split_pass_at_k(name) is not None
            if not is_pass and name not in _METRICS:
                if isinstance(value, int | float):
                    self._metrics.add(name)
                continue
            chance = 0.0 if is_pass else self._chance_of(task, file.content)
            if chance is None:
                self._tasks.add(task)
                continue
            yield {
                "place": f"{file.path} {task} {key}",
                "run": file.name,
                "benchmark": task.replace(_OLD_MMLU, f"{_MMLU}_"),
                "metric": name if is_pass or filtered in ("", "none") else key,
                "score": value,
                "stderr": _believed(metrics.get(key.replace(name, f"{name}_stderr", 1))),
                "n_items": None if is_pass else _n_items(task, file.content, metrics),
                "chance": chance,
            }

    def mean_of_subjects(self, file: ResultFile) -> Iterator[dict[str, Any]]:
        """Yield MMLU, which old files have by subject only."""
        results = file.content["results"]
        subjects = {k: v for k, v in results.items() if k.startswith(_OLD_MMLU)}
        if len(subjects) < _SUBJECTS or _MMLU in results:
            return
        for metric in ("acc", "acc_norm"):
            values = [metrics.get(metric) for metrics in subjects.values()]
            if all(isinstance(value, int | float) for value in values):
                yield {
                    "place": f"{file.path} {_OLD_MMLU}* {metric}",
                    "run": file.name,
                    "benchmark": _MMLU,
                    "metric": metric,
                    "score": sum(values) / len(values),
                    "stderr": None,
                    "n_items": None,
                    "chance": _MMLU_CHANCE,
                }

    def _chance_of(self, task: str, content: dict[str, Any]) -> float | None:
        if task in self._chance:
            return self._chance[task]
        if task.startswith(_OLD_MMLU):
            return _MMLU_CHANCE
        config = _entry(content.get("configs"), task)
        choices = config.get("doc_to_choice")
        if isinstance(choices, list) and len(choices) > 1:
            return 1 / len(choices)
        return _CHANCE_BY_OUTPUT.get(str(config.get("output_type")))

    def notes(self) -> list[str]:
        """Say what was left out; warn of tasks, which a user may have wanted."""
        notes = []
        if self._metrics:
            notes.append(
                f"left out metrics that are not shares of items: {short_list(self._metrics)}"
            )
        if self._tasks:
            text = f"left out tasks of unknown chance level: {short_list(self._tasks)}"
            warnings.warn(
                f"{text}; give chance={{task: level}}", RunsWarning, skip_file_prefixes=PACKAGE
            )
            notes.append(text)
        return notes


def _believed(stderr: Any) -> float | None:
    """Return a standard error; None for what is no number, and for 0, which no test set gives."""
    return stderr if isinstance(stderr, int | float) and stderr > 0 else None


def _n_items(task: str, content: dict[str, Any], metrics: dict[str, Any]) -> Any:
    """Return the number of items that were evaluated; for a group, the sum over its tasks."""
    counts = content.get("n-samples")
    own = _entry(counts, task).get("effective", metrics.get("sample_len"))
    subtasks = content.get("group_subtasks")
    members = subtasks.get(task) if isinstance(subtasks, dict) else None
    if own is not None or not isinstance(members, list) or not members:
        return own
    effective = [_entry(counts, str(member)).get("effective") for member in members]
    return sum(effective) if all(isinstance(n, int) for n in effective) else None


def _entry(mapping: Any, key: str) -> dict[str, Any]:
    entry = mapping.get(key) if isinstance(mapping, dict) else None
    return entry if isinstance(entry, dict) else {}
