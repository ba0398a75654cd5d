"""Small things that are done every few seconds or minutes, in one thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from mien.service.logs import Log


@dataclass(slots=True)
class _Chore:
    name: str
    every: float
    work: Callable[[], object]
    due: float


class Periodic:
    """Does chores until it is stopped; one that fails is logged and tried again the next time."""

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._chores: list[_Chore] = []
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, name: str, every: float, work: Callable[[], object]) -> None:
        """Do ``work`` every so many seconds, for the first time after that time; call it before ``start``."""
        self._chores.append(_Chore(name, every, work, self._clock() + every))

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._done.clear()
        self._thread = threading.Thread(target=self._loop, name="mien-chores", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Do no more; waits for a chore that is being done."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def run_due(self) -> float:
        """Do what is due; returns the seconds until something else is."""
        for chore in self._chores:
            if self._clock() >= chore.due:
                self._do(chore)
                chore.due = self._clock() + chore.every
        return max(0.0, min((chore.due for chore in self._chores), default=60.0) - self._clock())

    def _loop(self) -> None:
        while not self._done.wait(self.run_due()):
            pass

    def _do(self, chore: _Chore) -> None:
        try:
            chore.work()
        except DatabaseUnavailable as error:
            self._log.warning("chore_failed", chore=chore.name, reason=str(error))
        except Exception as error:  # the border of the thread: the other chores go on
            self._log.error("chore_failed", chore=chore.name, exc_info=error)
