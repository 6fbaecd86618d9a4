"""The OLMo model ladder, Bhagia et al. 2024, arXiv:2412.04403."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bayes_scaling._io.files import read_csv
from bayes_scaling.datasets.benchmarks import fill_known, known_values
from bayes_scaling.errors import RunsError
from bayes_scaling.runs import Runs
from bayes_scaling.runs.quantities import parse_quantity

_SUITE = "olmo_ladder"
_MIXTURE = "olmo_ladder"


class _Size(NamedTuple):
    """Non-embedding parameters, and FLOPs per token (more than 6·N: they count the head)."""

    params: int
    flops: int


# Sizes as the release states them.
_SIZES = {
    "190M": _Size(190354176, 1903391232),
    "370M": _Size(371262464, 3443922944),
    "760M": _Size(758220288, 6373843968),
    "1B": _Size(1279395840, 10109071360),
    "3B": _Size(3169537280, 22970355200),
    "7B": _Size(6887575552, 49412071424),
    "13B": _Size(13202396160, 91335915520),
}
_LADDER_FILE = re.compile(r"(\d+[MB])-[\d.]+xC(?:-rerun)?")
# The targets that the paper predicts, by the name of their last evaluation.
_TARGET_FILES = {"peteish7_eval_anneal": "7B", "peteish13_eval_final": "13B"}
_SCORE = re.compile(r"eval/downstream/(\w+)_rc_5shot_(len_norm|acc)")
_C4_LOSS = "eval/c4_en-validation/CrossEntropyLoss"


def load_olmo_ladder(path: str | Path) -> Runs:
    """Load the final checkpoints of the OLMo ladder (Bhagia et al. 2024, arXiv:2412.04403).

    Parameters
    ----------
    path : path
        Either a CSV file with columns run, params, tokens, flops, c4_loss, task, metric, n_items,
        accuracy and task_bpb (one row per run × task), or the folder ``ladder-runs`` of the
        original release, one CSV per run. Only the last checkpoint of each run is read.

    Returns
    -------
    Runs
        ``loss_c4`` in nats per token; ``task_loss`` is the task's bits per byte. The release's
        FLOPs count the output head, so they are up to 1.7 times 6·params·tokens.

    Raises
    ------
    RunsError
        If nothing of either layout is found, a file cannot be read, or the table is invalid.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "ladder.csv"
    >>> names = "run,params,tokens,flops,c4_loss,task,metric,n_items,accuracy,task_bpb"
    >>> row = "190M-1xC,190e6,3.8e9,5.6e18,3.2,arc_easy_test,acc,2376,0.5,1.1"
    >>> _ = file.write_text(names + chr(10) + row)
    >>> load_olmo_ladder(file).losses
    ('loss_c4',)
    """
    path = Path(path)
    return _from_folder(path) if path.is_dir() else _from_table(path)


def _from_table(path: Path) -> Runs:
    names = {
        "task": "benchmark",
        "accuracy": "score",
        "task_bpb": "task_loss",
        "c4_loss": "loss_c4",
    }
    table = read_csv(path)
    if "size" in table:
        table = table.drop(columns="size")
    return _runs(table.rename(columns=names), path, [])


def _from_folder(folder: Path) -> Runs:
    rows: list[dict[str, Any]] = []
    skipped: set[str] = set()
    others: list[str] = []
    for path in sorted(folder.glob("*.csv")):
        size = _size(path.stem)
        if size is None:
            others.append(path.name)
            continue
        checkpoint = _last_checkpoint(path)
        rows += _rows(path, checkpoint, _SIZES[size], skipped)
    if not rows:
        raise RunsError(f"{folder}: holds no run of the ladder, such as 190M-1xC.csv")
    notes = [f"left out tasks of unknown size: {', '.join(sorted(skipped))}"] if skipped else []
    if others:
        notes.append(f"left out {len(others)} files that are no run's end: {', '.join(others)}")
    places = [f"{row['run']} {row['benchmark']}" for row in rows]
    return _runs(pd.DataFrame(rows, index=places), folder, notes)


def _size(stem: str) -> str | None:
    match = _LADDER_FILE.fullmatch(stem)
    if match is None:
        return _TARGET_FILES.get(stem)
    if match[1] not in _SIZES:
        raise RunsError(f"{stem}.csv: size {match[1]} is not one of {', '.join(_SIZES)}")
    return match[1]


def _last_checkpoint(path: Path) -> dict[str, str]:
    table = read_csv(path)
    if not len(table):
        raise RunsError(f"{path}: holds no checkpoint")
    return {str(name): str(value) for name, value in table.iloc[-1].items()}


def _rows(
    path: Path, checkpoint: dict[str, str], size: _Size, skipped: set[str]
) -> list[dict[str, Any]]:
    tokens = _tokens(path, checkpoint)
    run = {
        "run": path.stem,
        "params": size.params,
        "tokens": tokens,
        "flops": tokens * size.flops,
        "loss_c4": checkpoint.get(_C4_LOSS),
    }
    known = known_values("chance", _SUITE)
    rows = []
    for column, score in checkpoint.items():
        match = _SCORE.fullmatch(column)
        if match is None:
            continue
        if match[1] not in known:
            skipped.add(match[1])
            continue
        loss = checkpoint.get(f"eval/downstream_bpb/{match[1]}_rc_5shot_bpb")
        rows.append(
            {**run, "benchmark": match[1], "metric": match[2], "score": score, "task_loss": loss}
        )
    return rows


def _tokens(path: Path, checkpoint: dict[str, str]) -> float:
    try:
        if "throughput/total_tokens" in checkpoint:
            return parse_quantity(checkpoint["throughput/total_tokens"])
        step, batch = checkpoint["_step"], checkpoint["batch_size_in_tokens"]
        return parse_quantity(step) * parse_quantity(batch)
    except (KeyError, ValueError) as error:
        raise RunsError(f"{path}: the tokens of its last row cannot be read ({error})") from error


def _runs(table: pd.DataFrame, source: Path, notes: list[str]) -> Runs:
    if "mixture" not in table:
        table = table.assign(mixture=_MIXTURE)
    table, filled = fill_known(table, suite=_SUITE)
    return Runs.from_frame(table, source=str(source), notes=[*notes, *filled])
