"""Downloads one file from a fixed address: streamed, limited in size, resumed where a download was cut off.

Proxies are taken from the environment and certificates from the system, as ``urllib`` does.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from mien._version import __version__
from mien.models.fetchers.base import FetchFailed, Report, Unreachable, raise_if_disk, shortened

CHUNK = 1 << 18
IDLE_SECONDS = 30.0
"""A connection that brings nothing for so long is given up."""
ATTEMPTS = 4
"""Connections in a row that may fail without having brought anything."""
PAUSE_SECONDS = 0.5
"""Before the second attempt; doubled before each further one."""
LIMIT = 8 << 30
"""Bytes, for files whose size is not known."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to anything else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise FetchFailed("the server redirects to an address without encryption")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def download(
    url: str, part: Path, *, size: int | None, report: Report, idle_seconds: float = IDLE_SECONDS
) -> None:
    """Fetch ``url`` into ``part``, going on after what ``part`` already holds.

    ``size`` is the expected number of bytes, where known. Cut connections are taken up again while they bring
    anything. Whether the bytes are right is for the caller to check. Raises FetchFailed with a short reason.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise FetchFailed("the address is not http or https")
    failures = 0
    while True:
        before = _size(part)
        try:
            _transfer(url, part, size, report, idle_seconds)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError):
                raise_if_disk(error, part.parent)
            failures = 1 if _size(part) > before else failures + 1
            if failures >= ATTEMPTS or _is_hopeless(error):
                raise _failure(error) from None
            time.sleep(PAUSE_SECONDS * 2 ** (failures - 1))
        else:
            return


def download_small(url: str, limit: int = 4096) -> bytes:
    """Fetch a small text file whole; raises FetchFailed."""
    try:
        with _open(urllib.request.Request(url, headers=_headers()), IDLE_SECONDS) as response:
            return response.read(limit)
    except (OSError, http.client.HTTPException) as error:
        raise _failure(error) from None


def _transfer(url: str, part: Path, size: int | None, report: Report, idle_seconds: float) -> None:
    """One connection. Raises OSError or HTTPException for what may be better next time, FetchFailed else."""
    have = _size(part)
    if size is not None and have == size:
        return
    if size is not None and have > size:
        part.unlink()
        have = 0
    request = urllib.request.Request(url, headers=_headers())
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = _open(request, idle_seconds)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: what is here is as long as the file, or longer; start again
            raise
        part.unlink()
        raise ConnectionResetError("the server does not take up the download") from None
    with response:
        resumed = response.status == 206 and _starts_at(response, have)
        _receive(response, part, have if resumed else 0, size, report)


def _receive(
    response: http.client.HTTPResponse, part: Path, start: int, size: int | None, report: Report
) -> None:
    announced = response.headers.get("Content-Length")
    end = start + int(announced) if announced and announced.isdigit() else None
    if size is not None and end is not None and end != size:
        raise FetchFailed(f"the server has a file of {end:,} bytes instead of {size:,}")
    limit, done = size or LIMIT, start
    with part.open("ab" if start else "wb") as sink:
        while chunk := response.read1(CHUNK):
            done += len(chunk)
            if done > limit:
                sink.close()
                part.unlink()
                raise FetchFailed(f"the server sends more than {limit:,} bytes")
            sink.write(chunk)
            report(done)
    if done < (end or size or 0):
        raise ConnectionResetError("the connection was cut off")


def _open(request: urllib.request.Request, idle_seconds: float) -> http.client.HTTPResponse:
    opener = urllib.request.build_opener(_Redirects)
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=idle_seconds)
    except urllib.error.HTTPError as error:
        # Asking again helps only where the server says that it is busy.
        if error.code in (408, 416, 425, 429, 500, 502, 503, 504):
            raise
        raise FetchFailed(f"the server answers {error.code} {error.reason}") from None
    return response


def _headers() -> dict[str, str]:
    return {"User-Agent": f"mien/{__version__}", "Accept-Encoding": "identity"}


def _starts_at(response: http.client.HTTPResponse, offset: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _is_hopeless(error: Exception) -> bool:
    """True for an unknown host and for a certificate that is not trusted."""
    reason = getattr(error, "reason", None)
    return isinstance(reason, (socket.gaierror, ssl.SSLCertVerificationError))


def _failure(error: Exception) -> FetchFailed:
    no_answer = isinstance(error, urllib.error.URLError) and not isinstance(error, urllib.error.HTTPError)
    return (Unreachable if no_answer else FetchFailed)(_reason(error))


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        reason = error.reason
        return shortened(str(getattr(reason, "strerror", None) or reason), 100)
    return shortened(str(error) or type(error).__name__, 100)
