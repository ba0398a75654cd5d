"""Who may come in: keys, cookies, and what browsers do by themselves in the name of their users.

A browser sends cookies, and reaches services on its own machine, for any page that it shows. So where a request is
not allowed by a key in its headers, it must not come from a page of somebody else:

- The host name must be one that nobody else can point at this machine (DNS rebinding): an IP address, a name of one
  word, or the name in ``public_url``.
- Requests that change something, and websockets, must come from a page of this service or of ``cors_origins``.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from mien.errors import Forbidden
from mien.server.visit import Visit, key_of, session_of, visit_of
from mien.service.callers import Caller

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mien.service.service import Service

OPEN: Final = ("/api/v1/session", "/api/v1/health", "/api/v1/files/")
"""Addresses below ``/api/`` that need no key: those that take one, that tell little without one, or are signed."""
SAFE: Final = ("GET", "HEAD", "OPTIONS")
_THREADS: Final = 8
T = TypeVar("T")


class Gate:
    """Lets requests in, each with its caller; what needs a key and has none gets no further, not even its body."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._hosts = own_hosts(service.settings.public_url)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in service.settings.cors_origins)
        # Its own threads: routes that wait for jobs may hold all others.
        self._threads = anyio.CapacityLimiter(_THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] in ("http", "websocket"):
            visit = visit_of(scope)
            secured = needs_key(visit)
            if key_of(visit) is None and (secured or visit.method not in SAFE):
                self._check_page(visit)
            if secured:
                visit.caller = await self._caller(visit)
        await self._app(scope, receive, send)

    async def _caller(self, visit: Visit) -> Caller:
        access, limits = self._service.access, self._service.limits
        key, session = key_of(visit), session_of(visit)
        caller = access.remembered(key, session)
        if caller is None:
            caller = await self._run(lambda: access.caller(key, session, visit.address))
        known = caller
        if not limits.request_here(known, visit.address):
            await self._run(lambda: limits.request(known, visit.address))
        return known

    async def _run(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._threads)

    def _check_page(self, visit: Visit) -> None:
        host = visit.header("host") or ""
        if not self._is_own(host):
            raise Forbidden(
                f"{_shown(host)} is not a name of this service; set MIEN_PUBLIC_URL to the address that clients use."
            )
        if visit.method in SAFE:
            return
        origin = visit.header("origin")
        if origin is None:
            if visit.header("sec-fetch-site") in ("cross-site", "same-site"):
                raise Forbidden("Pages of other sites may not do this.")
            return
        if urlsplit(origin).netloc.lower() != host.lower() and not self._is_allowed(origin):
            raise Forbidden(
                f"Pages of {_shown(origin)} may not do this; MIEN_CORS_ORIGINS names those that may."
            )

    def _is_allowed(self, origin: str) -> bool:
        public = self._service.settings.public_url
        own = urlsplit(public) if public else None
        if own is not None and origin.lower() == f"{own.scheme}://{own.netloc}".lower():
            return True
        return origin.rstrip("/").lower() in self._origins or "*" in self._origins

    def _is_own(self, host: str) -> bool:
        name = _name_of(host)
        return name in self._hosts or _is_safe_name(name)


def needs_key(visit: Visit) -> bool:
    """Whether a request is one that only known callers may make."""
    if visit.path.startswith(OPEN):
        return False
    return visit.path.startswith("/api/") or visit.path == "/metrics" or visit.method not in SAFE


def own_hosts(public_url: str | None) -> frozenset[str]:
    """Names with dots that lead to this service."""
    own = {socket.gethostname().lower()}
    if public_url:
        own.add((urlsplit(public_url).hostname or "").lower())
    return frozenset(own)


def _name_of(host: str) -> str:
    match = re.match(r"\A(\[[0-9A-Fa-f:.]+\]|[^:]*)(:\d+)?\Z", host.strip())
    return match[1].strip("[]").rstrip(".").lower() if match else ""


def _is_safe_name(name: str) -> bool:
    if not name:
        return False
    try:
        ipaddress.ip_address(name)
        return True
    except ValueError:
        return bool(re.match(r"\A[a-z0-9_-]+\Z", name)) or name.endswith(".localhost")


def _shown(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.:/\[\]_-]", "?", text[:100]) or "The request without Host"
