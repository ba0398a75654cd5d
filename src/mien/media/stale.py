"""Half-written files that a run which was killed left beside its output, and how the next one tells them.

A run holds a lock on the file that it writes. The system lets go of it when the run ends, however it ends.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":  # Windows does not remove files that are open
    import fcntl

LONGEST = 80
"""Characters of an output's name that its hidden files have in theirs."""


def hidden_name(path: Path) -> Path:
    """A new name for the file that is to become ``path``: hidden, beside it, of the same kind."""
    return path.with_name(f".{path.stem[:LONGEST]}.{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix}")


@contextmanager
def held(temporary: Path) -> Iterator[None]:
    """Within the block, other runs see that the file is being written."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(temporary, os.O_RDWR)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def remove_stale(path: Path) -> None:
    """Remove what killed runs left beside an output: its hidden files, and what signing makes of them."""
    name = re.compile(
        rf"{re.escape(f'.{path.stem[:LONGEST]}.')}\d+-[0-9a-f]{{8}}\.part{re.escape(path.suffix)}"
    )
    with suppress(OSError):
        for found in [file for file in path.parent.iterdir() if name.fullmatch(file.name)]:
            _remove_unless_held(found)


def _remove_unless_held(file: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(file, os.O_RDWR)
        try:
            if not _lock(descriptor):
                return
        finally:
            os.close(descriptor)
        file.unlink()
        file.with_name(f"{file.name}.signed").unlink(missing_ok=True)


def _lock(descriptor: int) -> bool:
    """Whether nobody else holds the file; file systems without locks say so of every file."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
