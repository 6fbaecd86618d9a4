"""Where models/ and data/ are: inside an installed wheel, or at the root of a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def resource_dir(name: str) -> Path:
    """Return the folder `name` ("models" or "data") that travels with the package."""
    packed = _PACKAGE / name
    return packed if packed.is_dir() else _PACKAGE.parent / name
