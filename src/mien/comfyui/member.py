"""One instance inside an environment: its latch, its load, and what the last probe saw."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mien.comfyui.instance import ComfyInstance
from mien.comfyui.latch import Latch
from mien.comfyui.settings import ComfySettings, shown_url
from mien.comfyui.sharing import ALL, SAME, Fault, News, Shared
from mien.errors import ComfyError

MOST_LACKS: Final = 50
"""Names of missing things that are kept for one instance."""
InstanceState = Literal["unknown", "ready", "busy", "faulty", "draining"]


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """One instance, as `/api/status` shows it."""

    url: str
    """Without user name and password."""
    state: InstanceState
    runs: int
    """Runs of this process that have a place there."""
    queue: int | None
    """Prompts of all clients that ran or waited at the last probe; None before the first."""
    version: str
    fault: str | None
    """Why it is faulty, or why a single failure was counted."""
    lacks: tuple[str, ...] = ()
    """Node classes and files of models that it was found not to have."""


class Member:
    """Safe to use from many threads; places are counted under the lock of the environments."""

    def __init__(self, instance: ComfyInstance, settings: ComfySettings, clock: Callable[[], float]) -> None:
        self.instance = instance
        self.draining = False
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._latch = Latch(settings.fault_failures, settings.fault_seconds, clock)
        self._runs = 0
        self._queue: int | None = None
        self._version = ""
        self._stalled_since: float | None = None
        self._lacks: dict[str, tuple[str, float]] = {}
        self._shared = Shared()

    def has_place(self) -> bool:
        """True if another run may be given."""
        with self._lock:
            others = max((self._queue or 0) - self._runs, 0)
            return not self.draining and self._latch.allows() and self._runs + others < self._settings.depth

    def load(self) -> tuple[bool, int]:
        """What the least busy instance has least of; one that is tried after a fault comes last."""
        with self._lock:
            return self._latch.state != "closed", max(self._runs, self._queue or 0)

    def enter(self) -> None:
        """A run takes a place."""
        with self._lock:
            self._runs += 1
            self._latch.begin()

    def leave(self) -> None:
        """A run gives its place back."""
        with self._lock:
            self._runs -= 1
            self._queue = None if self._queue is None else max(self._queue - 1, 0)
            self._latch.abandon()

    def succeeded(self) -> None:
        """A run ended as it should."""
        with self._lock:
            self._latch.succeed()

    def failed(self, reason: str, *, at_once: bool = False) -> None:
        """A run failed through the instance's fault."""
        with self._lock:
            self._latch.fail(reason, at_once=at_once)

    def is_well(self) -> bool:
        """True if it gets work."""
        with self._lock:
            return not self.draining and self._latch.allows()

    def lacks(self, needed: frozenset[str]) -> bool:
        """True if it was found a short while ago not to have one of these."""
        with self._lock:
            now = self._clock()
            return any(until > now for what, (_, until) in self._lacks.items() if what in needed)

    def lacked(self, what: frozenset[str], reason: str) -> None:
        """A run was refused for lack of these; until this is over others are asked first."""
        with self._lock:
            until = self._clock() + self._settings.fault_seconds
            for name in what:
                self._note_lack(name, reason, until)

    def _note_lack(self, what: str, reason: str, until: float) -> None:
        self._lacks.pop(what, None)
        self._lacks[what] = (reason, until)
        while len(self._lacks) > MOST_LACKS:  # names come from customers too
            del self._lacks[next(iter(self._lacks))]

    def news(self) -> News:
        """What other processes should know of it."""
        with self._lock:
            now, url = self._clock(), shown_url(self.instance.url)
            own = [Fault(url, what, reason, until - now) for what, (reason, until) in self._lacks.items()]
            if self._latch.left:
                own.append(Fault(url, ALL, self._latch.reason or "", self._latch.left))
            # What something lacks is not found to be over; it ends by itself.
            is_over = ALL in self._shared.until and self._latch.state == "closed"
            return News(self._shared.unknown(own, now), [(url, ALL)] if is_over else ())

    def hear(self, faults: Sequence[Fault]) -> None:
        """All that processes know of it now."""
        with self._lock:
            now = self._clock()
            before = self._shared.until
            self._shared = Shared({fault.what: now + fault.left for fault in faults})
            for fault in faults:
                if fault.what == ALL:
                    self._latch.hear(fault.reason, fault.left)
                else:
                    self._note_lack(fault.what, fault.reason, now + fault.left)
            if before.get(ALL, now) > now + SAME and ALL not in self._shared.until:
                self._latch.hear_well()

    def given_up(self) -> str | None:
        """Why runs that wait there should go elsewhere; None when they should not."""
        with self._lock:
            stalled = self._stalled_since is not None and self._latch.state == "open"
            return self._latch.reason if stalled else None

    def probe(self) -> None:
        """Ask the instance, and count the answer for or against it."""
        try:
            queue = self.instance.api.remaining()
            running = bool(self.instance.api.queue().running) if queue else True
            version = self.instance.api.abilities().version
        except ComfyError as error:
            with self._lock:
                self._queue = None
                self._latch.fail(str(error))
            return
        with self._lock:
            self._queue, self._version = queue, version
            self._watch(running)

    def _watch(self, running: bool) -> None:
        """Prompts that wait while none runs, for long, mean that the thread that runs them is dead."""
        now = self._clock()
        if running:
            self._stalled_since = None
            # A run that is tried after a fault decides itself.
            if self._latch.state == "closed" or (self._latch.state == "open" and self._latch.allows()):
                self._latch.succeed()
            return
        if self._stalled_since is None:
            self._stalled_since = now
        elif now - self._stalled_since >= self._settings.stalled_seconds:
            shown = shown_url(self.instance.url)
            self._latch.fail(f"Prompts wait at {shown} and none runs; restart that instance.", at_once=True)

    def status(self) -> InstanceStatus:
        """A snapshot."""
        with self._lock:
            state: InstanceState = "ready"
            if self.draining:
                state = "draining"
            elif self._latch.state != "closed":
                state = "faulty"
            elif self._queue is None and not self._runs:
                state = "unknown"
            elif max(self._runs, self._queue or 0) >= self._settings.depth:
                state = "busy"
            return InstanceStatus(
                shown_url(self.instance.url),
                state,
                self._runs,
                self._queue,
                self._version,
                self._latch.reason,
                tuple(what for what, (_, until) in self._lacks.items() if until > self._clock()),
            )
