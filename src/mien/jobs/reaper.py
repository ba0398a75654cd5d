"""Says that this process lives, and gives the work of processes that died to those that live.

Who is dead is found out anew each time, from the tasks that are held and the processes that were heard of: a list
that somebody made earlier might be lost with him.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from mien.errors import DatabaseUnavailable
from mien.jobs.engine import JobEngine
from mien.jobs.executors import Executors

_LONG_DEAD = 24 * 3600.0


class Heart:
    """Beats in a thread of its own, so that it never waits for work."""

    def __init__(
        self,
        executors: Executors,
        id: str,
        role: str,
        info: Callable[[], Mapping[str, Any]],
        every: float,
        vitals: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """``info`` is asked at the start, ``vitals``, which changes all the time, for each beat."""
        self._executors = executors
        self._id, self._role, self._info, self._every, self._vitals = id, role, info, every, vitals
        self._known: Mapping[str, Any] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="mien-heart", daemon=True)
        self._steady_since: float | None = None

    def start(self) -> None:
        """Raises DatabaseUnavailable."""
        self._known = self._info()
        self._executors.begin(self._id, self._role, self._described())
        self._steady_since = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Beat no more, and say goodbye."""
        self._done.set()
        self._thread.join()
        with suppress(DatabaseUnavailable):
            self._executors.end(self._id)

    def steady_for(self) -> float:
        """Seconds since the last beat that failed: after a pause of the database all others look dead for a while."""
        since = self._steady_since
        return 0.0 if since is None else time.monotonic() - since

    def _described(self) -> dict[str, Any]:
        return {**self._known, **self._vitals()}

    def _loop(self) -> None:
        last = time.monotonic()
        while not self._done.wait(self._every * random.uniform(0.8, 1.0)):
            late = time.monotonic() - last > 3 * self._every  # this process was stopped, or the database away
            last = time.monotonic()
            try:
                if not self._executors.beat(self._id, self._described()):
                    self._executors.begin(self._id, self._role, self._described())
            except DatabaseUnavailable:
                self._steady_since = None
                continue
            if late or self._steady_since is None:
                self._steady_since = time.monotonic()


class Reaper:
    """Lets live workers take up the tasks of dead ones."""

    def __init__(self, engine: JobEngine, executors: Executors, heart: Heart, id: str, ttl: float) -> None:
        self._engine = engine
        self._executors = executors
        self._heart = heart
        self._id, self._ttl = id, ttl

    def reap(self) -> frozenset[str]:
        """Free what dead workers hold; returns who they are. Raises DatabaseUnavailable."""
        owners = self._engine.owners() - {self._id}
        if not owners or self._heart.steady_for() < self._ttl / 2:
            return frozenset()
        dead = owners - {executor.id for executor in self._executors.live(self._ttl)}
        self._engine.recover(dead)
        self._executors.forget(_LONG_DEAD)
        return dead
