"""What every storage can do, and the small things that all of them share."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol
from urllib.parse import quote

from mien.errors import InputError, StorageRefused
from mien.media import formats
from mien.media.sniff import sniff

Privacy = Literal["machine", "private", "public"]
"""Who can read an object: those on this machine; holders of credentials or a signed URL; everybody."""

CHUNK: Final = 8 << 20
"""Bytes that are sent or read at a time."""
CONCURRENCY: Final = 3
"""Parts of one upload that are under way at once; with ``CHUNK`` this bounds the memory that it takes."""
HOUR: Final = 3600

Announce = Callable[[str], None]
"""Told the URL of an object before anything is written under it, so that a crash leaves nothing unknown behind."""

_KEY = re.compile(r"[A-Za-z0-9._@=+-]+(/[A-Za-z0-9._@=+-]+)*")
_SHOWN_BY_BROWSERS: Final = ("image/", "video/", "audio/")


@dataclass(frozen=True, slots=True)
class Stored:
    """An object in a storage."""

    url: str
    """Its name: scheme, bucket (or folder, or account) and key. Not an address of the web."""
    size: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Item:
    """What is known of a file before it is stored."""

    content_type: str
    ending: str
    """Without the dot; empty when there is none."""
    filename: str | None = None
    """The name that a browser suggests for it."""
    size: int | None = None
    """None while it is still being made."""


@dataclass(frozen=True, slots=True)
class PutTicket:
    """The right to put one object, for somebody without credentials."""

    url: str
    """Of the object that will be."""
    address: str = field(repr=False)
    """Where a PUT request with the bytes goes."""


@dataclass
class Opened:
    """The content of an object, to be read once, in a ``with`` block."""

    size: int
    """Of the whole object, in bytes."""
    content_type: str
    chunks: Iterator[bytes] = field(repr=False)
    release: Callable[[], None] = field(default=lambda: None, repr=False)
    """Called at the end of the block."""

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the reading holds."""
        self.release()


class Storage(Protocol):
    """One place for objects. Safe to use from many threads.

    All methods raise StorageError (which may go away), StorageRefused (which will not) or StorageMissing.
    """

    @property
    def name(self) -> str:
        """The name of the provider in ``STORAGE_PROVIDER``."""

    @property
    def place(self) -> str:
        """Where objects go, as the beginning of their URLs."""

    @property
    def privacy(self) -> Privacy:
        """Who can read what is stored here."""

    def refusal(self, item: Item) -> str | None:
        """Why a file of this kind cannot be stored here, as a sentence; None when it can."""

    def put_file(self, path: Path, filename: str | None = None, announce: Announce | None = None) -> Stored:
        """Store a file under a random key; the content type is that of its content.

        A storage that names its objects itself does not call ``announce``.
        """

    def put_stream(self, chunks: Iterable[bytes], item: Item) -> Stored:
        """Store bytes as they come; when ``chunks`` raises, nothing is left behind."""

    def open(self, url: str, start: int = 0, end: int | None = None) -> Opened:
        """The bytes from ``start`` up to ``end``, read as they are asked for."""

    def sign(self, url: str, seconds: int = HOUR) -> str:
        """An https address at which anybody can read the object for so long."""

    def sign_put(self, ending: str = "", seconds: int = HOUR) -> PutTicket | None:
        """Let anybody put one object of a new random key for so long; None where a storage cannot.

        Neither size nor type nor content of what is put is certain: it is to be read and checked.
        """

    def delete(self, url: str) -> None:
        """Remove an object; one that is not there is no error."""


def describe(path: Path, filename: str | None = None) -> Item:
    """What ``path`` is by its content; what is not known media is stored as plain bytes."""
    size = path.stat().st_size if path.is_file() else None
    try:
        format = sniff(path).format
    except InputError:
        if size is None:
            raise
        return Item(formats.UNKNOWN, _plain_ending(path), filename or path.name, size)
    return Item(formats.content_type(format), formats.extension(format), filename or path.name, size)


def random_key(prefix: str, ending: str) -> str:
    """A key that nobody can guess (160 bits)."""
    return f"{prefix}{secrets.token_hex(20)}" + (f".{ending}" if ending else "")


def check_key(key: str) -> str:
    """The key, if it is one that means the same to every storage. Raises StorageRefused otherwise."""
    if len(key) > 512 or not _KEY.fullmatch(key) or any(part in (".", "..") for part in key.split("/")):
        raise StorageRefused(f"{key[:80]!r} is not a key of an object.")
    return key


def key_of(url: str, place: str) -> str:
    """The key in the URL of an object of the storage at ``place``. Raises StorageRefused for others."""
    if not url.startswith(place + "/"):
        raise StorageRefused(f"{url[:120]} is not in {place}.")
    return check_key(url[len(place) + 1 :])


def disposition(item: Item) -> str:
    """The Content-Disposition of an object: pictures, videos and sounds are shown, all else is saved.

    Names with other than plain characters are given a second time, percent-encoded (RFC 6266).
    """
    kind = "inline" if item.content_type.startswith(_SHOWN_BY_BROWSERS) else "attachment"
    if not item.filename:
        return kind
    name = re.sub(r"[\x00-\x1f\x7f/\\]", "_", item.filename)[-150:]
    plain = re.sub(r'[^\x20-\x7e]|["%]', "_", name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'{kind}; filename="{plain}"{extended}'


def check_seconds(seconds: int) -> int:
    """Raise StorageRefused unless a signed URL can be valid for so long (S3 and GCS: a week)."""
    if not 1 <= seconds <= 7 * 24 * HOUR:
        raise StorageRefused("A signed URL is valid for 1 second to 7 days.")
    return seconds


def _plain_ending(path: Path) -> str:
    ending = path.suffix.lstrip(".").lower()
    return ending if re.fullmatch(r"[a-z0-9]{1,8}", ending) else ""
