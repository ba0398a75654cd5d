"""Requests that wait for a job: without a thread of their own, and without harm to the job when the client goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from mien.errors import Canceled, DatabaseUnavailable, MienError, RateLimited, RemoteFailed, TryLater, kind_of
from mien.server.threads import threads_of
from mien.server.watcher import watcher_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from mien.jobs.job import Failure
    from mien.jobs.rows import JobRow
    from mien.server.watcher import Subscription
    from mien.service.service import Service

LOOK: Final = 2.0
"""Seconds after which a job is looked at although nobody told of anything."""


async def ended(request: Request, service: Service, row: JobRow, seconds: float) -> JobRow:
    """The job, as soon as it has ended, or as it is after so many seconds.

    Raises ClientDisconnect when the client goes away meanwhile. The body of the request must have been read.
    """
    deadline = time.monotonic() + seconds
    if row.has_ended or seconds <= 0:
        return row
    try:
        watch = watcher_of(request.app, service).open(row.owner, row.id)
    except (RateLimited, TryLater):
        return row  # too many wait already; the job was taken, and can be asked for
    with watch:
        async with _leaving(request, watch, row.id) as gone:
            while not gone.is_set():
                with suppress(DatabaseUnavailable):  # it may be back before the time is over
                    row = await threads_of(request.app).ask(partial(service.store.row, row.id))
                left = deadline - time.monotonic()
                if row.has_ended or left <= 0:
                    return row
                await watch.changed(min(left, LOOK))
    raise ClientDisconnect


@asynccontextmanager
async def _leaving(request: Request, watch: Subscription, job: str) -> AsyncIterator[asyncio.Event]:
    """Set when the client goes away; whoever waits for the job is woken up then."""
    gone = asyncio.Event()

    async def listen() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()
        watch.note([job])

    listening = asyncio.create_task(listen())
    try:
        yield gone
    finally:
        listening.cancel()


def error_of(failure: Failure | None) -> MienError:
    """The error that made a job fail, as if the request itself had met it."""
    if failure is None:
        return Canceled("The job was canceled.")
    kind = kind_of(failure.code) or MienError
    if issubclass(kind, TryLater):
        return kind(failure.message, 1.0)
    if kind is MienError and failure.kind == "lost":
        return RemoteFailed(failure.message)
    return kind(failure.message)
