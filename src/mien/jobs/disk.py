"""File operations that have happened when they return, or have not, also when the process dies in between."""

from __future__ import annotations

import os
from pathlib import Path

from mien.media.atomic import flush, flush_folder, output_errors


def write_whole(path: Path, content: bytes) -> None:
    """Give a file this content; whoever reads it sees the old one or the new one. One writer at a time.

    Raises DiskFull, OutputNotWritable; then the file is as it was.
    """
    part = part_of(path)
    with output_errors(path):
        part.write_bytes(content)
        flush(part)
        os.replace(part, path)
        flush_folder(path.parent)


def move(path: Path, destination: Path) -> None:
    """Rename within one file system, replacing what is there. Raises OutputNotWritable."""
    with output_errors(destination):
        os.replace(path, destination)
        flush_folder(destination.parent)
        flush_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file and what a dead writer left of it; neither need be there. Raises OutputNotWritable."""
    with output_errors(path):
        part_of(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        flush_folder(path.parent)


def part_of(path: Path) -> Path:
    """Where the next content of a file is written first."""
    return path.with_name(f".{path.name}.part")
