"""The site builds without warnings, and links in pages and notebooks lead to something."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bayes_scaling import plots
from bayes_scaling.laws import shipped_laws

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "data/*.md", "notebooks/*.ipynb")
    for path in ROOT.glob(pattern)
    if path.name not in ("api.md", "gallery.md")  # the build writes them
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def anchors_of(path):
    heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_something(path):
    for link in LINK.findall(text_of(path)):
        if link.startswith(("http", "mailto:")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{path.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target), f"{path.name}: {link}"


def test_every_law_says_when_it_fails_and_has_a_picture():
    notes = tomllib.loads((DOCS / "law_notes.toml").read_text(encoding="utf-8"))
    assert sorted(notes) == sorted(shipped_laws())
    for name in shipped_laws():
        assert (DOCS / "img" / "laws" / f"{name}.png").exists(), "run docs/law_pictures.py"


def test_every_figure_is_in_the_gallery():
    scripts = {path.stem for path in (DOCS / "gallery").glob("*.py")}
    pictures = {path.stem for path in (DOCS / "img" / "gallery").glob("*.png")}
    assert scripts == pictures == set(plots.__all__), "run docs/draw_gallery.py"


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, str(DOCS), str(tmp_path / "site")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    for page in ("index", "laws/power_law", "api/bayes_scaling.fit_runs", "findings"):
        assert (tmp_path / "site" / f"{page}.html").exists()
    law = (tmp_path / "site/laws/power_law_ceiling.html").read_text(encoding="utf-8")
    assert "When it fails" in law
    assert "Mislabelled" in law  # the reason of a prior
