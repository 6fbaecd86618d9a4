"""The site: Sphinx with pages in Markdown, notebooks as stored, and an API from docstrings.

Build: uv run --group docs sphinx-build -W --keep-going -b html docs build/site
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generated import copy_notebooks, write_api_page, write_gallery, write_law_pages
from sphinx.application import Sphinx

from bayes_scaling import __version__

project = "bayes_scaling"
author = copyright = "The bayes_scaling developers"
version = release = __version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["build", "img"]
root_doc = "index"

html_theme = "pydata_sphinx_theme"
html_title = "bayes_scaling"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
# Pages point to files of the repository as well, which are not part of the site; a test checks
# that every one of them is there (tests/test_links.py).
suppress_warnings = ["myst.xref_missing", "myst.header"]
# Notebooks are stored with their outputs, which a test keeps fresh.
nb_execution_mode = "off"

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc has them
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
bibtex_bibfiles = ["references.bib"]


def setup(app: Sphinx) -> None:
    """Write what is made from the package and the notebooks before pages are read."""
    write_law_pages(Path(app.srcdir) / "laws")
    write_api_page(Path(app.srcdir) / "api.md")
    write_gallery(Path(app.srcdir) / "gallery.md")
    copy_notebooks(Path(app.srcdir) / "notebooks")
