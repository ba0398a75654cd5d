"""A fault latch: keeps work away from an instance that fails, and lets one try through after a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

LatchState = Literal["closed", "open", "trying"]


class Latch:
    """Closed lets all work through; open none; trying exactly one, whose outcome closes or opens it again.

    Not safe to use from several threads; its owner holds a lock.
    """

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float]) -> None:
        """Opens after so many failures in a row, and lets one try through so many seconds later."""
        self._limit, self._seconds, self._clock = failures, seconds, clock
        self._failures = 0
        self._opened_at = 0.0
        self.state: LatchState = "closed"
        self.reason: str | None = None
        """Why it is not closed."""

    def allows(self) -> bool:
        """True if work may be given now; does not change anything."""
        if self.state == "open":
            return self._clock() - self._opened_at >= self._seconds
        return self.state == "closed"

    def begin(self) -> None:
        """Work is given; from an open latch this is the one try."""
        if self.state == "open":
            self.state = "trying"

    def succeed(self) -> None:
        """Work or a probe went well."""
        self._failures, self.state, self.reason = 0, "closed", None

    def fail(self, reason: str, *, at_once: bool = False) -> None:
        """Work or a probe failed through the instance's fault; ``at_once`` opens without counting."""
        self._failures += 1
        if at_once or self.state != "closed" or self._failures >= self._limit:
            self.state, self.reason, self._opened_at = "open", reason, self._clock()

    @property
    def left(self) -> float:
        """Seconds until work may be given to an open one; 0 when it may now."""
        left = self._opened_at + self._seconds - self._clock()
        return max(left, 0.0) if self.state == "open" else 0.0

    def hear(self, reason: str, left: float) -> None:
        """Another process found the fault, which lets nothing through for so many seconds."""
        if self.state != "trying" and left > self.left:
            self.state, self.reason = "open", reason
            self._opened_at = self._clock() + left - self._seconds

    def hear_well(self) -> None:
        """Another process found that the fault is over."""
        if self.state == "open":
            self.succeed()

    def abandon(self) -> None:
        """The one try ended without telling anything about the instance."""
        if self.state == "trying":
            self.state = "open"
