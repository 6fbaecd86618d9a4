"""The program `bayes-scaling`: its commands, one file each.

PyMC and all else that is slow to import are imported inside commands only.
"""

from __future__ import annotations

import typer

from bayes_scaling.cli.checks import run_check
from bayes_scaling.cli.classifications import run_classify
from bayes_scaling.cli.comparisons import run_compare
from bayes_scaling.cli.forecasts import run_forecast
from bayes_scaling.cli.imports import run_import
from bayes_scaling.cli.ladders import run_ladder
from bayes_scaling.cli.reports import run_report
from bayes_scaling.cli.studies import run_study

# Plain help: without bytecode caches, Rich's help alone takes more than half a second.
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def main() -> None:
    """Bayesian downstream scaling laws of language models."""


app.command("forecast")(run_forecast)
app.command("compare")(run_compare)
app.command("ladder")(run_ladder)
app.command("classify")(run_classify)
app.command("report")(run_report)
app.command("study")(run_study)
app.command("import")(run_import)
app.command("check")(run_check)
