"""Webhooks and their deliveries."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mien.server.schemas.base import Model, Moment
from mien.service.requests import JobEventType, Request


class WebhookRequest(Request):
    """An address that is to be called."""

    url: str = Field(min_length=1, max_length=2048)
    events: list[JobEventType] = Field(default_factory=list, description="Which events; all when empty.")
    enabled: bool = True


class WebhookPatch(Request):
    """What is to be changed of a webhook."""

    url: str | None = Field(default=None, min_length=1, max_length=2048)
    events: list[JobEventType] | None = None
    enabled: bool | None = None


class Webhook(Model):
    """An address that is called, without its secret."""

    id: str
    url: str
    events: list[str]
    enabled: bool
    created_at: Moment


class WebhookCreated(Webhook):
    """A webhook with the secret that signs its calls; it is shown this once."""

    secret: str


class DeliveryAttempt(Model):
    """One call."""

    at: Moment
    status_code: int | None = None
    error: str | None = None
    milliseconds: float | None = None


class Delivery(Model):
    """One event on its way to one address."""

    id: str
    webhook: str | None = None
    job: str | None = None
    url: str
    type: str
    status: Literal["waiting", "delivered", "failed"]
    attempts: list[DeliveryAttempt] = Field(default_factory=list)
    next_at: Moment | None = None
    created_at: Moment


class DeliveryPage(Model):
    """Deliveries, newest first."""

    deliveries: list[Delivery]
    next_cursor: str | None = None
