"""What the server knows of one request before any route sees it."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mien.service.callers import Caller

KEY: Final = "mien.visit"
"""Where the ASGI scope holds it."""
SESSION_COOKIE: Final = "mien_session"
_REQUEST_ID: Final = re.compile(r"\A[A-Za-z0-9._-]{1,64}\Z")


@dataclass(slots=True)
class Visit:
    """One request, from its first byte to its last."""

    request_id: str
    method: str
    path: str
    headers: Mapping[str, str]
    address: str
    secure: bool
    started: float = field(default_factory=time.monotonic)
    caller: Caller | None = None
    answered: bool = False
    """Whether the head of the answer is on its way."""
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def header(self, name: str) -> str | None:
        """A header by its lower-case name."""
        return self.headers.get(name)


def visit_of(scope: Mapping[str, Any]) -> Visit:
    """The visit of an ASGI scope that went through the outermost layer."""
    visit: Visit = scope[KEY]
    return visit


def begin(scope: Mapping[str, Any]) -> Visit:
    """A new visit. The client's own id is taken over when it is harmless in logs.

    Ids are no secret, and to ask the system for each would let all other threads go first.
    """
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        # The first one counts; a second Host or Authorization cannot replace what was checked.
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    given = headers.get("x-request-id", "")
    client = scope.get("client")
    return Visit(
        request_id=given if _REQUEST_ID.match(given) else f"req_{random.getrandbits(80):020x}",
        method=scope.get("method", "WEBSOCKET"),
        path=_path_of(scope),
        headers=headers,
        address=client[0] if client else "local",
        secure=scope["scheme"] in ("https", "wss"),
    )


def key_of(visit: Visit) -> str | None:
    """The key that a request carries in its headers."""
    scheme, _, key = (visit.header("authorization") or "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return visit.header("x-api-key")


def session_of(visit: Visit) -> str | None:
    """The session that a request's cookie names."""
    for part in (visit.header("cookie") or "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == SESSION_COOKIE and value:
            return value
    return None


def _path_of(scope: Mapping[str, Any]) -> str:
    """The path below ``root_path``, as routes see it: what a proxy keeps of its own prefix hides nothing."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path
