"""The top address for programs: which service this is. Browsers get the studio there."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import Match

from mien._version import __version__


class ForPrograms(APIRoute):
    """A route that is not there for browsers, which name HTML among what they accept."""

    def matches(self, scope: MutableMapping[str, Any]) -> tuple[Match, Any]:
        """Whether the route answers a request."""
        accepted = b",".join(value for name, value in scope.get("headers", ()) if name == b"accept")
        return (Match.NONE, {}) if b"text/html" in accepted else super().matches(scope)


class Identity(BaseModel):
    """Which service this is."""

    service: Literal["mien"] = "mien"
    status: Literal["running"] = "running"
    version: str = __version__


router = APIRouter(tags=["gateway"], route_class=ForPrograms)


@router.get("/", response_model=Identity)
def service_identity() -> Identity:
    """Which service this is, as gateways ask face engines."""
    return Identity()
