"""Threads of their own for work that must not take those of all other requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.to_thread

from mien.errors import NotReady

if TYPE_CHECKING:
    from starlette.applications import Starlette

T = TypeVar("T")

LOOKS: Final = 2
"""Requests that use the face engine at the same time; each keeps several cores busy."""
WAITING: Final = 50
"""Requests that wait for it; more are refused."""
QUERIES: Final = 8
"""Questions to the database at the same time by those that watch jobs or wait for them."""


class Threads:
    """The threads of one app, in its event loop."""

    def __init__(self) -> None:
        self._looks = anyio.CapacityLimiter(LOOKS)
        self._queries = anyio.CapacityLimiter(QUERIES)

    async def look(self, work: Callable[[], T]) -> T:
        """Use the face engine. Raises NotReady when too many wait for it."""
        if self._looks.statistics().tasks_waiting >= WAITING:
            raise NotReady("Too many pictures are being looked at; try again in a moment.", 2)
        return await anyio.to_thread.run_sync(work, limiter=self._looks)

    async def work(self, work: Callable[[], T]) -> T:
        """Do something that takes a while, beside everything else."""
        return await anyio.to_thread.run_sync(work)

    async def ask(self, work: Callable[[], T]) -> T:
        """Ask the database."""
        return await anyio.to_thread.run_sync(work, limiter=self._queries)


def threads_of(app: Starlette) -> Threads:
    """The threads of an app, made on first use; only in its event loop."""
    if not hasattr(app.state, "threads"):
        app.state.threads = Threads()
    threads: Threads = app.state.threads
    return threads
