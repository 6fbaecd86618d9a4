"""NetCDF files: complete or absent, and touched by one thread at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import xarray as xr

from bayes_scaling._io.atomic import replacing

# The NetCDF library crashes if two threads use it at one time, even on different files.
_library = threading.Lock()


def write_tree(path: Path, tree: xr.DataTree) -> None:
    """Write a tree to a file that is complete or absent."""
    with replacing(path) as part, _library:
        tree.to_netcdf(part, engine="netcdf4")


def read_tree(path: str | Path) -> xr.DataTree:
    """Read a whole tree into memory.

    Raises
    ------
    OSError, KeyError, ValueError
        If the file is missing, or was not written by `write_tree`.
    """
    with _library, xr.open_datatree(path, engine="netcdf4") as tree:
        return tree.load()


def only_numbers(dataset: xr.Dataset) -> xr.Dataset:
    """Return what NetCDF can hold of a dataset: numbers and their attributes."""
    numbers = {k: v for k, v in dataset.data_vars.items() if v.dtype.kind in "biuf"}
    return xr.Dataset(numbers, coords=dataset.coords)
