"""Run notebooks from top to bottom, and store them with what they show.

Run: uv run python notebooks/execute.py [NAME ...]
Names are those of files, such as 03_predictability; by default all of them.
"""

import hashlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent
# A stored notebook carries the hash of the code that made its outputs.
MADE_BY = "made_by"


def read(path: Path) -> NotebookNode:
    """Return a stored notebook."""
    return nbformat.read(path, as_version=4)


def code_hash(notebook: NotebookNode) -> str:
    """Return a hash of the code of a notebook."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def execute(path: Path) -> NotebookNode:
    """Return a notebook with its outputs, run in an empty folder."""
    notebook = read(path)
    with TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        NotebookClient(
            notebook, timeout=600, record_timing=False, coalesce_streams=True, resources=where
        ).execute()
    notebook.metadata[MADE_BY] = code_hash(notebook)
    return notebook


def main() -> None:
    wanted = sys.argv[1:]
    for path in sorted(FOLDER.glob("*.ipynb")):
        if not wanted or path.stem in wanted:
            notebook = execute(path)
            nbformat.write(notebook, path)
            print(f"{path.name}: stored")


if __name__ == "__main__":
    main()
