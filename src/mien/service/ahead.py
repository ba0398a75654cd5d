"""How many jobs are done before one that waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mien.jobs.queries import JobQueries
from mien.jobs.rows import JobRow

FRESH: Final = 1.0
"""Seconds for which a count is believed."""
FEW: Final = 100
"""Jobs that are always counted anew."""
MOST: Final = 1000
"""Nobody counts further: to the one who waits, more makes no difference."""


@dataclass(frozen=True, slots=True)
class _Count:
    at: float
    seq: int
    count: int


class Ahead:
    """Counts them. Where many come before a new job, a count of a moment ago is good enough, so that the time for a
    submission does not grow with the queue. Shared by any number of threads.
    """

    def __init__(self, jobs: JobQueries, clock: Callable[[], float] = time.monotonic) -> None:
        self._jobs = jobs
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[int, _Count] = {}

    def of(self, row: JobRow) -> int | None:
        """How many waiting jobs come before this one, up to ``MOST``; None for one that does not wait."""
        if row.status != "queued":
            return None
        moment = self._clock()
        with self._lock:
            last = self._counts.get(row.priority)
        if last is not None and moment - last.at < FRESH and last.count >= FEW and row.seq >= last.seq:
            return min(MOST, last.count + row.seq - last.seq)
        count = self._jobs.ahead_of(row, MOST)
        with self._lock:
            self._counts[row.priority] = _Count(moment, row.seq, count)
        return count
