"""A small HTTP server that plays a model hub and misbehaves as told."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def crc32(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"


@dataclass
class Page:
    """What the server does with one path."""

    content: bytes = b""
    status: int = 200
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    """For each of the first answers: how many bytes come before the connection is cut."""
    piece: int = 1 << 16
    gate: threading.Event | None = None
    """The rest of a body is held back until this is set."""
    location: str = ""
    length: bool = True
    """False: no Content-Length."""


class Hub:
    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.together = 0
        self.most_together = 0
        self.lock = threading.Lock()
        self.url = ""

    def add(self, path: str, content: bytes, **changes: Any) -> Page:
        self.pages[path] = Page(content, **changes)
        return self.pages[path]

    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with hub.lock:
                hub.requests.append((self.path, self.headers.get("Range")))
                hub.together += 1
                hub.most_together = max(hub.most_together, hub.together)
            try:
                self._answer(hub.pages.get(self.path, Page(status=404)))
            finally:
                with hub.lock:
                    hub.together -= 1

        def _answer(self, page: Page) -> None:
            if page.status != 200:
                self.send_response(page.status)
                if page.location:
                    self.send_header("Location", page.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = self._start(page)
            if start is None:
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._send(page, start)

        def _start(self, page: Page) -> int | None:
            wanted = self.headers.get("Range")
            if not wanted or not page.ranges:
                return 0
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            return start if start < len(page.content) else None

        def _send(self, page: Page, start: int) -> None:
            body = page.content[start:]
            partial = start > 0
            self.send_response(206 if partial else 200)
            if partial:
                total = len(page.content)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            if page.length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if page.cut_after:
                self.wfile.write(body[: page.cut_after.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                return
            for offset in range(0, len(body), page.piece):
                self.wfile.write(body[offset : offset + page.piece])
                self.wfile.flush()
                if page.gate is not None:
                    page.gate.wait(10)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests are about."""


@contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()
    server = _Server(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
