"""Pages of the site that are made: one for each law, the API, the gallery, and notebooks."""

import json
import tomllib
from pathlib import Path
from typing import Any

import bayes_scaling
from bayes_scaling import plots
from bayes_scaling.laws import get_law, shipped_laws
from bayes_scaling.laws.base import ScalingLaw
from bayes_scaling.modelling.model import load_model

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NOTES = HERE / "law_notes.toml"
GALLERY_TEXT = """One short script for each figure.

Every function takes `ax=`: axes of a larger figure. `visuals=` changes the parts that its reference
names, as in ArviZ:

```python
plot_forecast(fit, visuals={"curve": {"color": "green", "lw": 2}, "chance": False})
```"""


def write_law_pages(folder: Path) -> None:
    """Write a page for each law that ships, and their index."""
    folder.mkdir(exist_ok=True)
    notes = tomllib.loads(NOTES.read_text(encoding="utf-8"))
    names = sorted(shipped_laws())
    for name in names:
        _write(folder / f"{name}.md", law_page(get_law(name), notes[name]))
    lines = [f"- [`{n}`]({n}.md): `{get_law(n).equation}`" for n in names]
    toc = "\n".join(["```{toctree}", ":hidden:", "", *names, "```"])
    head = (
        "# Laws\n\nOne page for each law that ships: equation, parameters with units, priors and "
        "why, and when it fails.\n"
    )
    _write(folder / "index.md", "\n".join([head, *lines, "", toc, ""]))


def law_page(law: ScalingLaw, fails: str) -> str:
    """Return the page of a law in Markdown."""
    cls, model = type(law), load_model(law.name)
    rows = [
        [f"`{p.name}`", p.meaning, p.unit or "none", f"`{model.priors[p.name]}`", _reason(model, p)]
        for p in law.parameters
        if p.name in model.priors
    ]
    constants = [[f"`{c.name}`", c.meaning, c.unit or "none"] for c in law.constants]
    parts = [
        f"# {law.name}",
        f"**Equation:** `{law.equation}`",
        f"**Source:** {law.source}",
        f"```{{eval-rst}}\n.. autoclass:: {cls.__module__}.{cls.__name__}\n```",
        f"![Curves drawn from the prior](../img/laws/{law.name}.png)",
        "Curves drawn from the prior of the ready model at the budgets of the embedded runs, for a "
        "chance level of 0.25.",
        "## When it fails",
        fails.strip(),
        "## Parameters and priors",
        _table(["parameter", "meaning", "unit", "prior", "why"], rows),
        "The level of the curve at the centroid, the floor, the scatter of runs and the share of "
        "item noise are parameters of every model; see [noise](../noise.md).",
    ]
    if constants:
        parts += ["## Constants", _table(["constant", "meaning", "unit"], constants)]
    return "\n\n".join(parts) + "\n"


def _reason(model: Any, parameter: Any) -> str:
    return str(model.reasons.get(parameter.name, "")).replace("|", r"\|")


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_api_page(path: Path) -> None:
    """Write the page of all public names, with a stub for each."""
    parts = ["# API", "Public names of `bayes_scaling`, and figures of `bayes_scaling.plots`."]
    for title, module in (("Names", bayes_scaling), ("Figures", plots)):
        names = "\n".join(f"   {n}" for n in sorted(module.__all__) if not n.startswith("_"))
        directive = f".. currentmodule:: {module.__name__}\n\n.. autosummary::\n   :toctree: api"
        parts += [f"## {title}", f"```{{eval-rst}}\n{directive}\n\n{names}\n```"]
    _write(path, "\n\n".join(parts) + "\n")


def write_gallery(path: Path) -> None:
    """Write the page of figures, each with the script that makes it."""
    parts = ["# Gallery", GALLERY_TEXT]
    for script in sorted((HERE / "gallery").glob("*.py")):
        code = script.read_text(encoding="utf-8")
        title = code.partition('"""')[2].partition('"""')[0]
        body = code.partition('"""')[2].partition('"""')[2].strip()
        parts += [
            f"## {script.stem}",
            title,
            f"![{title}](img/gallery/{script.stem}.png)",
            f"```python\n{body}\n```",
        ]
    _write(path, "\n\n".join(parts) + "\n")


def copy_notebooks(folder: Path) -> None:
    """Copy the notebooks beside the pages, with links that hold there."""
    folder.mkdir(exist_ok=True)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = [line.replace("../docs/", "../") for line in cell["source"]]
        _write(folder / path.name, json.dumps(notebook, ensure_ascii=False))


def _write(path: Path, text: str) -> None:
    """Write a page if it has changed, so that Sphinx does not read it again for nothing."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
