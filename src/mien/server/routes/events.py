"""What happens to jobs, as server-sent events, and as a log."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from mien.errors import DatabaseUnavailable, JobMissing
from mien.server.answers import light_job, whole_job
from mien.server.deps import Reader, ServiceDep
from mien.server.errors import problems
from mien.server.routes.jobs import JobId
from mien.server.threads import Threads, threads_of
from mien.server.watcher import Subscription, watcher_of
from mien.service.views import iso, results_view

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from mien.jobs.rows import JobRow
    from mien.service.events import Event
    from mien.service.service import Service

router = APIRouter(tags=["events"])

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment is sent."""
LOOK: Final = 5.0
"""Seconds after which streams look for news although nobody told them of any."""
AGAIN: Final = 1.0
"""Seconds until a database that was away is asked for jobs again."""
RETRY: Final = "retry: 2000\n\n"
_SENT = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_EVENT: Final = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
    "required": ["event", "data"],
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": _EVENT}},
        "description": "A stream of events",
    }
}
LastEventId = Annotated[
    int | None,
    Header(ge=0, le=2**62, description="Id of the last event that was seen; those behind it follow."),
]


@router.get(
    "/jobs/{id}/events",
    response_class=StreamingResponse,
    responses=_STREAM
    | {204: {"description": "Nothing more will happen"}, **problems(401, 403, 404, 422, 429, 503)},
)
async def job_events(
    id: JobId,
    request: Request,
    service: ServiceDep,
    caller: Reader,
    last_event_id: LastEventId = None,
    after: Annotated[int | None, Query(ge=0, le=2**62, description="As Last-Event-ID.")] = None,
) -> Response:
    """A snapshot of the job, then its events until it has ended."""
    seen = last_event_id if last_event_id is not None else after
    threads = threads_of(request.app)
    newest = await threads.ask(lambda: service.events.newest(id))
    row = await threads.ask(lambda: service.store.row(id, caller.owner))
    if seen is not None and row.has_ended and seen >= newest:
        return Response(status_code=204)
    # With an id only where nothing is left to be replayed: who breaks off goes on behind what was seen.
    snapshot = await threads.ask(lambda: whole_job(service, row).model_dump(mode="json"))
    first = message("snapshot", snapshot, newest if seen is None else None)
    after = newest if seen is None else seen
    watch = watcher_of(request.app, service).open(caller.owner, id)
    return _Stream(watch, _chained(RETRY + first, _following(service, threads, id, after, watch)))


class _Stream(StreamingResponse):
    """A stream of events; however it ends, nobody watches any more."""

    def __init__(self, watch: Subscription, content: AsyncIterator[str]) -> None:
        super().__init__(content, media_type="text/event-stream", headers=_SENT)
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        with self._watch:
            await super().__call__(scope, receive, send)


async def _chained(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for text in rest:
        yield text


async def _following(
    service: Service, threads: Threads, id: str, after: int, watch: Subscription
) -> AsyncIterator[str]:
    silent = 0.0
    while True:
        try:
            row, found = await threads.ask(partial(_news, service, id, after))
        except JobMissing:
            return
        except DatabaseUnavailable:
            row, found = None, []
        for event in found:
            after, silent = event.id, 0.0
            yield message(event.type, _shown(service, event), event.id)
        if not found and row is not None and row.has_ended:
            return
        if not found:
            silent = 0.0 if await watch.changed(LOOK) else silent + LOOK
            if silent >= HEARTBEAT:
                silent = 0.0
                yield ": still here\n\n"


def _shown(service: Service, event: Event) -> dict[str, Any]:
    if event.type != "result":
        return dict(event.data)
    root = service.settings.root_path
    return {"results": results_view(event.job, event.data["results"], lambda record, own: f"{root}{own}")}


def _news(service: Service, id: str, after: int) -> tuple[JobRow | None, list[Event]]:
    """The job, then what happened to it: whoever sees that it has ended has seen all its events."""
    return service.store.row(id), service.events.since(id, after)


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={**_STREAM, **problems(401, 403, 422, 429, 503)},
)
async def board_events(request: Request, service: ServiceDep, caller: Reader) -> Response:
    """Each job of the caller whenever something happens to it, without its steps; it never ends by itself."""
    watch = watcher_of(request.app, service).open(caller.owner)
    return _Stream(watch, _chained(RETRY, _board(service, threads_of(request.app), caller.owner, watch)))


async def _board(service: Service, threads: Threads, owner: str, watch: Subscription) -> AsyncIterator[str]:
    def load(ids: set[str]) -> list[dict[str, Any]]:
        rows = service.store.rows(ids, owner)
        return [light_job(service, row).model_dump(mode="json") for row in rows]

    untold: set[str] = set()
    while True:
        ids = untold | await watch.changed(AGAIN if untold else HEARTBEAT)
        if not ids:
            yield ": still here\n\n"
            continue
        try:
            found, untold = await threads.ask(partial(load, ids)), set()
        except DatabaseUnavailable:
            found, untold = [], ids
        for job in found:
            yield message("job", job)


@router.get(
    "/jobs/{id}/log",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Lines of text"},
        **problems(401, 403, 404, 422, 429, 503),
    },
)
def job_log(id: JobId, service: ServiceDep, caller: Reader) -> Response:
    """What happened to a job so far, one line for each event."""
    service.store.row(id, caller.owner)
    return StreamingResponse(_lines(service, id), media_type="text/plain; charset=utf-8", headers=_SENT)


def _lines(service: Service, id: str) -> Iterator[str]:
    after = 0
    while found := service.events.since(id, after):
        for event in found:
            after = event.id
            yield f"{iso(event.at)} {_line(event)}\n"


def _line(event: Event) -> str:
    if event.type == "preview":
        return "preview: a picture"
    if event.type == "notice":
        return f"notice: {event.data.get('text', '')}"
    said = ", ".join(
        f"{name} {value if isinstance(value, str | int | float) else json.dumps(value)}"
        for name, value in event.data.items()
        if value is not None
    )
    return f"{event.type}: {said}"


def message(type: str, data: dict[str, Any], id: int | None = None) -> str:
    """One server-sent event. JSON on one line has no line break that could end it early."""
    number = "" if id is None else f"id: {id}\n"
    return f"{number}event: {type}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
