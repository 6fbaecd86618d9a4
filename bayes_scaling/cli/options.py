"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

RunsFile = Annotated[
    Path | None, typer.Argument(help="CSV file of runs; by default the embedded figures.")
]
Mixture = Annotated[str | None, typer.Option(help="Training mixture. Embedded data: dclm.")]
Benchmarks = Annotated[
    list[str] | None, typer.Option(help="May be repeated. Embedded data: the standard 12.")
]
Ratio = Annotated[float | None, typer.Option(help="Keep runs of this ratio. Embedded data: 20.")]
AllRatios = Annotated[bool, typer.Option("--all-ratios", help="Keep embedded runs of every ratio.")]
Loss = Annotated[
    str | None,
    typer.Option(
        help="Loss column that two-stage laws go through, or task_loss. By default "
        "loss_<mixture>, or the only one there is."
    ),
]
SamplerName = Annotated[
    str,
    typer.Option(
        "--sampler",
        metavar="fast|nutpie|pymc|numpyro",
        help="What samples the posterior; all sample the same one.",
    ),
]
