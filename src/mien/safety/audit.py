"""The audit log: one line of JSON for each run, each sealed with the hash of the one before.

A record says who ran what, when, with which models, on whose consent, what the content policy found, and the SHA-256 of
the output. Never a picture, and names of files only where the settings ask for them. It stays when media are deleted.

A line that is changed, removed from the middle or put in breaks the chain. Lines cut off the end do not, and whoever
can write the file can write all of it anew: where that matters, keep the last hash somewhere else (``check`` compares
it).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from filelock import FileLock

from mien.errors import InputMissing
from mien.media.atomic import output_errors

START: Final = "0" * 64
"""What the first record names as the hash before it."""
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking a log found."""

    records: int
    head: str
    """Hash of the last whole record; START for an empty log."""
    problem: str = ""
    """What is wrong, in a sentence; empty if nothing is."""


class AuditLog:
    """Appends records to one file; any number of threads and processes may do so at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check_writable(self) -> None:
        """Refuse early: raises OutputNotWritable or DiskFull if nothing could be appended."""
        with output_errors(self._path), self._path.open("ab"):
            pass

    def append(self, record: Mapping[str, Any]) -> str:
        """Add a record (plain data) and return its hash; it is on the disk then.

        A line that a crash left half-written is removed, and the record says so. Raises OutputNotWritable, DiskFull.
        """
        lock = FileLock(f"{self._path}.lock")
        with output_errors(self._path), lock, self._path.open("a+b") as file:
            before, torn = _last(file)
            body: dict[str, Any] = {"time": _now(), **record}
            if torn:
                body["removed_half_written_bytes"] = torn
            digest = seal(before, body)
            file.write(_line({**body, "before": before, "hash": digest}))
            file.flush()
            os.fsync(file.fileno())
        return digest


def check(path: Path, head: str | None = None) -> Checked:
    """Follow the chain from the first line. ``head`` is a hash noted earlier, which must be in it.

    Raises InputMissing if the file cannot be read.
    """
    before, count, seen = START, 0, head in (None, START)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                record = _parse(line)
                if record is None:
                    return Checked(count, before, f"Line {number} is not a whole record.")
                digest, named = record.pop("hash", None), record.pop("before", None)
                if named != before:
                    return Checked(
                        count, before, f"Line {number} does not follow the line before it: lines are missing."
                    )
                if digest != seal(before, record):
                    return Checked(count, before, f"Line {number} was changed.")
                before, count, seen = digest, number, seen or digest == head
    except OSError as error:
        raise InputMissing(f"The audit log {path} cannot be read: {error.strerror}.") from None
    if not seen:
        return Checked(count, before, f"No record has the hash {head}: lines are missing.")
    return Checked(count, before)


def seal(before: str, record: Mapping[str, Any]) -> str:
    """The hash of a record that follows the hash ``before``."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _last(file: BinaryIO) -> tuple[str, int]:
    """The hash of the last whole line, and how many half-written bytes after it were removed."""
    start = end = file.seek(0, os.SEEK_END)
    tail = b""
    while start > 0:
        size = min(_CHUNK, start)
        start -= size
        file.seek(start)
        tail = file.read(size) + tail
        whole = tail[: tail.rfind(b"\n") + 1]
        if b"\n" in whole[:-1] or (whole and start == 0):
            torn = len(tail) - len(whole)
            file.truncate(end - torn)
            # A damaged last line is left as it is: the chain breaks there, and checking says so.
            found = _parse(whole[:-1].rsplit(b"\n", 1)[-1] + b"\n") or {}
            return str(found.get("hash", START)), torn
    file.truncate(0)
    return START, end
