"""What a consumer has under way, on its disk: whoever starts again in the same folder goes on from there.

Each lease has a folder with its inputs and results, and a note of how far it is. The note is written before anything is
reported, so that a finished result survives the process that made it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from mien.consumer.task import FetchedTask
from mien.errors import JobBusy, MienError
from mien.media.atomic import output_errors, replacing

NOTE: Final = "note.json"


@dataclass(frozen=True, slots=True)
class Note:
    """How far a lease is."""

    task: Mapping[str, Any]
    result: str | None = None
    """The finished file in the folder, as soon as there is one."""
    name: str = ""
    """What the result is called for people."""
    others: Sequence[Sequence[str]] = field(default_factory=list)
    """Files that come with it, and their names."""
    notices: Sequence[str] = field(default_factory=list)
    """What the task's owner should know of the result."""
    sent: Sequence[str] = field(default_factory=list)
    """Assets or addresses of the files that were put somewhere, the result first."""
    delivered: Mapping[str, Any] | None = None
    """Where the result was put: what is to be reported."""
    announced: str | None = None
    """The object in the consumer's storage that is, or was to be, the next of the files."""
    failure: Mapping[str, Any] | None = None
    """Why there is no result: ``message``, ``code``, ``retryable``."""
    submission: Mapping[str, Any] | None = None
    """The run at a ComfyUI instance, to be found again."""


class Entry:
    """One lease and its folder. Used by one thread at a time."""

    def __init__(self, folder: Path, note: Note) -> None:
        self.folder = folder
        self.note = note
        self.task = FetchedTask.of(note.task)

    @property
    def result(self) -> Path | None:
        """The finished file, if there is one."""
        return None if self.note.result is None else self.folder / self.note.result

    def files(self) -> list[tuple[Path, str]]:
        """The finished file and those that come with it, with their names."""
        if self.note.result is None:
            return []
        named = [(self.note.result, self.note.name), *self.note.others]
        return [(self.folder / file, name) for file, name in named]

    def write(self, **changes: Any) -> None:
        """Change the note. Raises DiskFull, OutputNotWritable."""
        self.note = replace(self.note, **changes)
        with replacing(self.folder / NOTE) as temporary:
            temporary.write_text(json.dumps(asdict(self.note)), encoding="utf-8")

    def forget(self) -> None:
        """Remove the folder: the lease is over."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Journal:
    """All leases of one consumer. Safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep other consumers out of the folder. Raises JobBusy when there is one, OutputNotWritable."""
        with output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            if not _lock(descriptor):
                raise JobBusy(
                    f"Another consumer uses the folder {self.folder}; give this one its own with --work-dir."
                )
            yield
        finally:
            os.close(descriptor)

    def begin(self, task: FetchedTask) -> Entry:
        """A new lease."""
        folder = self.folder / task.folder
        with output_errors(folder):
            folder.mkdir(mode=0o700)
        entry = Entry(folder, Note(task.as_record()))
        entry.write()
        return entry

    def left(self) -> list[Entry]:
        """The leases that an earlier process had; what cannot be read is removed."""
        found = []
        for folder in sorted(path for path in self.folder.iterdir() if path.is_dir()):
            try:
                note = Note(**json.loads((folder / NOTE).read_text(encoding="utf-8")))
                found.append(Entry(folder, note))
            except (OSError, ValueError, TypeError, MienError):
                # Killed before the first note was whole: nothing had begun.
                shutil.rmtree(folder, ignore_errors=True)
        return found


def _lock(descriptor: int) -> bool:
    """Take the lock, which the system lets go of when the process ends; False when another has it."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
