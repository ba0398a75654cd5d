"""Every failure becomes one envelope: ``{"error": {"code", "message", "details", "request_id"}}``.

Nothing of the machine gets out: no traceback, no path, no address of a database. What is no fault of the request is
logged with the id that the client is told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mien.errors import DatabaseUnavailable, MienError, OutOfMemory, StorageQuotaExceeded, TryLater
from mien.server.schemas.base import ErrorBody, ErrorEnvelope, FieldProblem
from mien.server.visit import visit_of

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

    from mien.service.logs import Log

AGAIN: Final = 5.0
"""Retry-After of failures that may go away, where nothing better is known; seconds."""
INTERNAL: Final = "Something went wrong inside the service; its log says more under this request id."
DATABASE: Final = "The service cannot reach its database at the moment; try again later."
_CODES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("bad_request", "The request cannot be understood."),
    404: ("not_found", "There is nothing at this address."),
    405: (
        "method_not_allowed",
        "This address does not take this method; the header Allow names those it takes.",
    ),
    406: ("not_acceptable", "The request accepts no form in which there is an answer."),
    408: ("timed_out", "The request did not arrive in time."),
    413: ("upload_too_large", "The request has more bytes than the service takes."),
    415: ("unsupported_media", "The Content-Type of the request is not one that this address takes."),
    416: ("range_not_satisfiable", "The file is shorter than the range that was asked for."),
    422: ("invalid_input", "The request cannot be used as it is."),
}
_PATH: Final = re.compile(r"(?<![\w:/.])(?:file://)?/(?:[^\s/'\"<>,;]+/)+([^\s/'\"<>,;]*)")


def add_handlers(app: FastAPI) -> None:
    """Give the app an answer to everything that routes raise."""
    app.add_exception_handler(MienError, _mien_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route declares as ``responses``: the envelope for each of these statuses."""
    return {status: {"model": ErrorEnvelope, "description": _description(status)} for status in statuses}


def answer(error: Exception, request_id: str, log: Log) -> JSONResponse:
    """The answer to an error, which is logged when it is no fault of the request."""
    if isinstance(error, MemoryError) and not isinstance(error, MienError):
        error = OutOfMemory("There was not enough memory for this request.")
    if not isinstance(error, MienError):
        log.error("request_failed", request_id=request_id, exc_info=error)
        return envelope(500, "internal", INTERNAL, request_id)
    if error.http_status >= 500 and not isinstance(error, TryLater | StorageQuotaExceeded):
        log.warning("request_failed", request_id=request_id, code=error.code, reason=str(error))
    message = DATABASE if isinstance(error, DatabaseUnavailable) else _public(str(error))
    details = [FieldProblem(field=field, message=_public(said)) for field, said in error.details]
    return envelope(error.http_status, error.code, message, request_id, details, _headers(error))


def envelope(
    status: int,
    code: str,
    message: str,
    request_id: str,
    details: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error envelope as an answer."""
    body = ErrorBody(code=code, message=message, details=list(details), request_id=request_id)
    content = ErrorEnvelope(error=body).model_dump(mode="json")
    return JSONResponse(content, status, {"Cache-Control": "no-store", **(headers or {})})


async def _mien_error(request: Request, error: Exception) -> JSONResponse:
    return answer(error, visit_of(request.scope).request_id, request.app.state.service.log)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    error = cast(HTTPException, error)
    if isinstance(error.__cause__, MienError):
        # Raised while the body was read, and dressed up by the framework.
        return await _mien_error(request, error.__cause__)
    code, message = _CODES.get(error.status_code, ("bad_request", str(error.detail)))
    return envelope(
        error.status_code, code, message, visit_of(request.scope).request_id, (), dict(error.headers or {})
    )


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    found = cast(RequestValidationError, error).errors()
    details = [FieldProblem(field=_field(item["loc"]), message=_sentence(item["msg"])) for item in found]
    first = details[0] if details else FieldProblem(field="", message="It cannot be understood.")
    where = f"The field {first.field} is wrong" if first.field else "The request is wrong"
    message = f"{where}: {first.message}"
    return envelope(422, "invalid_input", message, visit_of(request.scope).request_id, details)


def _headers(error: MienError) -> dict[str, str]:
    if isinstance(error, TryLater):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    if error.http_status == 401:
        return {"WWW-Authenticate": 'Bearer realm="mien"'}
    return {"Retry-After": f"{AGAIN:.0f}"} if error.http_status in (429, 503) else {}


def _public(sentence: str) -> str:
    """A sentence without the folders of this machine; names of files stay."""
    return _PATH.sub(r"\1", sentence)


def _field(place: Sequence[Any]) -> str:
    """The path of a field as clients write it: without the part of the request that it is in."""
    parts = [str(part) for part in place]
    return ".".join(
        parts[1:] if parts and parts[0] in ("body", "query", "path", "header", "cookie") else parts
    )


def _sentence(text: str) -> str:
    text = text.removeprefix("Value error, ").strip()
    return (text[:1].upper() + text[1:]).rstrip(".") + "."


def _description(status: int) -> str:
    from http import HTTPStatus

    return HTTPStatus(status).phrase
