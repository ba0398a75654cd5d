"""A network between a consumer and its gateway that can be cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Passes bytes on, both ways. While ``down`` it cuts all connections; ``mute``: answers are swallowed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.down = False
        self.mute = False
        self.cuts = 0
        """Connections that were refused or cut."""
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def cut(self) -> None:
        """Break all connections and let no new one through."""
        self.down = True
        with self._lock:
            for each in self._open:
                _shut(each)
            self._open.clear()

    def restore(self) -> None:
        self.down = self.mute = False

    def close(self) -> None:
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                if self.down:
                    self.cuts += 1
                    _shut(near)
                    continue
                far = socket.create_connection(("127.0.0.1", self.port))
                with self._lock:
                    self._open |= {near, far}
                threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if is_answer and self.mute:
                    self.cuts += 1
                    break
                sink.sendall(data)
        _shut(source)
        _shut(sink)


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        each.close()


@contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    found = Proxy(port)
    try:
        yield found
    finally:
        found.close()
