"""Hashes of model files, and the record of which file was compared already."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.models.catalogue import ModelFile

CHUNK = 1 << 20
_CRC32 = re.compile(r"[0-9a-f]{8}")

Algorithm = Literal["sha256", "crc32"]


@dataclass(frozen=True, slots=True)
class Digest:
    """An expected hash: lower-case hex digits."""

    algorithm: Algorithm
    value: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


def digest_of(path: Path, algorithm: Algorithm) -> Digest:
    """Hash a whole file. CRC-32 is zlib's, starting at 0, as 8 hex digits."""
    with path.open("rb") as stream:
        if algorithm == "sha256":
            return Digest("sha256", hashlib.file_digest(stream, "sha256").hexdigest())
        value = 0
        while chunk := stream.read(CHUNK):
            value = zlib.crc32(chunk, value)
    return Digest("crc32", f"{value:08x}")


def read_hash_file(path: Path) -> Digest | None:
    """The CRC-32 in a hub's ``.hash`` file; None if the file is absent or holds anything else."""
    try:
        return parse_hash(path.read_bytes())
    except OSError:
        return None


def parse_hash(content: bytes) -> Digest | None:
    """The CRC-32 in the content of a hub's ``.hash`` file: exactly 8 hex digits."""
    text = content[:64].decode("ascii", "replace").strip().lower()
    return Digest("crc32", text) if _CRC32.fullmatch(text) else None


class Verified:
    """Remembers which file had which hash, so that a file is read once and not at every start.

    One small JSON file per model file, named by its path; it counts only while size and modification time are
    those that were recorded. Concurrent processes can at worst write the same entry twice.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def holds(self, path: Path, expected: Digest) -> bool:
        """True if this very file was found to have this hash before."""
        return self._read(path) == self._entry(path, expected)

    def digest(self, path: Path) -> str:
        """The hash of the file as it is now (``sha256:…``): the recorded one, or computed and recorded."""
        entry = self._read(path)
        if isinstance(entry, dict) and entry == {**self._entry(path, None), "digest": entry.get("digest")}:
            return str(entry["digest"])
        digest = digest_of(path, "sha256")
        self.record(path, digest)
        return str(digest)

    def record(self, path: Path, digest: Digest) -> None:
        """Note that the file has this hash; a folder that cannot be written only costs time later."""
        target = self._file(path)
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
            temporary.write_text(json.dumps(self._entry(path, digest)), "utf-8")
            os.replace(temporary, target)

    def forget(self, path: Path) -> None:
        """Drop what is noted about a file."""
        with contextlib.suppress(OSError):
            self._file(path).unlink(missing_ok=True)

    def _file(self, path: Path) -> Path:
        return self._folder / (hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32] + ".json")

    def _read(self, path: Path) -> object:
        try:
            return json.loads(self._file(path).read_text("utf-8"))
        except (OSError, ValueError):
            return None

    @staticmethod
    def _entry(path: Path, digest: Digest | None) -> dict[str, object]:
        stat = path.stat()
        return {
            "path": str(path.absolute()),
            "size": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "digest": None if digest is None else str(digest),
        }


def expected_digest(file: ModelFile, path: Path) -> Digest | None:
    """The hash that the file at ``path`` must have, by the catalogue or by a hash file beside it, or None."""
    if file.sha256:
        return Digest("sha256", file.sha256)
    if file.crc32:
        return Digest("crc32", file.crc32)
    return read_hash_file(path.with_suffix(".hash"))


def is_sound(file: ModelFile, path: Path, verified: Verified) -> bool:
    """True if the file has the expected size and hash; it is read only if that is not on record yet."""
    size = path.stat().st_size
    expected = expected_digest(file, path)
    if (
        expected is None
    ):  # a file of unknown hash that the user put there: its size is all that can be compared
        return file.size in (None, size)
    if file.exact_size not in (None, size):
        return False
    if verified.holds(path, expected):
        return True
    if digest_of(path, expected.algorithm) != expected:
        return False
    verified.record(path, expected)
    return True
