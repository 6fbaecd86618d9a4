"""Writing files that are complete or absent, whatever stops the writer."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

_ENDING = ".part"
# Writing takes seconds at most: a part as old as this has lost its writer.
_ABANDONED_SECONDS = 3600.0


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to, and move that file to `path` if the block succeeds.

    The name is unique, so that two processes may write the same file at the same time.
    """
    part = path.with_name(f"{path.name}.{uuid4().hex}{_ENDING}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())  # else a crash of the machine could leave an empty file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file that is complete or absent."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def remove_abandoned(folder: Path) -> None:
    """Remove half-written files that killed writers have left in a folder."""
    for part in folder.glob(f"*{_ENDING}"):
        try:
            if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                part.unlink()
        except FileNotFoundError:
            pass  # its writer has finished, or another process has removed it
