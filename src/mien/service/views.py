"""Jobs as the API shows them: references instead of places, moments as ISO 8601, nothing that is the service's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from mien.jobs.job import Attempt, Failure, JobStep
from mien.jobs.rows import JobRow

PREFIX: Final = "/api/v1"
"""Where the API begins, below the root path of a proxy."""

Address = Callable[[Mapping[str, Any], str], str]
"""Where a result is to be had: of its record and of the address at this service."""

_OWN_KEYS: Final = frozenset(
    {"source_paths", "target_path", "output_path", "processors", "face_map", "resolution", "workflow"}
)


def iso(moment: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC, with milliseconds."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_view(row: JobRow, address: Address, queue_position: int | None = None) -> dict[str, Any]:
    """A job with everything that its owner may know."""
    steps = [step_view(index, step, row) for index, step in enumerate(row.job.steps)]
    return {
        **job_summary(row, address),
        "queue_position": queue_position,
        "steps": steps,
        "attempts": [_attempt(attempt) for attempt in row.job.attempts],
        "metadata": dict(row.request.get("metadata") or {}),
    }


def job_summary(row: JobRow, address: Address) -> dict[str, Any]:
    """A job as boards show it."""
    return {
        "id": row.id,
        "status": status_of(row),
        "kind": row.kind,
        "environment": row.environment,
        "workflow": row.workflow,
        "processors": list(dict.fromkeys(name for step in row.job.steps for name in step.processors)),
        "priority": row.priority,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "started_at": iso(row.started_at),
        "ended_at": iso(row.ended_at),
        "expires_at": iso(row.expires_at),
        "progress": None if row.has_ended else row.progress,
        "failure": _failure(row.job.failure),
        "results": results_view(row.id, row.results, address),
        "batch": row.batch,
        "consent_ref": row.request.get("consent_ref"),
        "links": links_of(row),
    }


def results_view(job: str, records: Sequence[Mapping[str, Any]], address: Address) -> list[dict[str, Any]]:
    """The results of a job."""
    return [_result(job, number, record, address) for number, record in enumerate(records)]


def status_of(row: JobRow) -> str:
    """The state as clients see it: a running job that was asked to stop is canceling."""
    return "canceling" if row.status == "running" and row.cancel_requested else row.status


def links_of(row: JobRow) -> dict[str, str]:
    """Addresses of what can be asked about a job, and of it, now."""
    own = f"{PREFIX}/jobs/{row.id}"
    found = {"self": own, "events": f"{own}/events", "log": f"{own}/log"}
    if row.status == "drafted":
        found["submit"] = f"{own}/submit"
    if not row.has_ended:
        found["cancel"] = f"{own}/cancel"
    if row.results:
        found["result"] = f"{own}/result"
        found["archive"] = f"{own}/results.zip"
    if row.status in ("failed", "canceled"):
        found["retry"] = f"{own}/retry"
    if row.batch:
        found["batch"] = f"{PREFIX}/batches/{row.batch}"
    return found


def step_view(index: int, step: JobStep, row: JobRow) -> dict[str, Any]:
    """One step in the words of a request, and what became of it."""
    args = step.args
    record: Mapping[str, Any] = next((item for item in row.results if item.get("step") == index), {})
    done = step.finished
    return {
        "index": index,
        "status": step.status,
        "processors": list(step.processors),
        "sources": [reference_view(text) for text in step.source_paths],
        "target": target_view(step.target_path),
        "options": {key: value for key, value in args.items() if key not in _OWN_KEYS and value is not None},
        "face_map": [
            {**item, "sources": [reference_view(text) for text in item["sources"]]}
            for item in args.get("face_map") or ()
        ],
        "output": {"name": (step.output_path or "").removeprefix("result:") or None},
        "resolution": args.get("resolution"),
        "workflow": args.get("workflow"),
        "failure": _failure(step.failure),
        "frames": record.get("frames", done and done.frames),
        "faces": record.get("faces", done and done.faces),
        "seconds": record.get("seconds", done and done.seconds),
        "notices": list(record.get("notices") or (done.notices if done else ())),
        "models": list(record.get("models") or ()),
    }


def reference_view(text: str) -> str:
    """A reference as clients give it."""
    return text.removeprefix("asset:")


def target_view(text: str | None) -> str | dict[str, int] | None:
    """A target as clients give it."""
    if text is not None and text.startswith("step:"):
        return {"step": int(text.removeprefix("step:"))}
    return None if not text else reference_view(text)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "worker": attempt.worker,
        "started_at": _utc(attempt.started),
        "ended_at": _utc(attempt.ended),
        "outcome": attempt.outcome,
    }


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    names = ("kind", "code", "message", "retryable", "step")
    return {name: getattr(failure, name) for name in names}


_RESULT: Final = ("step", "asset", "name", "content_type", "size", "kind", "width", "height", "duration")
_FOUND: Final = ("frames", "faces", "content", "signed", "watermark", "workflow")


def _result(job: str, number: int, record: Mapping[str, Any], address: Address) -> dict[str, Any]:
    own = f"{PREFIX}/jobs/{job}/result?index={number}"
    values = {name: record.get(name) for name in (*_RESULT, *_FOUND)}
    return {"index": number, **values, "url": address(record, own)}


def _utc(text: str | None) -> str | None:
    return None if text is None else iso(datetime.fromisoformat(text).timestamp())
