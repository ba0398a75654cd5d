"""Which failures of a run are tried again by themselves, and when."""

from __future__ import annotations

import random
from typing import Final

from mien.errors import (
    DatabaseUnavailable,
    DiskFull,
    FetchError,
    ModelMissing,
    OutOfMemory,
    RemoteFailed,
    StorageError,
)
from mien.jobs.job import Failure

LOST: Final = "lost"
"""Code of the failure of a job whose workers died."""
_PAUSES: Final = {
    FetchError.code: 2.0,
    StorageError.code: 2.0,
    DatabaseUnavailable.code: 2.0,
    RemoteFailed.code: 5.0,
    OutOfMemory.code: 10.0,
    ModelMissing.code: 30.0,
    DiskFull.code: 30.0,
}
"""Seconds before the second attempt, by code; doubled with each further one."""
LONGEST_PAUSE: Final = 600.0


def pause_before_retry(failure: Failure, tries: int, most: int) -> float | None:
    """Seconds after which a job is tried again that failed for the ``tries``-th time; None: not by itself.

    Only what may go away while nobody does anything: not a request to stop, and no deadline.
    """
    pause = _PAUSES.get(failure.code)
    if pause is None or not failure.retryable or tries >= most:
        return None
    return float(min(pause * 2 ** (tries - 1), LONGEST_PAUSE) * random.uniform(0.8, 1.2))


def lost(tries: int) -> Failure:
    """The failure of a job over which one worker after the other died."""
    message = (
        f"The job was begun {tries} times, and each time its worker died or was lost; it may need more memory than "
        "there is."
    )
    return Failure(LOST, message, LOST, 1, True)
