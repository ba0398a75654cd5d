"""Names of jobs: which texts may be one, and names that nobody has to invent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from itertools import count

LONGEST = 200
"""Bytes: file systems take names of 255, and the ending and a temporary prefix need room."""


def safe_id(text: str) -> str:
    """The id that a user's text stands for: the text itself when it has only letters, digits and dashes (and not only
    dashes), its SHA-1 in hex digits otherwise. So an id is always a file name, and no two texts share one.
    """
    data = text.encode("utf-8", "surrogateescape")
    if text.replace("-", "").isalnum() and len(data) <= LONGEST:
        return text
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def automatic_ids(prefix: str, moment: datetime | None = None) -> Iterator[str]:
    """Ids to try one after the other: ``headless-2026-08-01-10-15-30``, then the same with ``-2``, ``-3`` and so on."""
    moment = moment or datetime.now()
    name = f"{prefix}-{moment:%Y-%m-%d-%H-%M-%S}"
    yield name
    for number in count(2):
        yield f"{name}-{number}"
