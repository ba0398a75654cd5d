"""The description of the API, complete: envelopes in the place of the framework's own errors, and how to sign in.

``python -m mien.server.openapi docs/openapi.json`` writes it into a file.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from mien.server.auth import OPEN
from mien.server.schemas import DetectRequest, JobRequest, LiveRequest, TimelineEntry, VerifyRequest
from mien.server.schemas.base import ErrorEnvelope

if TYPE_CHECKING:
    from fastapi import FastAPI

_ENVELOPE: Final = {"$ref": "#/components/schemas/ErrorEnvelope"}
_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "mien_<id>_<secret>"},
    "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "session": {"type": "apiKey", "in": "cookie", "name": "mien_session"},
}
NAMED: Final[tuple[type[BaseModel], ...]] = (
    ErrorEnvelope,
    DetectRequest,
    JobRequest,
    LiveRequest,
    TimelineEntry,
    VerifyRequest,
)
"""Models that descriptions name although no route takes or gives them by itself."""
_EVERYWHERE: Final = {
    401: "Unauthorized",
    403: "Forbidden",
    422: "Invalid",
    429: "Too Many Requests",
    503: "Busy",
}
_OF_BODIES: Final = {400: "Bad Request", 408: "Request Timeout", 413: "Content Too Large"}


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What makes the description of an app, on first use."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            app.openapi_schema = _complete(schema)
        return app.openapi_schema

    return openapi


def rendered() -> str:
    """The description as text, by a service with the settings that it has when nobody sets any."""
    from mien.server.app import create_app
    from mien.service.service import open_service
    from mien.service.settings import ServiceSettings
    from mien.settings import Settings
    from mien.storage import StorageSettings

    with tempfile.TemporaryDirectory() as folder:
        settings = ServiceSettings.model_validate({"data_dir": folder})
        with open_service(
            settings, Settings.model_validate({"cache_dir": folder}), StorageSettings()
        ) as service:
            document = create_app(service).openapi()
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _complete(schema: dict[str, Any]) -> dict[str, Any]:
    parts = schema.setdefault("components", {}).setdefault("schemas", {})
    for model in NAMED:
        for name, part in _parts(model).items():
            parts.setdefault(name, part)
    for name in ("HTTPValidationError", "ValidationError"):
        parts.pop(name, None)
    schema["components"]["securitySchemes"] = _SCHEMES
    for path, methods in schema["paths"].items():
        guarded = path.startswith("/api/") and not path.startswith(OPEN)
        for operation in methods.values():
            _complete_operation(operation, guarded=guarded)
    return schema


def _complete_operation(operation: dict[str, Any], *, guarded: bool) -> None:
    responses = operation["responses"]
    if guarded:
        operation["security"] = [{}, *({name: []} for name in _SCHEMES)]
        for status, phrase in _EVERYWHERE.items():
            responses.setdefault(str(status), {"description": phrase})
    if "requestBody" in operation:
        for status, phrase in _OF_BODIES.items():
            responses.setdefault(str(status), {"description": phrase})
    for status, response in responses.items():
        own = "content" in response and "HTTPValidationError" not in str(response["content"])
        if status.isdigit() and int(status) >= 400 and not own:
            response["content"] = {"application/json": {"schema": _ENVELOPE}}


def _parts(model: type[BaseModel]) -> dict[str, Any]:
    found = model.model_json_schema(ref_template="#/components/schemas/{model}")
    parts: dict[str, Any] = found.pop("$defs", {})
    return {**parts, model.__name__: found}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(rendered(), encoding="utf-8")
