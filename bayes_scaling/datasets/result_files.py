"""Result files of a harness: found in folders, read, and matched to runs and checkpoints."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayes_scaling._io.files import read_json
from bayes_scaling.errors import RunsError
from bayes_scaling.runs.quantities import short_list

# The harness dates its files: results_2024-05-01T12-00-00.123456.json.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}T[\d.-]+")
_STEP = re.compile(r"[-_/.]?step[-_]?(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class ResultFile:
    """A file of results, and what it was matched to.

    Attributes
    ----------
    path : Path
        Where it is.
    content : dict
        Its JSON object.
    run : str
        The run of the table that it belongs to.
    step : int or None
        The step of the checkpoint; None for the run itself.
    """

    path: Path
    content: dict[str, Any]
    run: str
    step: int | None

    @property
    def name(self) -> str:
        """The run, or the checkpoint of the run."""
        return self.run if self.step is None else f"{self.run} step {self.step}"


def match_named(files: Mapping[str, str | Path], runs: Collection[str]) -> list[ResultFile]:
    """Return files whose runs the user has named.

    Raises
    ------
    RunsError
        If a run is not in the table, or a file cannot be read.
    """
    unknown = [run for run in files if run not in runs]
    if unknown:
        raise RunsError(f"the table of runs lacks {', '.join(unknown)}; add a row for each")
    return [ResultFile(Path(p), _read(Path(p)), str(run), None) for run, p in files.items()]


def match_folder(root: Path, runs: Collection[str]) -> tuple[list[ResultFile], dict[Path, str]]:
    """Return the files of a folder, the oldest first, and why others were skipped.

    Parameters
    ----------
    root : path
        A folder with ``results*.json`` files, or other JSON files, at any depth; or one file,
        which is never skipped.
    runs : collection of str
        Names of the runs.

    Raises
    ------
    RunsError
        If there is no file, or none can be used.
    """
    if not root.is_dir():
        return [_match(root, _read(root), root, runs)], {}
    paths = sorted(root.rglob("results*.json")) or sorted(root.rglob("*.json"))
    if not paths:
        raise RunsError(f"{root}: holds no JSON file")
    found, skipped = [], {}
    for path in sorted(paths, key=_age):
        try:
            found.append(_match(path, _read(path), root, runs))
        except RunsError as error:
            skipped[path] = str(error).removeprefix(f"{path}: ")
    if not found:
        first = next(iter(skipped.items()))
        raise RunsError(f"{first[0]}: {first[1]} (none of {len(paths)} files can be used)")
    return found, skipped


def _age(path: Path) -> tuple[str, str]:
    """Return what files are ordered by: the date in the name, then the path."""
    date = _DATE.search(path.name)
    return (date.group() if date else "", str(path))


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
        raise RunsError(f"{path}: has no 'results'; is it of lm-evaluation-harness?")
    return content


def _match(path: Path, content: dict[str, Any], root: Path, runs: Collection[str]) -> ResultFile:
    folders = [parent.name for parent in path.parents if parent.is_relative_to(root)]
    names = list(dict.fromkeys([*_model_names(content), *folders, path.stem]))
    exact = next((name for name in names if name in runs), None)
    if exact is not None and _STEP.search(exact):
        return ResultFile(path, content, exact, None)  # a checkpoint with a row of its own
    stripped = (_STEP.sub("", name) for name in names)
    run = exact or next((name for name in stripped if name in runs), None)
    if run is None:
        raise RunsError(f"{path}: none of its names ({short_list(names)}) is a run of the table")
    step = _step([*_revisions(content), *names])
    if step == 0:
        raise RunsError(f"{path}: step 0, where nothing has been trained, has no budget")
    return ResultFile(path, content, run, step)


def _step(names: Iterable[str]) -> int | None:
    """Return the step that the first of some names tells."""
    return next((int(found.group(1)) for name in names if (found := _STEP.search(name))), None)


def _arguments(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the model, which the harness keeps as a text or an object."""
    config = content.get("config")
    arguments = config.get("model_args") if isinstance(config, dict) else None
    if isinstance(arguments, str):
        return dict(pair.split("=", 1) for pair in arguments.split(",") if "=" in pair)
    return arguments if isinstance(arguments, dict) else {}


def _revisions(content: Mapping[str, Any]) -> Iterator[str]:
    revision = _arguments(content).get("revision")
    if isinstance(revision, str):
        yield revision


def _model_names(content: Mapping[str, Any]) -> Iterator[str]:
    pretrained = _arguments(content).get("pretrained")
    for name in (content.get("model_name"), content.get("model_name_sanitized"), pretrained):
        if isinstance(name, str):
            yield from dict.fromkeys((name, name.rstrip("/").rpartition("/")[2]))
