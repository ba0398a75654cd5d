"""The work area: where the finished segments of a video wait until all are there, so that nothing is done twice.

One folder for each piece of work, named by the hash of everything that determines its result; in it one file for
each finished segment, and beside it a note of what was counted. A file appears under its name only when it is whole
and on the disk, so whatever is there after a crash can be used. A lock keeps two runs of the same work apart, and a
lock for each segment those who make different segments of it at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mien.errors import DiskFull, InputMissing, OutputNotWritable
from mien.media.atomic import flush_folder
from mien.pipeline.progress import Cancel
from mien.types import Place

STALE_AFTER = 7 * 24 * 3600.0
"""Seconds after which work that nobody came back for is removed."""
EDGE = 1 << 20
"""Bytes at the start and the end of a large file that stand for its content, with its size and time."""


@dataclass(frozen=True, slots=True)
class Note:
    """What was counted while a segment was made."""

    frames: int
    faces: int
    warnings: tuple[str, ...] = ()
    place: Place | None = None
    """Where the followed face was (box) when the warm-up of the next segment begins."""
    sampled: int = 0
    """Frames that the content policy looked at."""
    flagged: int = 0
    """Those of them that it found to be sexual content."""
    flagged_after: int = 0
    """Those that it found to be so once they were worked on."""


def hash_of(value: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of plain data, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_identity(path: Path) -> str:
    """Changes whenever the file does: its size, its time and the SHA-256 of its first and last megabyte."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            digest = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns} ".encode())
            digest.update(file.read(EDGE))
            if status.st_size > EDGE:
                file.seek(max(EDGE, status.st_size - EDGE))
                digest.update(file.read(EDGE))
    except OSError as error:
        raise InputMissing(f"{path} cannot be read: {error.strerror}.") from None
    return digest.hexdigest()


class WorkArea:
    """The folder of one piece of work; made by ``open_area`` and ``open_for_parts``."""

    def __init__(self, folder: Path, cancel: Cancel, on_wait: Callable[[], None], pause: float) -> None:
        self.folder = folder
        self._cancel = cancel
        self._on_wait = on_wait
        self._pause = pause

    @contextmanager
    def claim(self, name: str) -> Iterator[None]:
        """Be the only one who makes the segment of that name, waiting while another does: look again whether it is
        there. Raises Canceled.
        """
        root, lock = self.folder.parent, _lock_of(self.folder.with_name(f"{self.folder.name}.{name}"))
        with _held(lock, root, self._cancel, self._on_wait, self._pause):
            with writing(self.folder):
                self.folder.mkdir(exist_ok=True)
            _unlink(self.folder / f"part-{name}")
            try:
                yield
            finally:
                _unlink(Path(lock.lock_file))

    def find(self, name: str) -> tuple[Path, Note] | None:
        """The finished segment of that name and its note, if both are here and whole."""
        path = self.folder / name
        try:
            note = note_of(json.loads(path.with_suffix(".json").read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return (path, note) if path.is_file() else None

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """A path to write the segment to; leaving the block by an error removes what was written there."""
        temporary = self.folder / f"part-{name}"
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
            if not (self.folder / name).exists():
                (self.folder / name).with_suffix(".json").unlink(missing_ok=True)

    def keep(self, temporary: Path, name: str, note: Note) -> Path:
        """Make a finished file the segment of that name; after that it survives a crash. Raises DiskFull."""
        path = self.folder / name
        with writing(self.folder):
            _write_through(path.with_suffix(".json"), json.dumps(asdict(note)))
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
            flush_folder(self.folder)
        return path

    def remove(self) -> None:
        """Remove the folder with all that is in it, and the locks of segments that killed runs left."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for lock_file in self.folder.parent.glob(f"{self.folder.name}.*.lock"):
            with suppress(OSError), FileLock(lock_file, timeout=0):
                lock_file.unlink(missing_ok=True)


@contextmanager
def open_area(
    root: Path,
    identity: str,
    *,
    cancel: Cancel,
    on_wait: Callable[[], None] = lambda: None,
    pause: float = 0.1,
) -> Iterator[WorkArea]:
    """Open the work area of that identity, waiting while another run of the same work holds it.

    Work of anybody that has become stale is removed. The folder itself is left behind only if it holds finished
    segments. Raises OutputNotWritable, DiskFull, Canceled.
    """
    folder = root / identity
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
    lock = _lock_of(folder)
    with _held(lock, root, cancel, on_wait, pause):
        prune(root, keep=folder)
        _touch(folder)
        try:
            yield WorkArea(folder, cancel, on_wait, pause)
        finally:
            with suppress(OSError):
                folder.rmdir()
            if not folder.exists():
                _unlink(Path(lock.lock_file))


@contextmanager
def open_for_parts(
    root: Path,
    identity: str,
    *,
    cancel: Cancel,
    on_wait: Callable[[], None] = lambda: None,
    pause: float = 0.1,
) -> Iterator[WorkArea]:
    """Open the work area for those who make or bring single segments: any number at once, also beside a run.

    Raises OutputNotWritable, DiskFull, Canceled.
    """
    folder = root / identity
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        Path(_lock_of(folder).lock_file).touch()  # by which pruning finds the folder
    prune(root, keep=folder)
    _touch(folder)
    try:
        yield WorkArea(folder, cancel, on_wait, pause)
    finally:
        with suppress(OSError):
            folder.rmdir()


def _touch(folder: Path) -> None:
    with writing(folder.parent):
        folder.mkdir(exist_ok=True)
        os.utime(folder)


def _unlink(file: Path) -> None:
    """Remove a file that nobody needs; Windows keeps one that is open, and pruning comes by later."""
    with suppress(OSError):
        file.unlink(missing_ok=True)


def prune(root: Path, *, keep: Path | None = None, older_than: float = STALE_AFTER) -> None:
    """Remove work that has not been touched for ``older_than`` seconds and that no run holds."""
    for lock_file in root.glob("*.lock"):
        folder = lock_file.with_suffix("")
        with suppress(OSError):
            touched = (folder if folder.exists() else lock_file).stat().st_mtime
            if folder == keep or time.time() - touched < older_than:
                continue
            with FileLock(lock_file, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
                lock_file.unlink(missing_ok=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say in one sentence why a file could not be written in ``folder``."""
    import errno

    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"The disk that holds {folder} is full.") from None
        raise OutputNotWritable(f"{folder} cannot be written to: {error.strerror}.") from None


@contextmanager
def _held(
    lock: FileLock, root: Path, cancel: Cancel, on_wait: Callable[[], None], pause: float
) -> Iterator[None]:
    waited = False
    while True:
        cancel.raise_if_set()
        try:
            with writing(root):
                _acquire(lock)
            break
        except _Taken:
            if not waited:
                waited = True
                on_wait()
            cancel.wait(pause)
    try:
        yield
    finally:
        lock.release()


class _Taken(Exception):
    """Another run holds the lock."""


def _acquire(lock: FileLock) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise _Taken from None


def _lock_of(folder: Path) -> FileLock:
    # not thread-local: the lock is this object's, and two objects of one process exclude each other as well
    return FileLock(folder.with_name(folder.name + ".lock"), thread_local=False)


def note_of(data: Mapping[str, Any]) -> Note:
    """The note that was written as plain data; raises KeyError, TypeError or ValueError for anything else."""
    place = None
    if data["place"] is not None:
        place = tuple(map(float, data["place"]))
    return Note(
        int(data["frames"]),
        int(data["faces"]),
        tuple(map(str, data["warnings"])),
        place,
        int(data["sampled"]),
        int(data["flagged"]),
        int(data["flagged_after"]),
    )


def _write_through(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
