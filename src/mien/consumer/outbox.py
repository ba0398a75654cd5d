"""Where finished results go: into the consumer's own storage, or to the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
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
        """Put the files of an entry's result somewhere, and note where; returns what is to be reported.

        Called again after an interruption it goes on with the first file that is not noted. Raises Away, what the
        gateway refuses, and StorageError.
        """
        if entry.note.delivered is not None:
            return entry.note.delivered
        # What a later stage works on is needed at the gateway.
        storage = None if entry.task.has_next else self.storage
        for file, name in entry.files()[len(entry.note.sent) :]:
            found = self._put(storage, entry, file, name)
            entry.write(sent=[*entry.note.sent, found], announced=None)
        report = _report(entry, storage is None)
        entry.write(delivered=report)
        return report

    def _put(self, storage: Storage | None, entry: Entry, file: Path, name: str) -> str:
        """Where a file is now: its address, or the id of its asset."""
        if storage is None:
            return self.gateway.upload(file, name)
        if entry.note.announced is not None:
            # A process that was killed may have put it there, whole or not.
            with suppress(StorageError):
                storage.delete(entry.note.announced)
        stored = storage.put_file(file, name, lambda url: entry.write(announced=url))
        return storage.sign(stored.url, self.seconds)


def _report(entry: Entry, uploaded: bool) -> dict[str, Any]:
    """One file is told in the words that every gateway knows."""
    first, *others = entry.note.sent
    if not uploaded:
        return {"output_data": {"url": first, **({"urls": [first, *others]} if others else {})}}
    notices = {"notices": list(entry.note.notices)} if entry.note.notices else {}
    return {**({"assets": [first, *others]} if others else {"asset": first}), **notices}
