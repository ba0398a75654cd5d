"""Whether the process lives, and whether it is ready for requests: for what watches it."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

router = APIRouter(include_in_schema=False)


@router.get("/livez")
async def livez() -> PlainTextResponse:
    """The process answers; nothing else is looked at."""
    return PlainTextResponse("ok\n")
