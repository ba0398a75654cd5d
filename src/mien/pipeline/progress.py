"""What a caller hears of a run while it lasts, and how it stops one."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mien.errors import Canceled

Stage = Literal["models", "analyse", "process", "join"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. ``done`` of ``total`` count frames (pictures: 1) and include those kept from an earlier run."""

    stage: Stage
    done: int
    total: int
    rate: float = 0.0
    """Frames per second over the last seconds; 0 while unknown."""
    remaining: float | None = None
    """Seconds to the end of the stage at that rate; None while unknown."""
    message: str = ""


Report: TypeAlias = Callable[[Progress], None]


class Cancel:
    """A switch that stops the run it was given to, from any thread or from a signal handler."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask the run to stop; it does so within one frame and raises Canceled."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """True once somebody asked to stop."""
        return self._event.is_set()

    def raise_if_set(self) -> None:
        """Raise Canceled if somebody asked to stop."""
        if self._event.is_set():
            raise Canceled("The run was stopped on request; what is finished is kept for the next run.")

    def wait(self, seconds: float) -> None:
        """Sleep for at most ``seconds``, and raise Canceled as soon as somebody asks to stop."""
        self._event.wait(seconds)
        self.raise_if_set()


class Meter:
    """Turns counts into Progress events: at most one in ``interval`` seconds, and always the first and the last.

    Belongs to one thread, the one that called the run; so a callback never runs in two threads at once.
    """

    def __init__(
        self,
        report: Report | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        interval: float = 0.1,
        window: float = 5.0,
    ) -> None:
        self._report = report
        self._clock = clock
        self._interval = interval
        self._window = window
        self._stage: Stage = "models"
        self._message = ""
        self._done = self._total = 0
        self._reported_at = 0.0
        self._history: deque[tuple[float, int]] = deque()

    @property
    def done(self) -> int:
        """Frames done in this stage."""
        return self._done

    def start(self, stage: Stage, total: int, *, done: int = 0, message: str = "") -> None:
        """Begin a stage; ``done`` frames of it were finished by an earlier run and do not count for the rate."""
        self._stage, self._total, self._done, self._message = stage, total, done, message
        self._history = deque([(self._clock(), done)])
        self._send()

    def advance(self, count: int = 1) -> None:
        """Count frames as done."""
        self._done += count
        self._total = max(self._total, self._done)
        now = self._clock()
        self._history.append((now, self._done))
        while len(self._history) > 2 and self._history[1][0] <= now - self._window:
            self._history.popleft()
        if self._done == self._total or now - self._reported_at >= self._interval:
            self._send()

    def finish(self) -> None:
        """End the stage: what was expected but never came (a damaged tail) is no longer waited for."""
        if self._done != self._total:
            self._total = self._done
            self._send()

    def say(self, message: str) -> None:
        """Report a change of state that is not a frame, such as waiting for another run."""
        self._message = message
        self._send()

    def _send(self) -> None:
        if self._report is None:
            return
        self._reported_at = self._clock()
        rate = self._rate()
        remaining = (self._total - self._done) / rate if rate > 0 else None
        self._report(Progress(self._stage, self._done, self._total, rate, remaining, self._message))

    def _rate(self) -> float:
        (first, before), (last, after) = self._history[0], self._history[-1]
        return (after - before) / (last - first) if last > first else 0.0
