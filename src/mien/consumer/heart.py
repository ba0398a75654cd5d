"""Signs of life for one task, from a thread of their own, and what the gateway answers to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias

from mien.consumer.gateway import Away, Gateway
from mien.consumer.task import FetchedTask
from mien.errors import Canceled, JobBusy, MienError
from mien.pipeline.progress import Cancel

Why: TypeAlias = Literal["lost", "canceled", "late", "ending"]
"""Why work has to stop: somebody else has the task, nobody wants it, its time is over, the consumer ends."""

SOON: Final = 2.0
"""Longest time to the next try when the gateway did not answer, in seconds."""


class Heart:
    """Beats while the block lasts. ``cancel`` is set when the work has to stop, and ``why`` says the reason."""

    def __init__(
        self,
        gateway: Gateway,
        task: FetchedTask,
        lease_seconds: float,
        run_seconds: float,
    ) -> None:
        self.cancel = Cancel()
        self._gateway, self._task = gateway, task
        self._every = lease_seconds / 3
        self._deadline = time.monotonic() + run_seconds
        self._lock = threading.Lock()
        self._why: Why | None = None
        self._progress: Mapping[str, Any] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name=f"heart-{task.id}", daemon=True)

    def __enter__(self) -> Heart:
        # At once, since the lease of a task that is taken up again may be lost already.
        self._beat()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The thread is not waited for: it may hang in a call, and what it hears after the end changes nothing.
        self._ended.set()

    @property
    def why(self) -> Why | None:
        """Why the work has to stop; None while it may go on."""
        return self._why

    def tell(self, progress: Mapping[str, Any]) -> None:
        """Note how far the work is; the next sign of life says it."""
        self._progress = progress

    def stop(self, why: Why) -> None:
        """Ask the work to stop; the first reason counts."""
        with self._lock:
            self._why = self._why or why
        self.cancel.set()

    def _beat_on(self) -> None:
        pause = self._every
        while self._why not in ("lost", "canceled") and not self._ended.wait(pause):
            if time.monotonic() > self._deadline:
                self.stop("late")
            pause = self._beat()

    def _beat(self) -> float:
        """One sign of life; returns the time to the next."""
        progress, self._progress = self._progress, None
        try:
            self._gateway.heartbeat(self._task, progress)
        except Away:
            self._progress = self._progress or progress
            return min(self._every, SOON)
        except JobBusy:
            self.stop("lost")
        except Canceled:
            self.stop("canceled")
        except MienError:
            pass  # refused for a reason that may pass, such as a key that is being replaced; the lease runs on
        return self._every
