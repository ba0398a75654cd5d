"""For what watches the process: whether it lives, whether it is ready for requests, and its numbers."""

from __future__ import annotations

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from mien.errors import DatabaseUnavailable, NotFound, NotReady
from mien.server.deps import Reader, ServiceDep

router = APIRouter(include_in_schema=False)
PATIENCE = 3.0
"""Seconds in which the database has to answer."""


@router.get("/livez")
async def livez() -> PlainTextResponse:
    """The process answers; nothing else is looked at."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(service: ServiceDep) -> PlainTextResponse:
    """The process takes requests: it is not stopping, its database answers, and there is room for uploads."""
    if service.stopping:
        raise NotReady("The service is stopping; send requests to another process.")
    try:
        with anyio.fail_after(PATIENCE):
            await anyio.to_thread.run_sync(service.ping, abandon_on_cancel=True)
    except (TimeoutError, DatabaseUnavailable):
        raise NotReady("The database does not answer.", 5.0) from None
    if await anyio.to_thread.run_sync(lambda: service.space.is_low):
        raise NotReady("The disk of the data folder is nearly full, so no uploads are taken.", 30.0)
    return PlainTextResponse("ok\n")


@router.get("/metrics")
def metrics(request: Request, service: ServiceDep, caller: Reader) -> Response:
    """Numbers in the format of Prometheus."""
    if not service.settings.metrics:
        raise NotFound("The settings switch /metrics off.")
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
