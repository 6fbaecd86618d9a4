"""ARCHITECTURE.md is true: its inventory is the tree, and imports run up its table only."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import bayes_scaling

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "bayes_scaling"
HEAVY = {
    *("arviz", "arviz_plots", "arviz_stats", "matplotlib", "numpy", "nutpie", "pandas", "pyarrow"),
    *("pymc", "pymc_extras", "pytensor", "scipy", "xarray"),
}


# ---- the inventory -------------------------------------------------------------------------------


@cache
def inventory():
    """Return the files of each row of the table, in its order, as paths within the package."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = []
    for name, job in re.findall(r"^\| `([\w/.]+)` \| (.+) \|$", text, flags=re.M):
        if name.endswith("/"):
            rows.append([f"{name}{file}" for file in re.findall(r"`(\w+\.py)`", job)])
        else:
            rows.append([name])
    return rows


def files():
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def test_the_inventory_is_the_tree():
    listed = [file for row in inventory() for file in row]
    assert sorted(set(files()) - set(listed)) == [], "not in ARCHITECTURE.md"
    assert sorted(set(listed) - set(files())) == [], "in ARCHITECTURE.md only"
    assert len(set(listed)) == len(listed), "listed twice"


def test_each_file_has_a_job_and_says_it_first():
    for file in files():
        words = ast.get_docstring(ast.parse((PACKAGE / file).read_text(encoding="utf-8")))
        assert words, f"{file} does not say what it is for"


def test_folders_named_in_the_page_exist():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:models|data|notebooks|docs|tests|benchmarks)/)`", text))
    assert {"models/", "data/", "tests/"} <= named
    assert all((ROOT / folder).is_dir() for folder in named)


def test_it_is_one_page():
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) <= 90


# ---- imports -------------------------------------------------------------------------------------


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def import_nodes(tree, *, top_only):
    """Yield the import statements that run; those for type checkers do not."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        if is_type_checking(node) or (top_only and isinstance(node, ast.FunctionDef)):
            continue
        stack.extend(ast.iter_child_nodes(node))


def imported(file, *, top_only=False):
    """Return the dotted names that a file of the package imports."""
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    names = set()
    for node in import_nodes(tree, top_only=top_only):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        else:
            assert node.level == 0, f"{file}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def as_file(name):
    """Return the file of the package that a dotted name lies in, or None."""
    parts = name.split(".")
    if parts[0] != "bayes_scaling":
        return None
    for end in range(len(parts), 0, -1):
        path = PACKAGE.joinpath(*parts[1:end])
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file() and (end > 1 or candidate.name == "__init__.py"):
                return candidate.relative_to(PACKAGE).as_posix()
    return None


def own_imports(file, **kwargs):
    return {found for name in imported(file, **kwargs) if (found := as_file(name))} - {file}


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("bayes_scaling.fit.Fit", "fit.py"),
        ("bayes_scaling.laws.base.Parameter", "laws/base.py"),
        ("bayes_scaling.laws.get_law", "laws/__init__.py"),
        ("bayes_scaling.forecast", "forecast.py"),
        ("bayes_scaling.load_dataset", "__init__.py"),
        ("numpy.typing", None),
    ],
)
def test_names_are_traced_to_files(name, file):
    assert as_file(name) == file


def test_imports_run_up_the_table():
    """A file imports from rows above its own, or from its own folder."""
    row_of = {file: i for i, row in enumerate(inventory()) for file in row}
    wrong = [
        f"{file} imports {other}"
        for file in files()
        for other in own_imports(file)
        if row_of.get(other, 0) > row_of.get(file, 0)
    ]
    assert wrong == []


def test_no_circle_within_a_folder():
    graph = {file: own_imports(file) for file in files()}
    done = set()

    def visit(file, path):
        assert file not in path, " -> ".join([*path, file])
        if file not in done:
            for other in graph[file]:
                visit(other, [*path, file])
            done.add(file)

    for file in graph:
        visit(file, [])


def test_laws_know_neither_priors_nor_pymc():
    for file in files():
        if file.startswith("laws/"):
            roots = {name.split(".")[0] for name in imported(file)}
            assert not roots & {"pymc", "pymc_extras", "pytensor", "nutpie"}, file


def test_three_files_know_the_sampler():
    assert [file for file in files() if any(n.startswith("nutpie") for n in imported(file))] == [
        "machine_code.py",
        "program.py",
        "sampling.py",
    ]


def test_public_names_have_one_home_each():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if is_type_checking(node))
    typed = {
        alias.name: node.module.removeprefix("bayes_scaling.")
        for node in block.body
        for alias in node.names
    }
    assert typed == bayes_scaling._HOMES
    assert sorted(bayes_scaling._HOMES) == sorted(bayes_scaling.__all__)


@pytest.mark.slow
def test_public_names_are_there():
    assert all(getattr(bayes_scaling, name) is not None for name in bayes_scaling.__all__)
    assert set(bayes_scaling.__all__) <= set(dir(bayes_scaling))
    with pytest.raises(AttributeError, match="no attribute 'Fitt'"):
        bayes_scaling.Fitt  # noqa: B018


@pytest.mark.parametrize("start", ["__init__.py", "cli.py"])
def test_the_front_doors_import_nothing_heavy(start):
    reached, queue = set(), [start]
    while queue:
        file = queue.pop()
        if file not in reached:
            reached.add(file)
            roots = {name.split(".")[0] for name in imported(file, top_only=True)}
            assert not roots & HEAVY, f"{start} reaches {file}, which imports {roots & HEAVY}"
            queue.extend(own_imports(file, top_only=True))


def test_the_front_doors_stay_light_when_run():
    code = "import sys, bayes_scaling.cli; print(*{name.split('.')[0] for name in sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(found.stdout.split()) & HEAVY
