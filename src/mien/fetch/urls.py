"""Reads a URL into the parts that are dialled, and refuses what has no place in the address of a media file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from mien.errors import UnsafeInput
from mien.fetch.addresses import may_be_dialled, parse
from mien.fetch.settings import FetchSettings

PORTS: Final = {"https": 443, "http": 80}
LONGEST: Final = 8192
"""Characters; servers refuse longer ones."""

# Parsers of different makers read these differently, which is how checks are got round.
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f\\<>\"{}|^`]|[\u0080-\u00a0\u2000-\u200f\u2028-\u202f\ufeff]")
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_SAFE: Final = "/:@!$&'()*+,;=?%~-._[]"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that has been read: what is dialled is exactly what was checked."""

    scheme: str
    host: str
    """Lower case ASCII; an IPv6 address without brackets."""
    port: int
    path: str
    """Path and query as they are sent, percent-encoded."""

    @property
    def origin(self) -> str:
        """Scheme, host and port where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == PORTS[self.scheme] else f":{self.port}")

    @property
    def url(self) -> str:
        """The whole URL again."""
        return self.origin + self.path

    @property
    def shown(self) -> str:
        """The URL for messages: without its query, which often holds a signature, and not too long."""
        path = self.path.partition("?")[0]
        return self.origin + (path if len(path) <= 60 else f"{path[:30]}…{path[-25:]}")


def read_url(url: str, settings: FetchSettings) -> Target:
    """Read an absolute URL. Raises UnsafeInput when its form, scheme, port or host is not allowed."""
    if len(url) > LONGEST:
        raise UnsafeInput(f"The URL is longer than {LONGEST} characters.")
    if _AMBIGUOUS.search(url):
        raise UnsafeInput("The URL holds white space, a backslash or another character that no URL has.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UnsafeInput("The URL cannot be read: its host or port is malformed.") from None
    scheme = parts.scheme.lower()
    if scheme not in settings.schemes:
        allowed = " and ".join(settings.schemes)
        raise UnsafeInput(f"URLs may begin with {allowed} only; this one begins with {scheme or 'nothing'}.")
    if "@" in parts.netloc:
        raise UnsafeInput("The URL holds a user name or a password; they are not accepted in URLs.")
    if port is None:
        port = PORTS[scheme]
    if port not in settings.ports:
        allowed = ", ".join(str(port) for port in settings.ports)
        raise UnsafeInput(f"The URL names port {port}; allowed are {allowed}.")
    path = quote(parts.path or "/", safe=_SAFE)
    query = "?" + quote(parts.query, safe=_SAFE) if parts.query else ""
    return Target(scheme, _host(parts.hostname or ""), port, path + query)


def refuse_private(target: Target, settings: FetchSettings) -> None:
    """Refuse what can be seen not to be public before any name is looked up: for answers that are given at once.

    Names that lead to private addresses are refused when they are dialled. Raises UnsafeInput.
    """
    address = parse(target.host)
    if address is not None:
        if not may_be_dialled(address, settings.allowed_networks):
            raise UnsafeInput("The URL names an address that is not public.")
        return
    labels = target.host.rstrip(".").split(".")
    # Systems read numbers in many notations as IPv4 addresses; no name of the internet ends in one.
    if labels[-1] == "localhost" or _NUMBER.fullmatch(labels[-1]):
        raise UnsafeInput("The URL names an address that is not public.")


def redirected(target: Target, location: str, settings: FetchSettings) -> Target:
    """Where a redirect leads. Raises UnsafeInput as ``read_url`` does, and for https that becomes http."""
    try:
        joined = urljoin(target.url, location.strip(" \t"))
    except ValueError:
        raise UnsafeInput(f"{target.shown} redirects to something that is no URL.") from None
    try:
        found = read_url(joined, settings)
    except UnsafeInput as error:
        raise UnsafeInput(f"{target.shown} redirects to a place that is not allowed. {error}") from None
    if target.scheme == "https" and found.scheme != "https":
        raise UnsafeInput(f"{target.shown} redirects from https to http, which is not followed.")
    return found


def _host(host: str) -> str:
    """The host in lower case ASCII; international names in their encoded form."""
    address = parse(host)
    if address is not None:
        return str(address)
    if isinstance(parse(host.partition("%")[0]), IPv6Address):
        raise UnsafeInput("The URL names a network interface, which is not accepted.")
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise UnsafeInput("The host of the URL is not a name.") from None
    if not _HOST_NAME.fullmatch(name.lower()):
        raise UnsafeInput("The host of the URL is not a name." if host else "The URL names no host.")
    return name.lower()
