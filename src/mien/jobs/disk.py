"""File operations that have happened when they return, or have not, also when the process dies in between."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mien.media.atomic import output_errors


def write_whole(path: Path, content: bytes) -> None:
    """Give a file this content; whoever reads it sees the old one or the new one. One writer at a time.

    Raises DiskFull, OutputNotWritable; then the file is as it was.
    """
    part = part_of(path)
    with output_errors(path):
        part.write_bytes(content)
        _sync(part)
        os.replace(part, path)
        _sync_folder(path.parent)


def move(path: Path, destination: Path) -> None:
    """Rename within one file system, replacing what is there. Raises OutputNotWritable."""
    with output_errors(destination):
        os.replace(path, destination)
        _sync_folder(destination.parent)
        _sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file and what a dead writer left of it; neither need be there. Raises OutputNotWritable."""
    with output_errors(path):
        part_of(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        _sync_folder(path.parent)


def part_of(path: Path) -> Path:
    """Where the next content of a file is written first."""
    return path.with_name(f".{path.name}.part")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    """Make the names in a folder durable; some file systems cannot, which does no harm."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
