"""Job files, as FaceFusion writes and reads them: JSON with an indent of four.

What FaceFusion does not know stands under the key ``mien``, in the job and in its steps, and is absent where there
is nothing to say; what mien does not know is kept as it is. The state is not in the file: it is the folder's name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar, get_args

from mien.errors import JobUnreadable
from mien.jobs.job import STEP_STATUSES, Attempt, Failure, FailureKind, Finished, Job, JobStep, Status

T = TypeVar("T", Failure, Attempt, Finished)

OWN = "mien"
"""The key of everything that FaceFusion does not know."""


def encode(job: Job) -> bytes:
    """The content of a job file."""
    return json.dumps(_data(job), indent=4).encode()


def to_line(job: Job) -> str:
    """The same in one line, as rows of a database hold it; ``decode`` reads both."""
    return json.dumps(_data(job))


def decode(id: str, status: Status, content: bytes) -> Job:
    """The job of a file that lies in the folder of ``status``; raises JobUnreadable."""
    try:
        data = json.loads(content)
        own = data.get(OWN) or {}
        return Job(
            id=id,
            status=status,
            version=data["version"],
            created=data["date_created"],
            updated=data["date_updated"],
            steps=tuple(_step_of(step) for step in data["steps"]),
            attempts=tuple(_made(Attempt, attempt) for attempt in own.get("attempts", ())),
            failure=_failure_of(own.get("failure")),
            delivered=bool(own.get("delivered", False)),
            extra={key: value for key, value in data.items() if key not in _JOB_KEYS},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise JobUnreadable(f"The file of the job {id} is no job file ({type(error).__name__}).") from error


_JOB_KEYS = ("version", "date_created", "date_updated", "steps", OWN)
_STEP_KEYS = ("args", "status", OWN)


def _data(job: Job) -> dict[str, Any]:
    data: dict[str, Any] = {
        "version": job.version,
        "date_created": job.created,
        "date_updated": job.updated,
        "steps": [_step_data(step) for step in job.steps],
        **job.extra,
    }
    own = _own(
        attempts=[asdict(attempt) for attempt in job.attempts],
        failure=job.failure and asdict(job.failure),
        delivered=job.delivered,
    )
    return {**data, **own}


def _own(**values: Any) -> dict[str, Any]:
    said = {name: value for name, value in values.items() if value}
    return {OWN: said} if said else {}


def _step_data(step: JobStep) -> dict[str, Any]:
    own = _own(
        open=list(step.open),
        inputs=step.inputs,
        finished=step.finished and asdict(step.finished),
        delivered=step.delivered,
        failure=step.failure and asdict(step.failure),
    )
    return {"args": dict(step.args), "status": step.status, **step.extra, **own}


def _step_of(data: Mapping[str, Any]) -> JobStep:
    own = data.get(OWN) or {}
    if data["status"] not in STEP_STATUSES:
        raise ValueError(data["status"])
    return JobStep(
        args=dict(data["args"]),
        status=data["status"],
        open=tuple(own.get("open", ())),
        inputs=own.get("inputs"),
        finished=_made(Finished, own["finished"]) if own.get("finished") else None,
        delivered=bool(own.get("delivered", False)),
        failure=_failure_of(own.get("failure")),
        extra={key: value for key, value in data.items() if key not in _STEP_KEYS},
    )


def _failure_of(data: Mapping[str, Any] | None) -> Failure | None:
    if not data:
        return None
    known = data["kind"] in get_args(FailureKind)
    return _made(Failure, data if known else {**data, "kind": "internal"})


def _made(kind: type[T], data: Mapping[str, Any]) -> T:
    """A record of its fields; those of a later version are left out."""
    names = {field.name for field in fields(kind)}
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
    }
    return kind(**{name: value for name, value in values.items() if name in names})
