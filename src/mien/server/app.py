"""The HTTP server: one app for one service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from mien._version import __version__
from mien.server.auth import Gate
from mien.server.errors import add_handlers, problems
from mien.server.metrics import HttpMetrics, registry_of
from mien.server.middleware import API, Bodies, Failures, Heads, Outermost
from mien.server.openapi import describe
from mien.server.studio import add_studio

if TYPE_CHECKING:
    from fastapi.routing import APIRoute

    from mien.service.service import Service

ROUTES: Final = (
    "process",
    "jobs",
    "results",
    "archives",
    "drafts",
    "events",
    "batches",
    "assets",
    "files",
    "faces",
    "preview",
    "live",
    "estimate",
    "verify",
    "catalogue",
    "models",
    "usage",
    "webhooks",
    "keys",
    "operation",
    "benchmark",
)
"""Modules of ``mien.server.routes`` whose ``router`` is served below ``/api/v1``."""
GATEWAY: Final = ("tasks", "comm", "face_swap", "status", "identity")
"""Modules of ``mien.server.gateway`` whose ``router`` has whole addresses."""
OUTSIDE: Final = ("probes", "documents")
"""Modules whose ``router`` is served at the top."""
THREADS: Final = 100
"""Requests that may wait for something at once; each holds one thread."""
SENT: Final = ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Prefer", "Range")
SEEN: Final = (
    "Content-Disposition",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "Retry-After",
    "X-Request-Id",
)


def create_app(service: Service) -> FastAPI:
    """The app over a service, which it does not open or close; two apps share nothing."""
    registry = registry_of(service)
    app = FastAPI(
        title="mien",
        version=__version__,
        summary="Swap, edit, debug and anonymise faces in pictures and video.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
        responses=problems(500),
    )
    app.state.service = service
    app.state.registry = registry
    add_handlers(app)
    for name in ROUTES:
        app.include_router(_router(name), prefix=API)
    for name in OUTSIDE:
        app.include_router(_router(name))
    for name in GATEWAY:
        app.include_router(_router(name, "gateway"))
    if service.settings.studio:
        add_studio(app)
    app.user_middleware = _layers(app, service, HttpMetrics(registry))
    app.openapi = describe(app)  # type: ignore[method-assign]
    return app


def _layers(app: FastAPI, service: Service, metrics: HttpMetrics) -> list[Middleware]:
    """From the outside to the inside."""
    layers: list[Any] = [Middleware(Outermost, service, metrics)]
    if service.settings.cors_origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(service.settings.cors_origins),
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=[*SENT, "X-Api-Key", "X-Mien-Preview-Group", "X-Request-Id"],
                expose_headers=list(SEEN),
            )
        )
    layers += [Middleware(Failures, service)]
    layers += [Middleware(Gate, service), Middleware(Bodies, service), Middleware(Heads, app.router.routes)]
    return layers


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def _router(name: str, package: str = "routes") -> APIRouter:
    router: APIRouter = import_module(f"mien.server.{package}.{name}").router
    return router


def _operation_id(route: APIRoute) -> str:
    return route.name
