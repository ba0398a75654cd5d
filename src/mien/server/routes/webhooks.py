"""Webhooks and their deliveries."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from mien.server.deps import Reader, ServiceDep, Submitter
from mien.server.errors import problems
from mien.server.moments import moment
from mien.server.schemas import (
    Delivery,
    DeliveryAttempt,
    DeliveryPage,
    Webhook,
    WebhookCreated,
    WebhookPatch,
    WebhookRequest,
)
from mien.service import deliveries
from mien.service import webhooks as kept

router = APIRouter(tags=["webhooks"])

WebhookId = Annotated[str, Path(max_length=80, description="Id of a webhook.")]
DeliveryId = Annotated[str, Path(max_length=80, description="Id of a delivery, the header webhook-id.")]


@router.post(
    "/webhooks",
    status_code=201,
    response_model=WebhookCreated,
    responses=problems(401, 403, 413, 415, 422, 429, 503),
)
def create_webhook(
    body: WebhookRequest, request: Request, response: Response, service: ServiceDep, caller: Submitter
) -> WebhookCreated:
    """Add an address to call. The secret is shown this once, so an Idempotency-Key has no effect here: nothing keeps
    the answer.
    """
    made = service.webhooks.create(caller.owner, body.url, body.events, body.enabled)
    response.headers["Location"] = f"{request.scope.get('root_path', '')}/api/v1/webhooks/{made.id}"
    return _created(made)


@router.get("/webhooks", response_model=list[Webhook], responses=problems(401, 403, 429, 503))
def list_webhooks(service: ServiceDep, caller: Reader) -> list[Webhook]:
    """The caller's webhooks, the oldest first, without their secrets."""
    return [_webhook(item) for item in service.webhooks.all(caller.owner)]


@router.get("/webhooks/deliveries", response_model=DeliveryPage, responses=problems(401, 403, 422, 429, 503))
def list_deliveries(
    service: ServiceDep,
    caller: Reader,
    webhook: Annotated[str | None, Query(max_length=80, description="Only those of this webhook.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Most entries of a page.")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=200, description="next_cursor of the page before.")
    ] = None,
) -> DeliveryPage:
    """What was told to whom, and what came of it; the newest first."""
    found, following = service.deliveries.page(caller.owner, webhook, cursor, limit)
    return DeliveryPage(deliveries=[_delivery(item) for item in found], next_cursor=following)


@router.post(
    "/webhooks/deliveries/{id}/redeliver",
    status_code=202,
    response_model=Delivery,
    responses=problems(401, 403, 404, 422, 429, 503),
)
def redeliver(id: DeliveryId, service: ServiceDep, caller: Submitter) -> Delivery:
    """Call again now, whatever came of it before."""
    return _delivery(service.deliveries.redeliver(id, caller.owner))


@router.get("/webhooks/{id}", response_model=Webhook, responses=problems(401, 403, 404, 422, 429, 503))
def show_webhook(id: WebhookId, service: ServiceDep, caller: Reader) -> Webhook:
    """One webhook, without its secret."""
    return _webhook(service.webhooks.get(id, caller.owner))


@router.patch(
    "/webhooks/{id}", response_model=Webhook, responses=problems(401, 403, 404, 413, 415, 422, 429, 503)
)
def change_webhook(id: WebhookId, body: WebhookPatch, service: ServiceDep, caller: Submitter) -> Webhook:
    """Change address or events, or switch a webhook on or off."""
    return _webhook(service.webhooks.change(id, caller.owner, body.url, body.events, body.enabled))


@router.delete("/webhooks/{id}", status_code=204, responses=problems(401, 403, 404, 422, 429, 503))
def delete_webhook(id: WebhookId, service: ServiceDep, caller: Submitter) -> Response:
    """Delete a webhook; what was still on its way to it is given up."""
    service.webhooks.delete(id, caller.owner)
    return Response(status_code=204)


@router.post(
    "/webhooks/{id}/test",
    status_code=202,
    response_model=Delivery,
    responses=problems(401, 403, 404, 422, 429, 503),
)
def test_webhook(id: WebhookId, service: ServiceDep, caller: Submitter) -> Delivery:
    """Call the address with an event of the type test."""
    delivery = service.webhooks.test(id, caller.owner)
    return _delivery(service.deliveries.get(delivery, caller.owner))


@router.post(
    "/webhooks/{id}/rotate", response_model=WebhookCreated, responses=problems(401, 403, 404, 422, 429, 503)
)
def rotate_webhook_secret(id: WebhookId, service: ServiceDep, caller: Submitter) -> WebhookCreated:
    """Make a new secret, shown this once; the old one signs as well for a day."""
    return _created(service.webhooks.rotate(id, caller.owner))


def _webhook(item: kept.Webhook) -> Webhook:
    return Webhook(
        id=item.id,
        url=item.url,
        events=list(item.events),
        enabled=item.enabled,
        created_at=moment(item.created_at),
    )


def _created(item: kept.Webhook) -> WebhookCreated:
    return WebhookCreated(**_webhook(item).model_dump(), secret=item.secret)


def _delivery(item: deliveries.Delivery) -> Delivery:
    return Delivery(
        id=item.id,
        webhook=item.webhook,
        job=item.job,
        url=item.url,
        type=item.type,
        status=item.status,
        attempts=[
            DeliveryAttempt(
                at=moment(attempt.at),
                status_code=attempt.status_code,
                error=attempt.error,
                milliseconds=attempt.milliseconds,
            )
            for attempt in item.attempts
        ],
        next_at=moment(item.next_at),
        created_at=moment(item.created_at),
    )
