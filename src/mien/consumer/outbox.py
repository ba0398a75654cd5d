"""Where finished results go: into the consumer's own storage, or to the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mien.consumer.gateway import Gateway
from mien.consumer.journal import Entry
from mien.errors import StorageError
from mien.storage import Storage


@dataclass(frozen=True)
class Outbox:
    """Puts results where clients of the gateway find them; without a storage of its own, to the gateway."""

    gateway: Gateway
    storage: Storage | None = None
    seconds: int = 7 * 24 * 3600
    """Validity of addresses in the storage."""

    def put(self, entry: Entry) -> Mapping[str, Any]:
        """Put the result of an entry somewhere and note where; returns what is to be reported.

        Raises Away, what the gateway refuses, and StorageError.
        """
        if entry.note.delivered is not None:
            return entry.note.delivered
        file = entry.result
        assert file is not None
        if self.storage is None:
            found: Mapping[str, Any] = {"asset": self.gateway.upload(file, entry.note.name)}
        else:
            found = {"output_data": {"url": self._stored(self.storage, entry)}}
        entry.write(delivered=found)
        return found

    def _stored(self, storage: Storage, entry: Entry) -> str:
        if entry.note.announced is not None:
            # A process that was killed may have put it there, whole or not.
            with suppress(StorageError):
                storage.delete(entry.note.announced)
        file = entry.result
        assert file is not None
        stored = storage.put_file(file, entry.note.name, lambda url: entry.write(announced=url))
        return storage.sign(stored.url, self.seconds)
