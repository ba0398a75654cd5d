"""The web studio: files that were built once, served from memory below the top address of the service."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from mien.errors import NotFound
from mien.studio import DIST

if TYPE_CHECKING:
    from fastapi import FastAPI

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from elsewhere."""
FOR_EVER: Final = "public, max-age=31536000, immutable"
"""For files whose names change with their content."""
_TEXT: Final = frozenset({".html", ".js", ".css", ".svg"})

MISSING: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>mien</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head><body>
<h1>The studio is not built</h1>
<p>The service runs; only its web pages are missing. Packages bring them along. In a checkout, with
<a href="https://nodejs.org" rel="noreferrer">Node.js</a> 20.19 or newer:</p>
<pre>cd web
npm install
npm run build</pre>
<p>Then reload this page. <code>make run</code> does all of it. Without the studio there are
<a href="docs">the HTTP API</a> and the command line: <code>mien --help</code>.</p>
</body></html>
"""


@dataclass(frozen=True, slots=True)
class File:
    """One built file."""

    content: bytes
    packed: bytes | None
    """The same with gzip, where that pays."""
    content_type: str
    etag: str
    cache: str


def read_studio(folder: Path) -> dict[str, File]:
    """The built files by their address below the top; empty where nothing was built."""
    if not (folder / "index.html").is_file():
        return {}
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): _file(path, folder) for path in paths}


def _file(path: Path, folder: Path) -> File:
    content = path.read_bytes()
    kind = mimetypes.types_map.get(path.suffix, "application/octet-stream")
    if path.suffix == ".js":
        kind = "text/javascript"  # some systems map it to something that browsers refuse
    if path.suffix in _TEXT:
        kind += "; charset=utf-8"
    packed = gzip.compress(content, 6, mtime=0) if path.suffix in _TEXT else None
    hashed = path.parent != folder
    return File(
        content,
        packed,
        kind,
        f'"{hashlib.sha256(content).hexdigest()[:24]}"',
        FOR_EVER if hashed else "no-cache",
    )


def add_studio(app: FastAPI, folder: Path = DIST) -> None:
    """Serve the studio of a folder; without one, the top address says how to build it."""
    files = read_studio(folder)
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def studio(request: Request) -> Response:
        """The page."""
        if not files:
            return HTMLResponse(
                MISSING, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
            )
        return answer(files["index.html"], request.headers)

    @router.get("/icon.svg")
    def studio_icon(request: Request) -> Response:
        """The sign in the browser's tab."""
        return _found(files, "icon.svg", request)

    @router.get("/assets/{name}")
    def studio_file(name: str, request: Request) -> Response:
        """A script or a style of the page."""
        return _found(files, f"assets/{name}", request)

    app.include_router(router)


def _found(files: Mapping[str, File], name: str, request: Request) -> Response:
    file = files.get(name)
    if file is None:
        raise NotFound(f"The studio has no file {name}; reload the page, it may have been updated.")
    return answer(file, request.headers)


def answer(file: File, headers: Mapping[str, str]) -> Response:
    """The file as the client can take it: packed, or nothing at all if it has it already."""
    out = {
        "ETag": file.etag,
        "Cache-Control": file.cache,
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": POLICY,
    }
    if file.etag in headers.get("if-none-match", ""):
        return Response(status_code=304, headers=out)
    content = file.content
    if file.packed is not None and "gzip" in headers.get("accept-encoding", ""):
        content, out["Content-Encoding"] = file.packed, "gzip"
    return Response(content, media_type=file.content_type, headers=out)
