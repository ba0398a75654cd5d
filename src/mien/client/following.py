"""Following a job until it has ended, by what it says of itself; shared by both clients."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from mien.errors import TimedOut
from mien.server.schemas.jobs import Job, JobProgress

if TYPE_CHECKING:
    from httpx2 import ServerSentEvent

ENDED: Final = frozenset({"completed", "failed", "canceled"})
RECONNECT: Final = 1.0
"""Seconds before a connection that broke is made again."""


class Following:
    """What is known of a job while its events come in, over any number of connections."""

    def __init__(self, id: str, timeout: float | None) -> None:
        self.id = id
        self._until = None if timeout is None else time.monotonic() + timeout
        self._timeout = timeout
        self._last_event = ""
        self.has_ended = False

    @property
    def headers(self) -> dict[str, str]:
        """What a new connection says, so that it goes on where the last one broke."""
        return {"Last-Event-ID": self._last_event} if self._last_event else {}

    def take(self, event: ServerSentEvent) -> JobProgress | None:
        """Learn from an event; progress is returned."""
        self.check_time()
        self._last_event = event.id or self._last_event
        data: dict[str, Any] = json.loads(event.data or "{}")
        if event.event in ("snapshot", "status"):
            self.has_ended = data.get("status") in ENDED
            progress = data.get("progress")
            return JobProgress.model_validate(progress) if progress and not self.has_ended else None
        return JobProgress.model_validate(data) if event.event == "progress" else None

    def check_time(self) -> None:
        """Raise TimedOut when nobody wants to wait any longer."""
        if self._until is not None and time.monotonic() > self._until:
            raise TimedOut(f"The job {self.id} has not ended within {self._timeout:g} seconds; it goes on.")


def is_over(job: Job) -> bool:
    """Whether nothing more happens to the job by itself."""
    return job.status in ENDED
