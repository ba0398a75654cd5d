"""One HTTP request over the checked network: no proxy, no cookies, no credentials, nothing from the environment."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpcore2

from mien._version import __version__
from mien.errors import FetchError
from mien.fetch.network import CheckedNetwork, Deadline, Late, Resolve, system_resolve
from mien.fetch.settings import FetchSettings
from mien.fetch.urls import Target

AGENT: Final = f"mien/{__version__}"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, header lines by lower case name (the first of each), and the body in pieces."""

    status: int
    headers: Mapping[str, str]
    body: Iterator[bytes]


class Exchange:
    """The connections of one fetch: all its requests share a deadline, and keep connections to one origin open."""

    def __init__(
        self, settings: FetchSettings, context: ssl.SSLContext, resolve: Resolve = system_resolve
    ) -> None:
        self._settings = settings
        network = CheckedNetwork(settings, Deadline(settings.total_seconds), resolve)
        self._pool = httpcore2.ConnectionPool(ssl_context=context, network_backend=network, max_connections=4)

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.close()

    @contextmanager
    def request(
        self,
        target: Target,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Iterator[Answer]:
        """Send one request; the answer's body can be read inside the block.

        Raises UnsafeInput for an address that is not allowed, and FetchError when there is no whole answer.
        Redirects are not followed.
        """
        with (
            _told(target),
            self._pool.stream(
                method,
                httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
                headers=_lines(target, headers or {}, content),
                content=content,
                extensions={"timeout": self._timeouts()},
            ) as response,
        ):
            lines: dict[str, str] = {}
            for name, value in response.headers:
                lines.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
            yield Answer(response.status, lines, response.iter_stream())

    def _timeouts(self) -> dict[str, float]:
        idle = self._settings.idle_seconds
        return {"connect": self._settings.connect_seconds, "read": idle, "write": idle, "pool": idle}


def trusted(settings: FetchSettings) -> ssl.SSLContext:
    """The authorities whose certificates count: those of the system, or of the file in the settings."""
    if settings.ca_file is not None:
        return ssl.create_default_context(cafile=str(settings.ca_file))
    return httpcore2.default_ssl_context()


def _lines(target: Target, headers: Mapping[str, str], content: bytes | None) -> list[tuple[str, str]]:
    host = target.origin.partition("://")[2]
    # A compressed body could unpack to any size; the files that are fetched are compressed already.
    lines = [("Host", host), ("User-Agent", AGENT), ("Accept", "*/*"), ("Accept-Encoding", "identity")]
    if content is not None:
        lines.append(("Content-Length", str(len(content))))
    return [*lines, *headers.items()]


@contextmanager
def _told(target: Target) -> Iterator[None]:
    """Turn what the HTTP library raises into one sentence that names the URL and nothing behind it."""
    try:
        yield
    except Late:
        raise FetchError(f"{target.shown} was not fetched within the time that a fetch may take.") from None
    except httpcore2.ConnectTimeout:
        raise FetchError(f"{target.shown} did not accept a connection in time; try again later.") from None
    except httpcore2.ConnectError as error:
        reason = "its certificate is not valid" if _is_certificate(error) else "no connection was made"
        raise FetchError(f"{target.shown} could not be fetched: {reason}.") from None
    except httpcore2.TimeoutException:
        raise FetchError(f"{target.shown} stopped sending; try again later.") from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError):
        raise FetchError(f"{target.shown} broke off its answer, or gave one that is not HTTP.") from None


def _is_certificate(error: httpcore2.ConnectError) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in error.args)
