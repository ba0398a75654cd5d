"""The file operations of the folder store, each one step between which a process may die."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class Disk:
    """Operations that have happened when they return, or have not."""

    def make_folder(self, path: Path) -> None:
        """Make a folder and those above it."""
        path.mkdir(parents=True, exist_ok=True)

    def read(self, path: Path) -> bytes:
        """The content of a file."""
        return path.read_bytes()

    def write(self, path: Path, content: bytes) -> None:
        """Write a file in place; after a crash it may be torn."""
        path.write_bytes(content)

    def sync(self, path: Path) -> None:
        """Wait until a file is on the disk."""
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def move(self, path: Path, destination: Path) -> None:
        """Rename, replacing what is there."""
        os.replace(path, destination)

    def remove(self, path: Path) -> None:
        """Remove a file that need not be there."""
        path.unlink(missing_ok=True)

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder are on the disk; some file systems cannot, which does no harm."""
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
