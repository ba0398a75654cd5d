"""Servers on this machine that answer with any bytes at all, in pieces, with pauses, or never."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


def png(width: int = 2, height: int = 2) -> bytes:
    """A small whole PNG; its header may tell of any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = (
        b"".join(b"\0" + b"\x40\x80\xc0" * width for _ in range(height)) if width * height < 1000 else b"\0"
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass
class Page:
    """Bytes that are sent one piece after the other; ``wait`` seconds before each further piece."""

    pieces: list[bytes]
    wait: float = 0.0
    keep: bool = False
    """The connection stays open afterwards, and nothing more comes."""
    again: bool = False
    """The last piece is sent for ever."""


@dataclass
class Server:
    port: int = 0
    scheme: str = "http"
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def add(
        self, path: str, *pieces: bytes, wait: float = 0.0, keep: bool = False, again: bool = False
    ) -> str:
        self.pages[path] = Page(list(pieces), wait, keep, again)
        return self.url(path)

    def redirect(self, path: str, location: str, status: str = "302 Found") -> str:
        return self.add(path, answer(b"", f"Location: {location}", status=status))


@contextmanager
def serving(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Server]:
    listener = socket.create_server((host, 0))
    server = Server(listener.getsockname()[1], "http" if context is None else "https")
    stopped = threading.Event()

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(5)
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            while not stopped.is_set() and _answer_one(server, connection, stopped):
                pass
            connection.close()

    def accept() -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        stopped.set()
        listener.close()


def _answer_one(server: Server, connection: socket.socket, stopped: threading.Event) -> bool:
    request = b""
    while b"\r\n\r\n" not in request:
        more = connection.recv(65536)
        if not more:
            return False
        request += more
    server.requests.append(request)
    page = server.pages.get(request.split(b" ")[1].decode(), Page([answer(b"", status="404 Not Found")]))
    for number, piece in enumerate(page.pieces):
        if number and page.wait:
            time.sleep(page.wait)
        connection.sendall(piece)
    while page.again and not stopped.is_set():
        connection.sendall(page.pieces[-1])
        time.sleep(page.wait)
    if page.keep:
        stopped.wait(5)
    return page.pieces[-1].startswith(b"HTTP/1.1") and b"close" not in page.pieces[-1].lower()
