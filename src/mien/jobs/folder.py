"""Jobs in a folder, laid out as FaceFusion does it: ``<folder>/<state>/<id>.json``.

Both programs may work on the same folder. A file is replaced as a whole and then moved to the folder of its new
state, so it is readable at every moment and there is one of it. Two locks for each job lie in ``.locks``: one is held
while the file is changed, the other as long as the job is run; the system takes both from a process that dies.

FaceFusion has four folders. A running job stays in ``queued``, where both programs find it after a crash; a canceled
one lies in ``failed``, from where both retry.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mien.errors import JobBusy, JobExists, JobMissing, JobUnreadable
from mien.jobs.codec import decode, encode
from mien.jobs.disk import move, remove, write_whole
from mien.jobs.job import Job, Status, now
from mien.jobs.states import Change, begin
from mien.media.atomic import output_errors

FOLDERS: tuple[Status, ...] = ("drafted", "queued", "completed", "failed")
"""In the order in which FaceFusion looks for a job."""

_FOLDER_OF: dict[Status, Status] = {"running": "queued", "canceled": "failed"}

PATIENCE = 0.5
"""Seconds to wait for a lock that somebody may only be looking at."""
EDIT_PATIENCE = 60.0
"""Seconds to wait for another change of the same job."""


class FolderStore:
    """A JobStore over a folder, which is made on the first write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"FolderStore({str(self.folder)!r})"

    def prepare(self) -> None:
        """Make the folders; raises OutputNotWritable."""
        with output_errors(self.folder / "jobs"):
            for name in (*FOLDERS, ".locks"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)

    def create(self, id: str) -> Job:
        """A new drafted job; raises JobExists."""
        self.prepare()
        with self._changing(id):
            if self._places(id):
                raise JobExists(f"There is a job {id} already.")
            job = Job(id, now())
            write_whole(self._path("drafted", id), encode(job))
        return job

    def get(self, id: str) -> Job:
        """The job as it is now; raises JobMissing, JobUnreadable."""
        # A job that moves from a folder not yet looked at to one already left is missed; the second look finds it.
        for _ in range(3):
            for place in FOLDERS:
                try:
                    return self._read(id, place)
                except FileNotFoundError:
                    continue
        raise JobMissing(f"There is no job {id} in {self.folder}.")

    def jobs(self, *statuses: Status) -> tuple[Job, ...]:
        """All jobs in these states, the longest unchanged first; what cannot be read is left out."""
        wanted = statuses or FOLDERS
        places = dict.fromkeys(_FOLDER_OF.get(status, status) for status in wanted)
        found: dict[str, tuple[int, Job]] = {}
        for place in places:
            for path in _job_files(self.folder / place):
                with suppress(OSError, JobUnreadable):
                    found[path.stem] = (path.stat().st_mtime_ns, self._read(path.stem, place))
        rows = sorted(found.values(), key=lambda row: (row[0], row[1].id))
        return tuple(job for _, job in rows if not statuses or job.status in statuses)

    def update(self, id: str, change: Change) -> Job:
        """Replace a job by what ``change`` makes of it."""
        with self._changing(id):
            return self._changed(id, change)

    def delete(self, id: str) -> Job | None:
        """Remove a job, also one that cannot be read; raises JobMissing, JobBusy."""
        if not self._places(id):
            raise JobMissing(f"There is no job {id} in {self.folder}.")
        with self._running(id), self._changing(id):
            job = None
            with suppress(JobUnreadable, JobMissing):
                job = self.get(id)
            for path in self._places(id):
                remove(path)
            self._forget_locks(id)
        return job

    @contextmanager
    def claim(self, id: str, worker: str) -> Iterator[FolderClaim]:
        """Begin a run of a queued job; the claim ends with the block."""
        if not self._places(id):
            raise JobMissing(f"There is no job {id} in {self.folder}.")
        with self._running(id):
            yield FolderClaim(self, self.update(id, lambda job: begin(job, worker)))

    def _changed(self, id: str, change: Change) -> Job:
        job = self.get(id)
        changed = change(job)
        if changed == job:
            return job
        changed = replace(changed, updated=now())
        path = self._path(job.status, id)
        write_whole(path, encode(changed))
        destination = self._path(changed.status, id)
        if destination != path:
            move(path, destination)
        return changed

    def _read(self, id: str, place: Status) -> Job:
        """Raises FileNotFoundError, JobUnreadable."""
        path = self._path(place, id)
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(id) from None
        except OSError as error:
            raise JobUnreadable(f"{path} cannot be read: {error.strerror}.") from None
        job = decode(id, place, content)
        if place == "failed" and job.failure is not None and job.failure.kind == "canceled":
            return replace(job, status="canceled")
        unended = bool(job.attempts) and job.attempts[-1].ended is None
        if place == "queued" and unended and self._is_held(id):
            return replace(job, status="running")
        return job

    def _path(self, status: Status, id: str) -> Path:
        return self.folder / _FOLDER_OF.get(status, status) / f"{id}.json"

    def _places(self, id: str) -> list[Path]:
        return [path for place in FOLDERS if (path := self._path(place, id)).is_file()]

    def _lock(self, id: str, ending: str) -> FileLock:
        # Not thread-local: the lock is this object's, and two objects of one process exclude each other as well.
        return FileLock(self.folder / ".locks" / f"{id}.{ending}", thread_local=False)

    @contextmanager
    def _changing(self, id: str) -> Iterator[None]:
        with self._held(id, "edit", EDIT_PATIENCE, "being changed"):
            yield

    @contextmanager
    def _running(self, id: str) -> Iterator[None]:
        with self._held(id, "run", PATIENCE, "being run"):
            yield

    @contextmanager
    def _held(self, id: str, ending: str, patience: float, doing: str) -> Iterator[None]:
        lock = self._lock(id, ending)
        try:
            with output_errors(self.folder / ".locks" / id):
                (self.folder / ".locks").mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=patience, poll_interval=0.01)
        except Timeout:
            raise JobBusy(f"The job {id} is {doing} by another process.") from None
        try:
            yield
        finally:
            lock.release()

    def _is_held(self, id: str) -> bool:
        """Whether somebody runs the job: whoever asks takes the lock for a moment if nobody does."""
        lock = self._lock(id, "run")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        except OSError:
            return False
        lock.release()
        return False

    def _forget_locks(self, id: str) -> None:
        for ending in ("edit", "run"):
            with suppress(OSError):
                (self.folder / ".locks" / f"{id}.{ending}").unlink(missing_ok=True)


class FolderClaim:
    """The claim of one run; see ``store.Claim``."""

    def __init__(self, store: FolderStore, job: Job) -> None:
        self._store = store
        self._fence = job.fence
        self.job = job

    def update(self, change: Change) -> Job:
        """Change the job; raises JobBusy when another run has taken it over."""

        def fenced(job: Job) -> Job:
            if job.fence != self._fence:
                raise JobBusy(f"The job {job.id} was taken over by another run.")
            return change(job)

        self.job = self._store.update(self.job.id, fenced)
        return self.job


def worker_name() -> str:
    """This process as attempts record it: host and process number."""
    import platform

    return f"{platform.node() or 'local'}:{os.getpid()}"


def _job_files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names: list[Any] = [entry.name for entry in entries]
    except OSError:
        return []
    return [folder / name for name in names if name.endswith(".json") and not name.startswith(".")]
