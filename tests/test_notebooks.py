"""Notebooks run from top to bottom, and are committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code_lines(notebook):
    lines = [line for cell in code_cells(notebook) for line in cell.source.splitlines()]
    return [line for line in lines if line.strip()]


def outputs(notebook, kind):
    """Return what a notebook shows in one form, such as "image/png"."""
    shown = [output for cell in code_cells(notebook) for output in cell.outputs]
    return [output["data"][kind] for output in shown if kind in output.get("data", {})]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_outputs(path):
    for cell in code_cells(read(path)):
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    notebook = read(path)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    figures = sum(line.startswith("plot_") for line in code_lines(notebook))
    assert len(outputs(notebook, "image/png")) == figures > 0
    stderr = [o for cell in code_cells(notebook) for o in cell.outputs if o.get("name") == "stderr"]
    assert stderr == []


def test_quickstart_takes_about_ten_lines():
    (path,) = [path for path in NOTEBOOKS if path.stem == "01_quickstart"]
    assert len(code_lines(read(path))) <= 13
