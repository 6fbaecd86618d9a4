"""Runs of Gadre et al. 2024, arXiv:2403.08540: 104 runs on three mixtures × 46 tasks."""

from pathlib import Path
from typing import Any

import pandas as pd

from bayes_scaling._io.files import read_csv, read_json
from bayes_scaling.datasets.benchmarks import fill_known
from bayes_scaling.errors import RunsError
from bayes_scaling.runs import Runs

_METRIC = "acc"
# Their scores are not whole counts of items, so their item counts cannot be used.
_MEANS = ("bbq", "jeopardy", "mmlu", "mmlu_zeroshot")


def load_gadre(folder: str | Path) -> Runs:
    """Load the runs of Gadre et al. 2024 (arXiv:2403.08540) from a folder.

    Parameters
    ----------
    folder : path
        Either a folder with ``gadre2024_runs.csv``, ``gadre2024_scores.csv`` and
        ``gadre2024_tasks.csv``, or the original release: a folder with ``models/*.json`` and
        ``evals/*.json`` (its ``exp_data``, or the folder that holds it).

    Returns
    -------
    Runs
        Mixtures ``c4_original``, ``rpj`` and ``rw_original``; metric ``acc``; validation losses
        ``loss_openlm``, ``loss_c4_val``, ``loss_paloma_*`` and ``loss_de-en`` (nats per token).
        Scores of mmlu, mmlu_zeroshot, bbq and jeopardy are means over categories, not whole
        counts, so their ``n_items`` is left empty.

    Raises
    ------
    RunsError
        If the folder holds neither layout, a file cannot be read, or the table is invalid.

    Examples
    --------
    >>> load_gadre("no_such_folder")
    Traceback (most recent call last):
    bayes_scaling.errors.RunsError: no_such_folder: holds neither gadre2024_runs.csv nor ...
    """
    folder = Path(folder)
    if (folder / "gadre2024_runs.csv").is_file():
        return _from_tables(folder)
    for root in (folder, folder / "exp_data"):
        if (root / "models").is_dir() and (root / "evals").is_dir():
            return _from_release(root)
    raise RunsError(
        f"{folder}: holds neither gadre2024_runs.csv nor folders models and evals with JSON files"
    )


def _from_tables(folder: Path) -> Runs:
    runs = _columns(folder / "gadre2024_runs.csv", "run", "mix", "mult", "params", "tokens")
    scores = _columns(folder / "gadre2024_scores.csv", "run", "task", "accuracy")
    tasks = _columns(folder / "gadre2024_tasks.csv", "task", "n_items", "chance")
    _one_row_each(runs["run"], "gadre2024_runs.csv")
    _one_row_each(tasks["task"], "gadre2024_tasks.csv")
    # An unknown run or task leaves gaps, which the checks name by the line of the scores.
    table = scores.merge(runs.drop(columns="mult"), on="run", how="left")
    table = table.merge(tasks[["task", "n_items", "chance"]], on="task", how="left")
    names = {"mix": "mixture", "task": "benchmark", "accuracy": "score"}
    table = table.set_axis(scores.index).rename(columns=names)
    return _runs(table, folder / "gadre2024_scores.csv")


def _columns(path: Path, *needed: str) -> pd.DataFrame:
    table = read_csv(path)
    missing = [name for name in needed if name not in table]
    if missing:
        raise RunsError(f"{path}: has no column {', '.join(missing)}")
    return table


def _one_row_each(names: "pd.Series[str]", file: str) -> None:
    twice = sorted(set(names[names.duplicated()]))
    if twice:
        raise RunsError(f"{file}: {', '.join(twice)} twice; keep one row each")


def _from_release(root: Path) -> Runs:
    rows = []
    for path in sorted((root / "models").glob("*.json")):
        run = _run(path)
        scores = _scores(root / "evals" / f"evaluation_{path.stem}_heavy.json")
        rows += [{**run, "benchmark": task, "score": score} for task, score in scores.items()]
    if not rows:
        raise RunsError(f"{root / 'models'}: holds no JSON file")
    places = [f"{row['run']} {row['benchmark']}" for row in rows]
    return _runs(pd.DataFrame(rows, index=places), root)


def _run(path: Path) -> dict[str, Any]:
    model = read_json(path)
    try:
        losses = {
            f"loss_{str(result['val_data'][0]).split('/')[-2]}": result["loss"]
            for result in model["results"]
        }
        run = {
            "run": model["name"],
            "mixture": model["dataset_name"],
            "params": model["hyperparameters"]["params"],
            "tokens": model["hyperparameters"]["tokens"],
        }
    except (KeyError, IndexError, TypeError) as error:
        raise RunsError(f"{path}: is no model file of this release ({error!r})") from error
    return {**run, **losses}


def _scores(path: Path) -> dict[str, Any]:
    content = read_json(path)
    try:
        return dict(content["eval_metrics"]["icl"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunsError(f"{path}: is no evaluation file of this release ({error!r})") from error


def _runs(table: pd.DataFrame, source: Path) -> Runs:
    means = table["benchmark"].isin(_MEANS)
    if "n_items" in table:
        table = table.assign(n_items=table["n_items"].mask(means))
    table, notes = fill_known(table.assign(metric=_METRIC), suite="gadre2024")
    if means.any():
        what = f"n_items: left empty in {means.sum()} rows of {', '.join(_MEANS)}"
        notes.append(f"{what}, whose scores are means over categories")
    return Runs.from_frame(table, source=str(source), notes=notes)
