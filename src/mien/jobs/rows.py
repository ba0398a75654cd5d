"""Jobs as rows of the database: what a row says beyond the job itself, and how both are kept in step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mien.jobs.codec import decode, to_line
from mien.jobs.job import Attempt, Job, Status

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

ENDED: tuple[Status, ...] = ("completed", "failed", "canceled")
FIRST, NORMAL, LAST = 0, 5, 9
"""Priorities."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is to be stored."""

    job: Job
    owner: str = ""
    kind: str = "faces"
    priority: int = NORMAL
    environment: str = "local"
    workflow: str | None = None
    batch: str | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    start_by: float | None = None
    expires_at: float | None = None
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job with all that the service keeps of it. Moments are seconds since 1970."""

    seq: int
    job: Job
    owner: str
    kind: str
    status: Status
    priority: int
    environment: str
    workflow: str | None
    batch: str | None
    request: Mapping[str, Any]
    progress: Mapping[str, Any] | None
    results: tuple[Mapping[str, Any], ...]
    fence: int
    worker: str | None
    lease_until: float | None
    lease_token: str | None
    external: Mapping[str, Any]
    cancel_requested: bool
    dispatched: bool
    dispatches: int
    tries: int
    not_before: float | None
    queue: str | None
    created_at: float
    updated_at: float
    started_at: float | None
    ended_at: float | None
    start_by: float | None
    expires_at: float | None

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def dispatch(self) -> int:
        """The number under which the job engine knows, or is to know, the run that is due."""
        return self.dispatches if self.dispatched else self.dispatches + 1

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to the job by itself."""
        return self.status in ENDED


_OWN = [item.name for item in fields(NewJob) if item.name not in ("job", "request")]
_FRESH = {"dispatches": 0, "tries": 0}
"""Columns that the database fills in."""
_PLAIN = [item.name for item in fields(JobRow) if item.name not in ("job", "results", "request", "external")]


def row_of(found: RowMapping) -> JobRow:
    """A row as it came from the database; raises JobUnreadable."""
    job = decode(found["id"], found["status"], found["content"])
    return JobRow(
        job=job,
        results=tuple(found["results"] or ()),
        request=found["request"] or {},
        external=found["external"] or {},
        **{name: found[name] for name in _PLAIN},
    )


def values_of(new: NewJob) -> dict[str, Any]:
    """The columns of a new job."""
    moment = time.time()
    return {
        **{name: getattr(new, name) for name in _OWN},
        **columns_of(new.job),
        "id": new.job.id,
        "request": dict(new.request),
        "created_at": moment,
        "updated_at": moment,
        "dispatched": False,
        "cancel_requested": False,
    }


def new_row(new: NewJob, seq: int, values: Mapping[str, Any]) -> JobRow:
    """The row of a job that was stored a moment ago with these values of ``values_of``."""
    known: dict[str, Any] = {name: values.get(name) for name in _PLAIN}
    known |= {"seq": seq, **_FRESH}
    return JobRow(job=new.job, results=(), external={}, request=values["request"], **known)


def columns_of(job: Job) -> dict[str, Any]:
    """The columns that say again what the job says, so that it can be found and listed by them."""
    first, last = (job.attempts[0], job.attempts[-1]) if job.attempts else (None, None)
    return {
        "status": job.status,
        "content": to_line(job),
        "failure": job.failure and asdict(job.failure),
        "fence": job.fence,
        "worker": last and last.worker,
        "started_at": first and _moment(first.started),
        "ended_at": _end(job, last),
    }


def again(before: Status) -> dict[str, Any]:
    """The columns of a job that has just come into the queue: the job engine is to be told anew."""
    fresh = {} if before == "running" else {"tries": 0, "not_before": None}
    return {"dispatched": False, "cancel_requested": False, **fresh}


def _end(job: Job, last: Attempt | None) -> float | None:
    if job.status not in ENDED:
        return None
    return time.time() if last is None or last.ended is None else _moment(last.ended)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
