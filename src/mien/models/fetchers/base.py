"""What all fetchers share."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from mien.errors import DiskFull, OutputNotWritable

Report: TypeAlias = Callable[[int], None]
"""Told how many bytes of the current download have arrived; what it raises ends the download."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR})


class FetchFailed(Exception):
    """One way of getting a file did not work; the message is a short reason, without a full stop."""


class Unreachable(FetchFailed):
    """No connection to the host came about, so its other files need not be tried."""


def shortened(text: str, limit: int = 160) -> str:
    """The text on one line, cut at ``limit`` characters, without a full stop at its end."""
    line = " ".join(text.split()).rstrip(". ")
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def raise_if_disk(error: OSError, folder: Path) -> None:
    """Raise DiskFull or OutputNotWritable if the error is about the folder and not about the network."""
    if error.errno in _FULL:
        raise DiskFull(f"The disk that holds the models folder {folder} is full.") from None
    if error.errno in _REFUSED:
        raise OutputNotWritable(
            f"The models folder {folder} cannot be written; set MIEN_CACHE_DIR to a folder that can."
        ) from None
