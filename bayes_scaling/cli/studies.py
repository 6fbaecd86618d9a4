"""The command `bayes-scaling study`."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated, cast

import typer


def run_study(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[STUDY.toml]", help="What to fit; see docs/studies.md."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the study.")] = Path("study"),
    resume: Annotated[
        Path | None, typer.Option(help="Folder of a study to continue, in place of a file.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Fits that run at one time.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Fit many models to many series up to many cut-offs, as one job.

    Finished fits are kept in the folder, with index.csv (one row per fit). An interrupted study
    continues from them when it is run again. The exit code is 2 if nothing could be fitted.
    """
    from bayes_scaling.cli import terminal

    if (file is None) == (resume is None):
        raise typer.BadParameter("give a file of a study, or --resume and the folder of one")
    if workers > 1:
        from bayes_scaling.fitting.workers import import_ahead

        import_ahead()
    with terminal.reporting():
        with terminal.status("Importing PyMC"):
            from bayes_scaling.cli import study_view
            from bayes_scaling.study.spec import read_study
            from bayes_scaling.study.study import Study
        chosen = Study.resume(resume) if resume else read_study(cast(Path, file), out)
        index = chosen.run(workers)
        if json:
            typer.echo(dumps(study_view.to_json(chosen, index), indent=2, allow_nan=False))
        else:
            study_view.show(chosen, index)
    if not (index["status"] == "done").any():
        raise typer.Exit(terminal.EXIT_CODE)
