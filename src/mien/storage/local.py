"""Objects as files in one folder of this machine, readable by its user only."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal

from mien.errors import OutputError, StorageError, StorageMissing, StorageRefused
from mien.media import formats
from mien.media.atomic import replacing
from mien.storage.base import (
    HOUR,
    Announce,
    Item,
    Opened,
    PutTicket,
    Stored,
    check_key,
    check_seconds,
    describe,
    key_of,
    random_key,
)

READ: Final = 1 << 20
"""Bytes that are read at a time; many may read at once, and more at a time is not faster."""


class LocalStorage:
    """A folder; what is in it appears whole or not at all.

    Signed addresses lead to the service at ``url``, which asks ``is_signed`` before it answers.
    """

    name: Literal["local"] = "local"
    privacy: Literal["machine"] = "machine"

    def __init__(
        self, folder: Path, prefix: str = "", url: str | None = None, signing_key: str | None = None
    ) -> None:
        self.folder = folder.absolute()
        self.place = self.folder.as_uri()
        self._prefix = prefix
        self._url = url
        self._signing_key = signing_key

    def refusal(self, item: Item) -> str | None:
        """None: any file can be kept here."""
        return None

    def put_file(self, path: Path, filename: str | None = None, announce: Announce | None = None) -> Stored:
        """Copy a file into the folder under a random key."""
        item = describe(path, filename)
        with path.open("rb") as file:
            return self._put(iter(lambda: file.read(READ), b""), item, announce)

    def put_stream(self, chunks: Iterable[bytes], item: Item) -> Stored:
        """Write bytes as they come under a random key."""
        return self._put(chunks, item)

    def _put(self, chunks: Iterable[bytes], item: Item, announce: Announce | None = None) -> Stored:
        key = random_key(self._prefix, item.ending)
        path = self._path(key)
        if announce is not None:
            announce(f"{self.place}/{key}")
        size = 0
        self._make_folder(path.parent)
        try:
            with replacing(path) as temporary, temporary.open("wb") as file:
                os.chmod(temporary, 0o600)
                for chunk in chunks:
                    size += file.write(chunk)
        except OutputError as error:
            raise StorageError(f"The local storage failed: {error}") from error
        return Stored(f"{self.place}/{key}", size, item.content_type)

    def open(self, url: str, start: int = 0, end: int | None = None) -> Opened:
        """Read a file."""
        path = self._path(key_of(url, self.place))
        try:
            file = path.open("rb")
        except OSError:
            raise StorageMissing(f"There is no object {url}.") from None
        size = os.fstat(file.fileno()).st_size

        def chunks() -> Iterator[bytes]:
            with file:
                file.seek(start)
                left = (size if end is None else min(end, size)) - start
                while left > 0 and (chunk := file.read(min(READ, left))):
                    left -= len(chunk)
                    yield chunk

        return Opened(size, formats.type_of_ending(path.suffix[1:]), chunks(), file.close)

    def sign(self, url: str, seconds: int = HOUR) -> str:
        """An address of the service that is valid for so long."""
        key = key_of(url, self.place)
        expires = int(time.time()) + check_seconds(seconds)
        if self._url is None:
            raise StorageRefused("Local objects have signed addresses only when STORAGE_LOCAL_URL is set.")
        return f"{self._url.rstrip('/')}/{key}?expires={expires}&signature={self._signature(key, expires)}"

    def sign_put(self, ending: str = "", seconds: int = HOUR) -> PutTicket | None:
        """None: what comes to this machine comes through the service."""
        return None

    def is_signed(self, key: str, expires: int, signature: str) -> bool:
        """Whether ``sign`` made this address and it is still valid."""
        expected = self._signature(check_key(key), expires)
        return hmac.compare_digest(expected, signature) and time.time() < expires

    def delete(self, url: str) -> None:
        """Remove a file, or what a crash left of the writing of it."""
        path = self._path(key_of(url, self.place))
        try:
            if path.exists():
                path.unlink(missing_ok=True)
                return
            for left in path.parent.glob(f".{path.stem}.*.part{path.suffix}"):
                left.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{url} cannot be deleted: {error.strerror or error}.") from None

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageError(
                f"The local storage failed: {folder} cannot be made: {error.strerror or error}."
            ) from None

    def _path(self, key: str) -> Path:
        path = self.folder / key
        # A link inside the folder must not lead out of it.
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise StorageRefused(f"{key} leads out of the folder of the local storage.")
        return path

    def _signature(self, key: str, expires: int) -> str:
        if not self._signing_key:
            raise StorageRefused(
                "Local objects have signed addresses only when STORAGE_LOCAL_SIGNING_KEY is set."
            )
        message = f"{key}\n{expires}".encode()
        return hmac.new(self._signing_key.encode(), message, hashlib.sha256).hexdigest()
