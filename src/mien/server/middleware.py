"""What happens to every request around the routes: an id, limits of size and time, safe headers, a line in the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from mien.errors import MienError, TimedOut, UploadTooLarge
from mien.server import visit as visits
from mien.server.errors import answer
from mien.server.visit import Visit, visit_of
from mien.service.settings import MB
from mien.service.tracing import OFF

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mien.server.metrics import HttpMetrics
    from mien.service.service import Service
    from mien.service.tracing import Span

API: Final = "/api/v1"
MAX_JSON: Final = 8 * MB
"""Largest body that is no file; such bodies are read into memory."""
IDLE: Final = 60.0
"""Seconds that a client may take for the next piece of a request, or for taking the next piece of an answer."""
QUIET: Final = ("/livez", "/readyz", "/metrics")
"""Addresses that are asked all the time; their lines are for debugging only."""
GONE: Final = 499
"""Status in the log when the client went away before there was an answer."""

HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; media-src 'self'; frame-ancestors 'none'",
}
"""Headers of every answer that does not set them itself."""


class Outermost:
    """Gives each request its id and each answer its headers, and says in the log how it ended."""

    def __init__(self, app: ASGIApp, service: Service, metrics: HttpMetrics) -> None:
        self._app = app
        self._service = service
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if self._service.settings.root_path:
            scope["root_path"] = self._service.settings.root_path
        visit = scope[visits.KEY] = visits.begin(scope)
        with self._traced(visit) as span:
            try:
                await self._app(scope, receive, _Out(visit, send))
            except ClientDisconnect:
                visit.status = visit.status or GONE
            except asyncio.CancelledError:
                visit.status = visit.status or GONE
                raise
            finally:
                self._tell(visit, scope)
                span.note_http(visit.method, _template(visit, scope), visit.status)

    def _traced(self, visit: Visit) -> AbstractContextManager[Span]:
        tracing = OFF if visit.path in QUIET else self._service.tracing
        parent = visit.header("traceparent")
        return tracing.span(visit.method, parent=parent, role="server", request_id=visit.request_id)

    def _tell(self, visit: Visit, scope: Scope) -> None:
        seconds = time.monotonic() - visit.started
        route = _template(visit, scope)
        self._metrics.seen(visit.method, route, visit.status, seconds)
        caller, log = visit.caller, self._service.log
        if caller is not None:
            amounts = {"requests": 1, "bytes_in": visit.bytes_in, "bytes_out": visit.bytes_out}
            self._service.usage.note(
                caller.owner, **{name: value for name, value in amounts.items() if value}
            )
        say = log.debug if visit.path in QUIET and visit.status < 400 else log.info
        say(
            "request",
            request_id=visit.request_id,
            method=visit.method,
            path=visit.path,
            route=route,
            status=visit.status,
            ms=round(seconds * 1000, 1),
            bytes_in=visit.bytes_in,
            bytes_out=visit.bytes_out,
            key=caller.key_id if caller is not None else None,
            address=visit.address,
        )


def _template(visit: Visit, scope: Scope) -> str:
    """The path of the route with names in the place of values: few enough to count by."""
    found: str | None = getattr(scope.get("route"), "path", None)
    if found is None:
        return "other"
    # Some versions of the framework tell the path within the router alone.
    below = visit.path.startswith(f"{API}/") and not found.startswith("/api/")
    return API + found if below else found


class Failures:
    """Answers what nobody else did: everything that is raised becomes an envelope."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._log = service.log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            raise
        except Exception as error:  # the border of the server
            if scope["type"] not in ("http", "websocket"):
                raise
            await self._answer(error, scope, receive, send)

    async def _answer(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        visit = visit_of(scope)
        response = answer(error, visit.request_id, self._log)
        if visit.answered:
            # Too late for an answer: the connection is cut, so that nobody takes what was sent for the whole.
            visit.status = response.status_code
            raise _Cut from None
        if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": str(error)[:100]})
        else:
            await response(scope, receive, send)


class _Cut(ConnectionError):
    """Ends a connection whose answer broke off."""


class _Out:
    """Sends an answer, with the headers that all have; a client that takes nothing for a minute is let go."""

    def __init__(self, visit: Visit, send: Send) -> None:
        self._visit = visit
        self._send = send

    async def __call__(self, message: Message) -> None:
        visit = self._visit
        if message["type"] in ("http.response.start", "websocket.http.response.start", "websocket.accept"):
            visit.answered = True
            visit.status = message.get("status", 101)
            message.setdefault("headers", [])
            self._complete(MutableHeaders(raw=message["headers"]))
            message["headers"] = list(message["headers"])
        elif message["type"] in ("http.response.body", "websocket.http.response.body"):
            visit.bytes_out += len(message.get("body", b""))
        elif message["type"] == "websocket.close" and not visit.answered:
            visit.status = visit.status or 403
        try:
            async with asyncio.timeout(IDLE):
                await self._send(message)
        except TimeoutError:
            raise ClientDisconnect from None

    def _complete(self, headers: MutableHeaders) -> None:
        headers["X-Request-Id"] = self._visit.request_id
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if self._visit.path.startswith("/api/"):
            headers.setdefault("Cache-Control", "no-store")


class Bodies:
    """Limits what comes in: bytes, as declared and as counted, the room for files, the time between two pieces."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._most = int(service.settings.max_request_mb * MB)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = visit_of(scope)
        most = self._limit(visit)
        declared = visit.header("content-length") or "0"
        size = int(declared) if declared.isdigit() else 0
        if size > most:
            raise _too_large(most)
        if not _is_plain(visit):
            await to_thread.run_sync(self._service.space.check, size)
        done = False

        async def next_piece() -> Message:
            nonlocal done
            if done:
                return await receive()
            try:
                async with asyncio.timeout(IDLE):
                    message = await receive()
            except TimeoutError:
                raise SlowRequest("The request did not arrive in time.") from None
            visit.bytes_in += len(message.get("body", b""))
            done = not message.get("more_body", False)
            if visit.bytes_in > most:
                raise _too_large(most)
            return message

        await self._app(scope, next_piece, send)

    def _limit(self, visit: Visit) -> int:
        return min(MAX_JSON, self._most) if _is_plain(visit) else self._most


def _is_plain(visit: Visit) -> bool:
    """Whether the body is read into memory, and not into a file."""
    kind = (visit.header("content-type") or "").partition(";")[0].strip().lower()
    plain = kind in ("application/json", "application/x-www-form-urlencoded", "")
    return plain or kind.endswith("+json")


class SlowRequest(TimedOut):
    """A request whose bytes did not come."""

    http_status = 408


class Heads:
    """Answers HEAD where there is a GET: the same headers, and no body."""

    def __init__(self, app: ASGIApp, routes: list[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or self._has_own(scope):
            await self._app(scope, receive, send)
            return
        over = asyncio.Event()

        async def headers_only(message: Message) -> None:
            if over.is_set():
                return
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                over.set()

        async def gone() -> Message:
            """No body comes in; and once the headers are out, whoever goes on writing learns that nobody listens."""
            await over.wait()
            return {"type": "http.disconnect"}

        await self._app({**scope, "method": "GET"}, gone, headers_only)

    def _has_own(self, scope: Mapping[str, Any]) -> bool:
        return any(route.matches(dict(scope))[0] is Match.FULL for route in self._routes)


def _too_large(most: int) -> MienError:
    return UploadTooLarge(f"The request has more than the {most:,} bytes that the service takes for it.")
