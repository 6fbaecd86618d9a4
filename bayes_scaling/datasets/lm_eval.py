"""Results of lm-evaluation-harness (v0.4 JSON), with a table of their runs."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_scaling._io.files import read_csv, read_json
from bayes_scaling.datasets.benchmarks import known_values
from bayes_scaling.errors import PACKAGE, RunsError, RunsWarning
from bayes_scaling.runs import Runs
from bayes_scaling.runs.quantities import short_list, split_pass_at_k

# Shares of right answers. Other metrics (perplexity, f1, bleu) are not shares of items.
_METRICS = ("acc", "acc_norm", "exact_match", "em")
_CHANCE_BY_OUTPUT = {"generate_until": 0.0, "loglikelihood": 0.0}


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
        that hold it, or the file's own name.
    runs : path or DataFrame
        A table (CSV) with one row per run: ``run``; ``flops``, or ``params`` and ``tokens``; and,
        if known, ``mixture``, ``tokens_per_param`` and ``loss_*``.
    chance : mapping of str to float, optional
        Chance levels of tasks that are neither in `known_benchmarks` nor given by the results
        file (a list of choices, or a generation task).

    Returns
    -------
    Runs
        Metrics acc, acc_norm, exact_match, em and pass@k; a filter other than "none" stays part
        of the metric's name ("exact_match,strict-match"). Item counts are the harness's
        effective sample counts. What was left out is in the notes.

    Raises
    ------
    RunsError
        If a file cannot be read or is not of this format, a file's run is not in the table, or
        the table is invalid.

    Warns
    -----
    RunsWarning
        If tasks were left out because their chance level is unknown.

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
    table = read_csv(runs) if isinstance(runs, str | Path) else runs
    if "run" not in table.columns:
        raise RunsError("table of runs: column 'run': is missing; name each run")
    table = table.assign(run=table["run"].astype(str).str.strip())
    _one_row_a_run(table["run"])
    files = _files(results, set(table["run"]))
    reader = _Reader(known_values("chance", "harness") | dict(chance or {}))
    scores = [row for run, path in files for row in reader.rows(run, path)]
    if not scores:
        raise RunsError(f"{results}: holds no accuracy, exact match or pass@k with a known chance")
    places = [row.pop("place") for row in scores]
    merged = pd.DataFrame(scores).merge(table, on="run", how="left", suffixes=("", "_of_run"))
    return Runs.from_frame(merged.set_axis(places), source="lm-eval results", notes=reader.notes())


def _one_row_a_run(names: "pd.Series[str]") -> None:
    twice = sorted(set(names[names.duplicated()]))
    if twice:
        raise RunsError(f"table of runs: column 'run': {', '.join(twice)} twice; keep one row each")


def _files(
    results: str | Path | Mapping[str, str | Path], runs: set[str]
) -> list[tuple[str, Path]]:
    if isinstance(results, Mapping):
        files = [(str(run), Path(path)) for run, path in results.items()]
        unknown = [run for run, _ in files if run not in runs]
        if unknown:
            raise RunsError(f"the table of runs lacks {', '.join(unknown)}; add a row for each")
        return files
    root = Path(results)
    paths = sorted(root.rglob("results*.json")) or sorted(root.rglob("*.json"))
    paths = paths if root.is_dir() else [root]
    if not paths:
        raise RunsError(f"{root}: holds no JSON file")
    return [(_run_of(path, root, runs), path) for path in paths]


def _run_of(path: Path, root: Path, runs: set[str]) -> str:
    folders = [parent.name for parent in path.parents if parent.is_relative_to(root)]
    names = [*_model_names(read_json(path)), *folders, path.stem]
    found = next((name for name in names if name in runs), None)
    if found is None:
        raise RunsError(f"{path}: none of its names ({short_list(names)}) is a run of the table")
    return found


def _model_names(content: Any) -> Iterator[str]:
    if not isinstance(content, dict):
        return
    config = content.get("config")
    arguments = config.get("model_args") if isinstance(config, dict) else None
    if isinstance(arguments, str):
        arguments = dict(pair.split("=", 1) for pair in arguments.split(",") if "=" in pair)
    pretrained = arguments.get("pretrained") if isinstance(arguments, dict) else None
    for name in (content.get("model_name"), content.get("model_name_sanitized"), pretrained):
        if isinstance(name, str):
            yield from dict.fromkeys((name, name.rstrip("/").rpartition("/")[2]))


class _Reader:
    """Reads results files into rows, and records what was left out."""

    def __init__(self, chance: Mapping[str, float]) -> None:
        self._chance = chance
        self._metrics: set[str] = set()
        self._tasks: set[str] = set()

    def rows(self, run: str, path: Path) -> Iterator[dict[str, Any]]:
        content = read_json(path)
        results = content.get("results") if isinstance(content, dict) else None
        if not isinstance(results, dict):
            raise RunsError(f"{path}: has no 'results'; is it of lm-evaluation-harness v0.4?")
        for task, metrics in results.items():
            if not isinstance(metrics, dict):
                raise RunsError(f"{path}: 'results' of {task!r} is not an object of metrics")
            yield from self._task(run, path, content, task.strip(), metrics)

    def _task(
        self, run: str, path: Path, content: dict[str, Any], task: str, metrics: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        for key, value in metrics.items():
            name, _, filtered = key.partition(",")
            if not filtered or name.endswith("_stderr"):
                continue
            is_pass = split_pass_at_k(name) is not None
            if not is_pass and name not in _METRICS:
                self._metrics.add(name)
                continue
            chance = 0.0 if is_pass else self._chance_of(task, content)
            if chance is None:
                self._tasks.add(task)
                continue
            stderr = metrics.get(f"{name}_stderr,{filtered}")
            yield {
                "place": f"{path} {task} {key}",
                "run": run,
                "benchmark": task,
                "metric": name if is_pass or filtered == "none" else key,
                "score": value,
                "stderr": stderr if isinstance(stderr, int | float) else None,
                "n_items": None if is_pass else _n_items(task, content, metrics),
                "chance": chance,
            }

    def _chance_of(self, task: str, content: dict[str, Any]) -> float | None:
        if task in self._chance:
            return self._chance[task]
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
