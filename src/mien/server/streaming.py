"""Files of the storage as answers: whole or in ranges, read as the client takes them, with the right headers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from mien.storage import Opened
from mien.storage.base import Item, disposition

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from mien.service.asset_rows import Asset
    from mien.service.assets import Assets

Open = Callable[[int, int | None], Opened]
"""Opens a content from a byte up to another one, or to its end."""

_RANGE: Final = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)
_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')

FILE_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    206: {
        "description": "The part of the file that the header Range asked for",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "The client has the file already"},
}
"""What routes that give out files declare beside ``problems(404, 416, …)``."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file that is to be given out."""

    size: int
    content_type: str
    name: str
    tag: str
    """Names the content: another content has another tag."""


def asset_file(request: Request, assets: Assets, asset: Asset, *, download: bool = False) -> Response:
    """An asset as an answer to ``request``; see ``ranged``."""
    content = Content(asset.size, asset.content_type, asset.name, asset.id)
    return ranged(
        request, content, lambda start, end: assets.open_asset(asset, start, end), download=download
    )


def ranged(request: Request, content: Content, open: Open, *, download: bool = False) -> Response:
    """A file as an answer: 200, 206 for one range, 304 when the client has it, 416 for a range behind its end.

    ``download`` makes browsers save it. Several ranges at once are answered with the whole file, as HTTP allows.
    Raises HTTPException for 416, and what ``open`` raises, before anything is sent.
    """
    headers = _headers(content, download)
    if content.tag in _tags(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=_without(headers, "content-type", "content-disposition"))
    wanted = _range(request.headers, content)
    start, end = wanted or (0, content.size)
    headers["content-length"] = str(end - start)
    if wanted is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{content.size}"
    opened = open(start, end if wanted is not None else None)
    return FileStream(opened, 200 if wanted is None else 206, headers)


class FileStream(StreamingResponse):
    """Sends what was opened, a piece at a time, and closes it however the sending ends."""

    def __init__(self, opened: Opened, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(_pieces(opened), status, headers)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._opened.close()


async def _pieces(opened: Opened) -> AsyncIterator[bytes]:
    pieces = iter(opened)
    while (piece := await to_thread.run_sync(next, pieces, None)) is not None:
        yield piece


def _headers(content: Content, download: bool) -> dict[str, str]:
    item = Item(content.content_type, "", content.name)
    kind, _, names = disposition(item).partition(";")
    return {
        "content-type": content.content_type,
        "content-disposition": ("attachment" if download else kind) + (f";{names}" if names else ""),
        "etag": f'"{content.tag}"',
        "accept-ranges": "bytes",
        # It never changes under its name; but who deletes it wants it gone from shared caches too.
        "cache-control": "private, max-age=3600",
    }


def _range(headers: Mapping[str, str], content: Content) -> tuple[int, int] | None:
    """Start and end of the range that is asked for; None for the whole file. Raises HTTPException (416)."""
    found = _RANGE.fullmatch(headers.get("range", "").strip())
    if found is None or found[1] == found[2] == "":
        return None
    condition = headers.get("if-range")
    if condition is not None and condition.strip() != f'"{content.tag}"':
        return None
    if found[1] == "":
        start, end = max(0, content.size - int(found[2])), content.size
    else:
        start = int(found[1])
        end = min(content.size, int(found[2]) + 1) if found[2] else content.size
        if found[2] and int(found[2]) < start:
            return None
    if start >= end:
        raise HTTPException(416, headers={"Content-Range": f"bytes */{content.size}"})
    return start, end


def _tags(header: str) -> set[str]:
    return set(_TAG.findall(header))


def _without(headers: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}
