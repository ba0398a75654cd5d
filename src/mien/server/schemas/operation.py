"""Keys, sessions, use, and the state of the service."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field

from mien.server.schemas.base import Model, Moment
from mien.service.requests import Request

Scope: TypeAlias = Literal["submit", "read", "work", "admin"]


class KeyRequest(Request):
    """A key to be made."""

    name: str = Field(min_length=1, max_length=200)
    scopes: list[Scope] = Field(default=["submit", "read"], min_length=1, max_length=4)
    limits: dict[str, float] = Field(default_factory=dict, description="Limits that differ for this key.")
    expires_in: float | None = Field(default=None, gt=0, description="Seconds.")


class Key(Model):
    """A key without its secret, which is not kept."""

    id: str
    name: str
    scopes: list[Scope]
    limits: dict[str, float] = Field(default_factory=dict)
    owner: str
    created_at: Moment
    expires_at: Moment | None = None
    revoked_at: Moment | None = None
    used_at: Moment | None = None


class KeyCreated(Key):
    """A new key; the secret is shown this once."""

    key: str = Field(description="mien_<id>_<secret>")


class SessionRequest(Request):
    """A key that is exchanged for a cookie."""

    key: str = Field(min_length=1, max_length=500)


class Session(Model):
    """Who is calling."""

    authenticated: bool
    auth_required: bool
    owner: str = ""
    scopes: list[Scope] = Field(default_factory=list)
    expires_at: Moment | None = None


class UsageDay(Model):
    """What was used on one day (UTC)."""

    day: str
    amounts: dict[str, float]


class Usage(Model):
    """What a key has used, newest day first."""

    owner: str
    days: list[UsageDay]
    stored_bytes: int = Field(0, description="Size of all files that are kept now, results included.")
    limits: dict[str, float | None] = Field(default_factory=dict)


class Health(Model):
    """Whether the service works, part by part."""

    status: Literal["ok", "degraded", "down"]
    checks: dict[str, Any]


class System(Model):
    """The service, its machines and how busy they are."""

    version: str
    role: str
    started_at: Moment
    queue: dict[str, Any]
    workers: list[dict[str, Any]]
    devices: list[dict[str, Any]] = Field(default_factory=list)
    storage: dict[str, Any] = Field(default_factory=dict)
    memory: dict[str, int] = Field(default_factory=dict, description="Bytes, of this process and machine.")
    software: dict[str, str] = Field(default_factory=dict, description="Versions.")
    models: list[str] = Field(default_factory=list, description="Models that are installed.")
