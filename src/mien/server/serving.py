"""Runs an app on a socket until the process is asked to end: what is under way is finished, nothing hangs."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mien.errors import MienError

if TYPE_CHECKING:
    import asyncio

    from fastapi import FastAPI

    from mien.service.settings import ServiceSettings

HEAD_SECONDS: Final = 20.0
"""Time in which the head of a request has to come."""
HEAD_BYTES: Final = 64 << 10
"""Largest head of a request, and largest piece of one that is still to be understood."""
KEEP_ALIVE: Final = 30
"""Seconds for which a connection without requests is kept."""
LONGEST_END: Final = 10.0
"""Seconds for requests to finish when the process ends; streams of events are cut then."""
BACKLOG: Final = 1024
MESSAGE_BYTES: Final = 16 << 20
"""Largest message of a websocket: a picture."""


class AddressRefused(MienError):
    """The address to listen on is in use, or not one of this machine's."""

    code = "address_refused"
    exit_code = 1


def listen(host: str, port: int) -> socket.socket:
    """A socket on an address, which nobody else has. Raises AddressRefused; ``port`` 0 takes any free one."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise AddressRefused(
            f"{host} is not an address of this machine; choose another with --host."
        ) from None
    family, _, _, _, address = found[0]
    # The protocol is named, or asyncio leaves the delay on by which small answers wait 40 ms for each other.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise AddressRefused(_reason(error, host, port)) from None
    sock.set_inheritable(False)
    return sock


def address_of(sock: socket.socket) -> str:
    """The address of a socket as a browser takes it."""
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: FastAPI,
    sock: socket.socket,
    settings: ServiceSettings,
    *,
    on_ready: Callable[[], None] = lambda: None,
    on_end: Callable[[], None] = lambda: None,
) -> None:
    """Answer requests until SIGINT or SIGTERM; a second one ends at once.

    ``on_ready`` is called when requests are answered, ``on_end`` as soon as the end was asked for (from a signal
    handler: it must only set things).
    """
    config = uvicorn.Config(
        app,
        http=Protocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, int(min(settings.shutdown_seconds, LONGEST_END))),
        ws_max_size=MESSAGE_BYTES,
        lifespan="on",
    )
    Server(config, on_ready, on_end).run(sockets=[sock])


class Server(uvicorn.Server):
    """uvicorn's server; asked to end, it returns instead of raising the signal once more."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], on_end: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_end = on_end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer requests."""
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; asked a second time, end at once."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        self._on_end()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that ask a program to end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol with a limit for heads in time and size: its parser keeps whatever comes, however slowly."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._kept = 0
        self._pending = 0
        self._is_websocket = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        self._pending += len(data)
        super().data_received(data)
        if self._pending > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(_TOO_LARGE)
        if self._has_request() or self._is_websocket:
            self._stop_timer()
        elif self._head_timer is None:
            self._await_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._kept = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the address was read."""
        self._keep(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header was read, before the body or behind it."""
        self._keep(len(name) + len(value) + len(b": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head was read."""
        self._pending = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body was read."""
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request was read."""
        self._pending = 0
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The connection is no longer one of requests."""
        self._is_websocket = True
        super().handle_websocket_upgrade()
        # A head that is none for websockets leaves them waiting for another one, for ever.
        if not getattr(self.transport.get_protocol(), "handshake_initiated", True):
            self.send_400_response("Invalid websocket handshake received.")

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_timer()
        super().connection_lost(exc)

    def _keep(self, count: int) -> None:
        self._pending = 0
        self._kept += count
        if self._kept > HEAD_BYTES:
            raise ValueError(_TOO_LARGE)  # which the parser takes for a request that is none

    def _has_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._let_go)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _let_go(self) -> None:
        self._head_timer = None
        if not self._has_request() and not self.transport.is_closing():
            self.transport.close()


_TOO_LARGE: Final = "The head of the request is too large."


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use by another program; choose another with --port."
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}; choose one above 1023 with --port."
    return f"The address {host} cannot be listened on: {error.strerror}; choose another with --host."
