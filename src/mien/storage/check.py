"""Tries a storage out: puts an object, reads it, signs it, deletes it, and says in plain words what works."""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.errors import StorageError, StorageMissing
from mien.storage.base import Storage, Stored

Outcome = Literal["works", "fails", "not set up", "warning"]
Get = Callable[[str], int | None]
"""Asks an address of the web; gives the status of the answer, None when there is none."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one part of the trial showed."""

    part: str
    outcome: Outcome
    sentence: str


def check(storage: Storage, get: Get | None = None) -> Iterator[Finding]:
    """Make a round trip with a small picture. What was put is deleted, whatever happens in between."""
    try:
        stored = _put(storage)
    except StorageError as error:
        yield Finding("put", "fails", str(error))
        return
    try:
        yield Finding("put", "works", f"A picture of {stored.size} bytes was stored as {stored.url}.")
        yield _open(storage, stored)
        yield from _sign(storage, stored, get or ask)
    finally:
        deleted = _delete(storage, stored)
    yield deleted


def _put(storage: Storage) -> Stored:
    with tempfile.TemporaryDirectory(prefix="mien-check-") as folder:
        path = Path(folder, "mien-storage-check.png")
        path.write_bytes(PICTURE)
        return storage.put_file(path)


def _open(storage: Storage, stored: Stored) -> Finding:
    try:
        with storage.open(stored.url) as opened:
            content = b"".join(opened)
    except StorageError as error:
        return Finding("open", "fails", str(error))
    if content != PICTURE:
        return Finding("open", "fails", "What was read is not what was stored.")
    if opened.content_type != stored.content_type:
        return Finding("open", "warning", f"The content type was lost: it is {opened.content_type} now.")
    return Finding("open", "works", "The same bytes came back, with their content type.")


def _sign(storage: Storage, stored: Stored, get: Get) -> Iterator[Finding]:
    try:
        address = storage.sign(stored.url, 300)
    except StorageError as error:
        yield Finding("sign", "not set up", str(error))
        return
    status = get(address)
    if status == 200:
        yield Finding("sign", "works", "The signed address gives the picture.")
    else:
        said = "does not answer" if status is None else f"answers with status {status}"
        yield Finding("sign", "fails", f"The signed address {said}.")
        return
    if storage.privacy == "public":
        yield Finding("privacy", "warning", "Everybody can read what is stored here: the settings say so.")
    elif get(address.partition("?")[0]) == 200:
        yield Finding("privacy", "warning", "The same address works without its signature: it is public.")
    else:
        yield Finding("privacy", "works", "Without the signature the address is refused.")


def _delete(storage: Storage, stored: Stored) -> Finding:
    try:
        storage.delete(stored.url)
        with storage.open(stored.url) as opened:
            b"".join(opened)
    except StorageMissing:
        return Finding("delete", "works", "The picture is gone.")
    except StorageError as error:
        return Finding("delete", "fails", f"{stored.url} may still be there. {error}")
    return Finding("delete", "fails", f"{stored.url} is still there after it was deleted.")


def ask(address: str) -> int | None:
    """The status that an address answers with; it comes from the storage, so it is not checked as a user's URL is."""
    import httpcore2

    failures = (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError)
    timeout = {"connect": 10.0, "read": 15.0, "write": 15.0}
    try:
        with (
            httpcore2.ConnectionPool() as pool,
            pool.stream("GET", address, extensions={"timeout": timeout}) as response,
        ):
            return int(response.status)
    except failures:
        return None


def _picture() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + b"\x40\x80\xc0" * 8 for _ in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


PICTURE = _picture()
"""A PNG of 8×8 pixels."""
