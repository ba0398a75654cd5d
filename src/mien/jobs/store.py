"""The contract of every place that keeps jobs, and how one is opened by its name.

A store is shared by any number of processes. Each change of a job is made as a whole or not at all, also when the
process dies in the middle of it, and a job is run by one claim at a time.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from mien.errors import JobError, JobExists
from mien.jobs.ids import automatic_ids
from mien.jobs.job import Job, Status
from mien.jobs.states import Change


class Claim(Protocol):
    """The right to run one job, held by one run."""

    @property
    def job(self) -> Job:
        """The job as this claim last saw it."""

    def update(self, change: Change) -> Job:
        """Change the job. Raises JobBusy when another run has taken it over, and what ``change`` raises."""


class JobStore(Protocol):
    """Keeps jobs. All methods may be called from any thread."""

    def create(self, id: str) -> Job:
        """A new drafted job; raises JobExists."""

    def get(self, id: str) -> Job:
        """The job as it is now; raises JobMissing, JobUnreadable."""

    def jobs(self, *statuses: Status) -> tuple[Job, ...]:
        """All jobs in these states (all states when none is named), the longest unchanged first.

        What cannot be read is left out.
        """

    def update(self, id: str, change: Change) -> Job:
        """Replace a job by what ``change`` makes of it, as one step that nobody else's change can come between.

        Raises JobMissing, JobUnreadable, and what ``change`` raises; then nothing has changed.
        """

    def delete(self, id: str) -> Job | None:
        """Remove a job, also one that cannot be read (then None is returned). Raises JobMissing, and JobBusy while it
        is being run.
        """

    def claim(self, id: str, worker: str) -> AbstractContextManager[Claim]:
        """Begin a run of a queued job; the claim ends with the block. Raises JobMissing, JobUnreadable, JobBusy, and
        JobError when the job is in another state.
        """


def open_store(place: str | Path) -> JobStore:
    """The store of that name: a folder, which is made on the first write, or the URL of a database.

    Raises JobError for another kind of URL, DatabaseUnavailable for a database that cannot be reached.
    """
    from mien.db.database import is_database_url, open_database
    from mien.jobs.folder import FolderStore

    if is_database_url(str(place)):
        from mien.jobs.database import DatabaseStore

        return DatabaseStore(open_database(str(place)))
    if "://" in str(place):
        raise JobError(
            f"Jobs cannot be kept in {place}; name a folder or a database (sqlite:///FILE, postgresql://…)."
        )
    return FolderStore(Path(place))


def create_named(store: JobStore, prefix: str) -> Job:
    """A new job with an id that begins with ``prefix`` and tells when it was made."""
    for id in automatic_ids(prefix):
        try:
            return store.create(id)
        except JobExists:
            continue
    raise AssertionError("unreachable")
