"""A fit as one NetCDF file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayes_scaling._io.netcdf import only_numbers, read_tree, write_tree
from bayes_scaling.errors import BayesScalingError
from bayes_scaling.inference.record import Record
from bayes_scaling.laws import ScalingLaw
from bayes_scaling.modelling.bound import BoundModel
from bayes_scaling.modelling.model import ScalingModel
from bayes_scaling.runs import Runs

if TYPE_CHECKING:
    from bayes_scaling.fitting.fit import Fit


# Raised whenever the draws in older files would mean something else to this version.
_FORMAT = 3


def write_fit(fit: Fit, path: Path) -> Path:
    """Write a fit to a file; see :meth:`Fit.save`."""
    model = {"spec": json.dumps(fit.model.to_dict()), "seed": fit.seed, "sampler": fit.sampler}
    tree = xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs={"bayes_scaling": version("bayes-scaling"), "format": _FORMAT}),
            "posterior": only_numbers(fit.posterior),
            "sample_stats": Record.read(fit.sample_stats).attach(only_numbers(fit.sample_stats)),
            "runs": fit.runs.to_xarray(),
            "model": xr.Dataset(attrs=model),
        }
    )
    write_tree(path, tree)
    return path


def read_fit(
    path: Path, law: ScalingLaw | None
) -> tuple[BoundModel, xr.Dataset, xr.Dataset, int, str]:
    """Return what a fit is made of, in the order of its attributes; see :meth:`Fit.load`."""
    try:
        tree = read_tree(path)
        _check_format(path, tree.attrs)
        spec = tree["model"].attrs
        model = ScalingModel.from_dict(json.loads(spec["spec"]), law)
        return (
            model.on(Runs.from_xarray(tree["runs"].to_dataset())),
            tree["posterior"].to_dataset(),
            tree["sample_stats"].to_dataset(),
            int(spec["seed"]),
            str(spec["sampler"]),
        )
    except (OSError, KeyError, ValueError) as error:
        raise BayesScalingError(f"{path} is not a saved fit: {error}") from error


def _check_format(path: Path, attrs: Mapping[Any, Any]) -> None:
    if int(attrs.get("format", 1)) != _FORMAT:
        raise BayesScalingError(
            f"{path} was saved by version {attrs['bayes_scaling']}, whose models are others than "
            "those of this version (centre of laws through a loss, floor, noise); fit it again"
        )
