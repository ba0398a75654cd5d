"""The description of the API, for programs and for people; nothing of it comes from another host."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from mien.server.documents import page

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
def openapi(request: Request) -> JSONResponse:
    """The description that programs read."""
    return JSONResponse(_schema(request))


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """The same as a page."""
    return HTMLResponse(page(_schema(request)))


def _schema(request: Request) -> dict[str, Any]:
    schema: dict[str, Any] = request.app.openapi()
    return schema
