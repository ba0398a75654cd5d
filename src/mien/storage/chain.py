"""Several storages in order: the next one steps in when one fails, but never one that shows the file to more people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mien.errors import StorageError, StorageRefused
from mien.storage.base import HOUR, Announce, Item, Opened, Privacy, PutTicket, Storage, Stored, describe


class Chain:
    """A storage made of storages.

    A file goes to the first one that takes its kind. When that one fails for now, the next one of the *same*
    privacy is tried: what was meant for a private bucket never ends up in a public one, and what was meant to
    stay on this machine never leaves it. Reading, signing and deleting go to the storage in the object's URL.
    """

    name = "chain"

    def __init__(self, storages: Sequence[Storage]) -> None:
        """``storages`` is not empty; the first one sets the privacy."""
        self.storages = tuple(storages)
        self.place = self.storages[0].place
        self.privacy: Privacy = self.storages[0].privacy

    def refusal(self, item: Item) -> str | None:
        """Why none of the storages takes such a file."""
        reasons = [storage.refusal(item) for storage in self._candidates()]
        return None if None in reasons else reasons[0]

    def put_file(self, path: Path, filename: str | None = None, announce: Announce | None = None) -> Stored:
        """Store a file in the first storage that takes it and works."""
        item = describe(path, filename)
        failure: StorageError | None = None
        for storage in self._takers(item):
            try:
                return storage.put_file(path, filename, announce)
            except StorageError as error:
                if not error.retryable:
                    raise
                failure = failure or error
        assert failure is not None
        raise failure

    def put_stream(self, chunks: Iterable[bytes], item: Item) -> Stored:
        """Store bytes in the first storage that takes them; they come once, so no other is tried after it."""
        return self._takers(item)[0].put_stream(chunks, item)

    def open(self, url: str, start: int = 0, end: int | None = None) -> Opened:
        """Read an object from the storage that holds it."""
        return self.holder(url).open(url, start, end)

    def sign(self, url: str, seconds: int = HOUR) -> str:
        """Sign an address at the storage that holds the object."""
        return self.holder(url).sign(url, seconds)

    def sign_put(self, ending: str = "", seconds: int = HOUR) -> PutTicket | None:
        """Let anybody put one object into the first storage, which is the one that would take most files."""
        return self.storages[0].sign_put(ending, seconds)

    def delete(self, url: str) -> None:
        """Remove an object from the storage that holds it."""
        self.holder(url).delete(url)

    def holder(self, url: str) -> Storage:
        """The storage that a URL names. Raises StorageRefused when it is none of these."""
        for storage in self.storages:
            if url.startswith(storage.place + "/"):
                return storage
        places = ", ".join(storage.place for storage in self.storages)
        raise StorageRefused(f"{url[:120]} is in none of the storages that are set up: {places}.")

    def _candidates(self) -> list[Storage]:
        return [storage for storage in self.storages if storage.privacy == self.privacy]

    def _takers(self, item: Item) -> list[Storage]:
        """The storages for a file, in order. Raises StorageRefused when there is none."""
        found = [storage for storage in self._candidates() if storage.refusal(item) is None]
        if not found:
            raise StorageRefused(self.refusal(item) or "There is no storage for this file.")
        return found
