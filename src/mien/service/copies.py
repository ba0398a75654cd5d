"""Copies of blobs on this machine, for work that needs paths: bounded, checked against their hash, shared by processes.

A copy has the modification time 0, so that work that remembers its inputs by size and time goes on with another copy
of the same content, on this machine or another one.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from mien.errors import StorageError
from mien.media.atomic import output_errors
from mien.storage import Opened

Open = Callable[[], Opened]

_NAME = re.compile(r"([0-9a-f]{64})(-[0-9]+-[0-9]+)?(\.[a-z0-9]+)?")
_UNFINISHED: Final = ".part"
_ABANDONED: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class LocalCopies:
    """A folder of copies. ``limit`` is in bytes; copies in use are kept even when they are over it."""

    folder: Path
    limit: int

    @contextmanager
    def use(self, sha256: str, ending: str, open_blob: Open) -> Iterator[Path]:
        """A read-only copy that stays for the length of the block; ``open_blob`` is called when there is none yet.

        Raises StorageError when what came is not that content, and what ``open_blob`` raises; DiskFull.
        """
        path = self.folder / (f"{sha256}.{ending}" if ending else sha256)
        with self._pinned(path, lambda: self._download(path, sha256, open_blob)):
            yield path

    def read(self, name: str) -> bytes | None:
        """A small derived file, such as a thumbnail."""
        try:
            content = (self.folder / name).read_bytes()
            self._touch(self.folder / name)
        except OSError:
            return None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Keep a small derived file under ``SHA256-n-n.ending``; where that fails it is made again next time."""
        with suppress(OSError):
            self._make_folder()
            temporary = self.folder / f".{secrets.token_hex(8)}{_UNFINISHED}"
            temporary.write_bytes(content)
            os.replace(temporary, self.folder / name)

    def forget(self, sha256: str) -> None:
        """Remove the copy of a content and what was derived from it, unless it is in use."""
        for path in self.folder.glob(f"{sha256}*"):
            self._remove(path)

    def contents(self) -> set[str]:
        """The SHA-256 of all copies."""
        names = (_NAME.fullmatch(path.name) for path in self._files())
        return {name[1] for name in names if name}

    def trim(self, room: int = 0) -> None:
        """Remove those that were not used for longest until ``room`` more bytes fit; and what crashes left."""
        found = []
        for path in self._files():
            with suppress(OSError):
                status = path.stat()
                if path.name.endswith(_UNFINISHED):
                    # A copy that is about to get its name has its modification time of 0 already.
                    if time.time() - max(status.st_mtime, status.st_atime) > _ABANDONED:
                        path.unlink()
                else:
                    found.append((status.st_atime, status.st_size, path))
        total = sum(size for _, size, _ in found) + room
        for _, size, path in sorted(found):
            if total <= self.limit:
                return
            total -= size if self._remove(path) else 0

    @contextmanager
    def _pinned(self, path: Path, make: Callable[[], None]) -> Iterator[None]:
        while True:
            try:
                file = path.open("rb")
            except FileNotFoundError:
                make()
                continue
            with file:
                _share(file)
                # It may have been removed between opening and locking, and another copy have taken its place.
                if _is_at(file, path):
                    self._touch(path)
                    yield
                    return

    def _download(self, path: Path, sha256: str, open_blob: Open) -> None:
        self._make_folder()
        temporary = self.folder / f".{secrets.token_hex(8)}{_UNFINISHED}"
        digest = hashlib.sha256()
        try:
            with open_blob() as blob, output_errors(path):
                self.trim(blob.size)
                with open(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                    for chunk in blob:
                        digest.update(chunk)
                        file.write(chunk)
            if digest.hexdigest() != sha256:
                raise StorageError(
                    f"What the storage gave for the asset {sha256[:12]}… is not what was stored."
                )
            self._place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def _place(self, temporary: Path, path: Path) -> None:
        """Put a finished copy in its place; one that is there already (and perhaps in use) stays."""
        os.utime(temporary, (time.time(), 0))
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:
            os.replace(temporary, path)

    def _remove(self, path: Path) -> bool:
        try:
            with path.open("rb") as file:
                if not _claim(file, path):
                    return False
                path.unlink()
        except OSError:
            return False
        return True

    def _files(self) -> list[Path]:
        try:
            return [path for path in self.folder.iterdir() if path.is_file()]
        except OSError:
            return []

    def _make_folder(self) -> None:
        with output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _touch(self, path: Path) -> None:
        with suppress(OSError):
            os.utime(path, (time.time(), 0))


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether the open file is the one that has that path now; links to it elsewhere do not count."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


if os.name == "nt":  # pragma: no cover

    def _share(file: IO[bytes]) -> None:
        """Open files cannot be removed on Windows."""

    def _claim(file: IO[bytes], path: Path) -> bool:
        file.close()
        return True

else:
    import fcntl

    def _share(file: IO[bytes]) -> None:
        """Say that the file is in use; the system takes that back when the process dies."""
        fcntl.flock(file, fcntl.LOCK_SH)

    def _claim(file: IO[bytes], path: Path) -> bool:
        """Whether nobody uses the file, and it is still the one at that path, so that removing removes no other."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return _is_at(file, path)
