"""Options that several commands have."""

from typing import Annotated

import typer

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
