"""The network as a fetch may use it: names are looked up once, every address is checked, checked ones are dialled.

The HTTP library sees host names only, so that the Host line, the TLS server name and the check of the
certificate stay those of the name. What it dials is decided here, and there is no second look-up in between
that could give another answer.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpcore2

from mien.errors import FetchError, UnsafeInput
from mien.fetch.addresses import Address, may_be_dialled, parse
from mien.fetch.settings import FetchSettings

Resolve = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a host; raises OSError as ``socket.getaddrinfo`` does."""

_MOST_ADDRESSES: Final = 8
"""So many are tried at most; a name with hundreds of them would use up the time."""


class Late(Exception):
    """The time of a whole fetch is over."""


class Deadline:
    """The end of one fetch; every wait in it ends there at the latest."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def within(self, seconds: float | None = None) -> float:
        """Seconds to wait: ``seconds``, or less when the end is nearer. Raises Late at the end."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise Late
        return left if seconds is None else min(seconds, left)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn a time-out at the end of the fetch into Late."""
        try:
            yield
        except httpcore2.TimeoutException:
            self.within()
            raise


def system_resolve(host: str, port: int) -> list[str]:
    """The addresses that the system knows of ``host``, each once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class CheckedNetwork(httpcore2.NetworkBackend):
    """A network backend for one fetch that dials allowed addresses only."""

    def __init__(
        self, settings: FetchSettings, deadline: Deadline, resolve: Resolve = system_resolve
    ) -> None:
        self._settings = settings
        self._deadline = deadline
        self._resolve = resolve
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to ``host``: the first of its addresses that answers, if all of them are allowed."""
        addresses = self.addresses(host, port)[:_MOST_ADDRESSES]
        end = time.monotonic() + self._settings.connect_seconds
        failure: Exception = httpcore2.ConnectTimeout()
        for address in addresses:
            seconds = self._deadline.within(end - time.monotonic())
            if seconds <= 0:
                break
            try:
                stream = self._inner.connect_tcp(str(address), port, seconds, local_address, socket_options)
                return _TimedStream(stream, self._deadline)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Always refused."""
        raise UnsafeInput("A local socket is not an address to fetch from.")

    def addresses(self, host: str, port: int) -> list[Address]:
        """Look ``host`` up. Raises UnsafeInput unless there are addresses and all of them are allowed.

        One bad address among good ones refuses them all: which one is dialled would be up to the sender.
        An unknown name gets the same answer as a private one, so that nobody can list a private network.
        """
        found = [parse(text) for text in self._look_up(host, port)]
        allowed = self._settings.allowed_networks
        good = [address for address in found if address is not None and may_be_dialled(address, allowed)]
        if not good or len(good) < len(found):
            raise UnsafeInput(
                f"The host {host} does not lead to a public address: it is unknown, or lies in a private network "
                "that MIEN_FETCH_ALLOWED_NETWORKS does not name."
            )
        return good

    def _look_up(self, host: str, port: int) -> Sequence[str]:
        """Addresses of ``host`` within the time for look-ups, which the system itself does not limit."""
        answers: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

        def work() -> None:
            try:
                answers.put(self._resolve(host, port))
            except (OSError, UnicodeError) as error:
                answers.put(error if isinstance(error, OSError) else OSError("not a name"))

        threading.Thread(target=work, name="fetch-dns", daemon=True).start()
        try:
            answer = answers.get(timeout=self._deadline.within(self._settings.dns_seconds))
        except queue.Empty:
            raise FetchError(f"The host {host} could not be looked up in time; try again later.") from None
        if not isinstance(answer, OSError):
            return answer
        if isinstance(answer, socket.gaierror) and answer.errno == socket.EAI_AGAIN:
            raise FetchError(f"The host {host} cannot be looked up just now; try again later.") from None
        return []


class _TimedStream(httpcore2.NetworkStream):
    """A connection whose every operation ends with the fetch, so that dripping bytes do not prolong it."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._deadline.told():
            return self._stream.read(max_bytes, self._deadline.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._deadline.told():
            self._stream.write(buffer, self._deadline.within(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        with self._deadline.told():
            seconds = self._deadline.within(timeout)
            stream = self._stream.start_tls(ssl_context, server_hostname, seconds)
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
