"""Wakes all who watch jobs, with one thread that asks the database, however many they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.to_thread

from mien.errors import DatabaseUnavailable, NotReady, RateLimited

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from mien.service.events import Events, Tail
    from mien.service.service import Service

T = TypeVar("T")

ASK: Final = 1.0
"""Longest time in seconds that one question to the database takes."""
MOST: Final = 2000
"""Watchers of one process."""
MOST_OF_ONE: Final = 100
"""Watchers of one owner."""


class Subscription:
    """What happened since its owner looked last. ``job`` None means all jobs. It ends with its ``with`` block."""

    def __init__(self, job: str | None, end: Callable[[Subscription], None]) -> None:
        self._job = job
        self._end = end
        self._news = asyncio.Event()
        self._changed: set[str] = set()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *error: object) -> None:
        self._end(self)

    def note(self, ids: list[str]) -> None:
        """Something happened to these jobs."""
        found = set(ids) if self._job is None else {self._job}.intersection(ids)
        if found:
            self._changed |= found
            self._news.set()

    async def changed(self, timeout: float) -> set[str]:
        """The jobs that something happened to, after up to ``timeout`` seconds; empty when nothing did."""
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()
        found, self._changed = self._changed, set()
        return found


class Watcher:
    """The watchers of one app; to be used in its event loop only."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._open: dict[Subscription, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._thread = anyio.CapacityLimiter(1)

    def open(self, owner: str, job: str | None = None) -> Subscription:
        """Be told of a job (or of all) until the subscription ends. Raises RateLimited, NotReady when too many are."""
        if len(self._open) >= MOST:
            raise NotReady("Too many watch this service at the moment; try again later.", 10)
        if sum(other == owner for other in self._open.values()) >= MOST_OF_ONE:
            raise RateLimited(f"You have {MOST_OF_ONE} open streams already; close some.", 10)
        subscription = Subscription(job, self._close)
        self._open[subscription] = owner
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._ask())
        return subscription

    def _close(self, subscription: Subscription) -> None:
        self._open.pop(subscription, None)

    @property
    def count(self) -> int:
        """How many watch."""
        return len(self._open)

    async def _ask(self) -> None:
        """Ask until nobody watches."""
        tail: Tail | None = None
        while self._open:
            try:
                if tail is None:
                    tail = await self._thread_of(self._events.tail)
                ids = await self._thread_of(partial(tail.changed, ASK))
            except DatabaseUnavailable:
                await asyncio.sleep(ASK)
                continue
            if ids:
                for subscription in list(self._open):
                    subscription.note(ids)

    async def _thread_of(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._thread, abandon_on_cancel=True)


def watcher_of(app: Starlette, service: Service) -> Watcher:
    """The watcher of an app, made on first use; only in its event loop."""
    if not hasattr(app.state, "watcher"):
        app.state.watcher = Watcher(service.events)
    watcher: Watcher = app.state.watcher
    return watcher
