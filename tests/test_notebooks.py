"""Notebooks run from top to bottom, and what is stored in them is what they show."""

import importlib.util
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

_spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
execute = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(execute)

# Draws differ between machines in their last digits, so numbers and what they line up are masked.
NUMBER = re.compile(r"[-+−]?(\d[\d.,]*([eE][-+]?\d+)?|inf|nan)%?")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code_lines(notebook):
    lines = [line for cell in code_cells(notebook) for line in cell.source.splitlines()]
    return [line for line in lines if line.strip()]


def shown(notebook):
    """Return for each code cell what kinds of output it has, and its words without numbers."""
    return [[masked(output) for output in cell.outputs] for cell in code_cells(notebook)]


def masked(output):
    if output["output_type"] == "stream":
        return ("text", words(output["text"]))
    data = output.get("data", {})
    if "image/png" in data:
        return ("picture", "")
    return (output["output_type"], words(data.get("text/plain", "")))


def words(text):
    return " ".join(NUMBER.sub("#", text).split())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_of_the_code_that_is_stored_with_them(path):
    notebook = execute.read(path)
    made_by = notebook.metadata.get(execute.MADE_BY)
    assert made_by == execute.code_hash(notebook), "run notebooks/execute.py"
    assert any(kind == "picture" for cell in shown(notebook) for kind, _ in cell)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_is_stored(path):
    fresh = execute.execute(path)
    assert shown(fresh) == shown(execute.read(path))
    stderr = [o for cell in code_cells(fresh) for o in cell.outputs if o.get("name") == "stderr"]
    assert stderr == []


def test_masked_numbers_leave_words():
    assert words("mean  -0.31 1e+22 nan\n(5 runs, 90%)") == "mean # # # (# runs, #)"


def test_quickstart_takes_about_ten_lines():
    (path,) = [path for path in NOTEBOOKS if path.stem == "01_quickstart"]
    assert len(code_lines(execute.read(path))) <= 13
