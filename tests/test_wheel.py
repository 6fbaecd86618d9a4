"""The wheel holds all that the package needs, and works away from the checkout."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent


def call(*command, cwd):
    """Run a command without the settings of the environment that the tests run in."""
    alien = ("PYTHONPATH", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")
    env = {name: value for name, value in os.environ.items() if name not in alien}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
    call(*build, ROOT, cwd=folder)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory, wheel):
    """Return a folder with a clean environment that the wheel is installed in."""
    folder = tmp_path_factory.mktemp("elsewhere")
    python = folder / "venv" / "bin" / "python"
    if uv := os.environ.get("UV") or shutil.which("uv"):
        call(uv, "venv", "--python", sys.executable, "venv", cwd=folder)
        call(uv, "pip", "install", "--python", python, wheel, cwd=folder)
    else:
        call(sys.executable, "-m", "venv", "venv", cwd=folder)
        call(python, "-m", "pip", "install", wheel, cwd=folder)
    return folder


def test_wheel_carries_data_models_and_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("data", "models"):
        files = [path for path in (ROOT / folder).iterdir() if path.is_file()]
        assert {f"bayes_scaling/{folder}/{path.name}" for path in files} <= names
    assert "bayes_scaling/py.typed" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_data_and_models_are_read_from_the_wheel(elsewhere):
    code = (
        "import bayes_scaling, pathlib\n"
        "from bayes_scaling._io.resources import resource_dir\n"
        "inside = pathlib.Path(bayes_scaling.__file__).parent\n"
        "assert resource_dir('data').parent == resource_dir('models').parent == inside\n"
        "print(len(bayes_scaling.load_dataset('krajewski2025', mixture='c4')))"
    )
    shown = call(elsewhere / "venv" / "bin" / "python", "-c", code, cwd=elsewhere)
    assert int(shown) > 0


def test_command_forecasts(elsewhere):
    command = (elsewhere / "venv" / "bin" / "bayes-scaling", "forecast", "--json")
    result = json.loads(call(*command, cwd=elsewhere))
    assert {"forecast", "parameters", "diagnostics"} <= set(result)
    row = {"flops", "observed", "median", "q05", "q25", "q75", "q95"}
    assert all(row <= set(entry) for entry in result["forecast"])
    diagnostics = {"divergences", "max_rhat", "min_ess_bulk", "min_ess_tail"}
    assert diagnostics == set(result["diagnostics"])
    for name in ("forecast.csv", "forecast.png", "fit.nc"):
        assert (elsewhere / "forecast" / name).stat().st_size > 0
