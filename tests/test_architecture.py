"""ARCHITECTURE.md is true: its inventory is the tree, and imports run up its table only."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import bayes_scaling
from bayes_scaling.laws import shipped_laws

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "bayes_scaling"
HEAVY = {
    *("arviz", "arviz_plots", "arviz_stats", "matplotlib", "numpy", "nutpie", "pandas", "pyarrow"),
    *("pymc", "pymc_extras", "pytensor", "rich", "scipy", "xarray"),
}
# What the fast sampler needs of other libraries that they do not document.
PRIVATE = (
    *("nutpie.compile_pymc", "numba.core", "pymc.logprob.utils", "pymc.pytensorf"),
    *("pytensor.compile.builders", "pytensor.link", "pytensor.scalar.", "pytensor.gradient"),
)


# ---- the inventory -------------------------------------------------------------------------------


@cache
def inventory():
    """Return the files of each room of the table, in its order, as paths within the package."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {}
    for room, job in re.findall(r"^\| `([\w/.]+)` \| (.+) \|$", text, flags=re.M):
        inside = re.findall(r"`(\w+\.py)`", job)
        rooms[room] = [f"{room}{file}" for file in inside] if room.endswith("/") else [room]
    return rooms


def files():
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def room_of(file):
    return f"{file.split('/')[0]}/" if "/" in file else file


def tree_of(file):
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


def test_the_inventory_is_the_tree():
    listed = [file for room in inventory().values() for file in room]
    # A room's own __init__.py says what the room is for.
    listed += [f"{room}__init__.py" for room in inventory() if room.endswith("/")]
    # Every other file of laws/ is a law: adding one changes no list.
    listed += [f"laws/{name}.py" for name in shipped_laws()]
    assert sorted(set(files()) - set(listed)) == [], "not in ARCHITECTURE.md"
    assert sorted(set(listed) - set(files())) == [], "in ARCHITECTURE.md only"
    assert len(set(listed)) == len(listed), "listed twice"


def test_each_file_has_a_job_and_says_it_first():
    for file in files():
        assert ast.get_docstring(tree_of(file)), f"{file} does not say what it is for"


def test_folders_named_in_the_page_exist():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:models|data|notebooks|docs|tests|benchmarks)/)`", text))
    assert {"models/", "data/", "tests/"} <= named
    assert all((ROOT / folder).is_dir() for folder in named)


def test_it_is_one_page():
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) <= 90


def test_the_tests_mirror_the_rooms():
    rooms = {room.strip("/") for room in inventory() if room.endswith("/")}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} <= rooms


def test_files_stay_short():
    for file in files():
        lines = (PACKAGE / file).read_text(encoding="utf-8").count("\n")
        assert lines <= 450, f"{file} has {lines} lines"


def test_a_module_and_a_function_never_share_a_name():
    modules = {Path(file).stem for file in files()}
    functions = {
        node.name: file
        for file in files()
        for node in tree_of(file).body
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: functions[name] for name in modules & set(functions)} == {}


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
    names = set()
    for node in import_nodes(tree_of(file), top_only=top_only):
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
        ("bayes_scaling.fitting.fit.Fit", "fitting/fit.py"),
        ("bayes_scaling.laws.base.Parameter", "laws/base.py"),
        ("bayes_scaling.laws.get_law", "laws/__init__.py"),
        ("bayes_scaling.fitting.forecasts", "fitting/forecasts.py"),
        ("bayes_scaling.load_dataset", "__init__.py"),
        ("numpy.typing", None),
    ],
)
def test_names_are_traced_to_files(name, file):
    assert as_file(name) == file


def test_imports_run_up_the_table():
    """A file imports from rooms above its own, or from its own room."""
    order = {room: i for i, room in enumerate(inventory())}
    wrong = [
        f"{file} imports {other}"
        for file in files()
        for other in own_imports(file)
        if order[room_of(other)] > order[room_of(file)]
    ]
    assert wrong == []


def test_no_circle():
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


def test_one_file_touches_private_names():
    users = {
        file
        for file in files()
        if any(name.startswith(PRIVATE) for name in imported(file))
        or any(
            isinstance(node, ast.Attribute) and node.attr in ("jit_fn", "vm")
            for node in ast.walk(tree_of(file))
        )
    }
    assert users == {"inference/_private_names.py"}


def test_the_sampler_stays_in_its_room():
    users = {file for file in files() if any(n.startswith("nutpie") for n in imported(file))}
    assert {room_of(file) for file in users} == {"inference/"}


def test_the_command_line_decides_nothing():
    """What a command works out can be called from a notebook: cli/ defines no numbers of its own.

    Its files import from below, and nothing imports them.
    """
    for file in files():
        if not file.startswith("cli/"):
            assert not any(other.startswith("cli/") for other in own_imports(file)), file


# ---- public names --------------------------------------------------------------------------------


def test_public_names_have_one_home_each():
    (block,) = (node for node in tree_of("__init__.py").body if is_type_checking(node))
    typed = {
        alias.name: node.module.removeprefix("bayes_scaling.")
        for node in block.body
        for alias in node.names
    }
    assert typed == bayes_scaling._HOMES
    assert sorted([*bayes_scaling._HOMES, "__version__"]) == sorted(bayes_scaling.__all__)


@pytest.mark.slow
def test_public_names_are_there():
    assert all(getattr(bayes_scaling, name) is not None for name in bayes_scaling.__all__)
    assert set(bayes_scaling.__all__) <= set(dir(bayes_scaling))
    with pytest.raises(AttributeError, match="no attribute 'Fitt'"):
        bayes_scaling.Fitt  # noqa: B018


def test_the_version_is_that_of_the_project():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{bayes_scaling.__version__}"' in text


@pytest.mark.parametrize("start", ["__init__.py", "cli/app.py"])
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
    code = "import sys, bayes_scaling.cli.app as a; print(*{n.split('.')[0] for n in sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(found.stdout.split()) & HEAVY
