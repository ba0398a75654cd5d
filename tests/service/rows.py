"""Rows of jobs that were never in a database."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from mien.jobs.job import Job, JobStep, now
from mien.jobs.rows import JobRow


def row_with(*steps: JobStep, **columns: Any) -> JobRow:
    """A job of these steps in the queue, with columns that are to be otherwise."""
    job = Job("job_1", now(), status="queued", steps=steps)
    empty: dict[str, Any] = dict.fromkeys(item.name for item in fields(JobRow))
    usual = {
        "seq": 1,
        "job": job,
        "owner": "",
        "kind": "faces",
        "status": job.status,
        "priority": 5,
        "environment": "local",
        "request": {},
        "results": (),
        "external": {},
        "fence": job.fence,
        "cancel_requested": False,
        "dispatched": False,
        "dispatches": 0,
        "tries": 0,
        "created_at": 0.0,
        "updated_at": 0.0,
    }
    return JobRow(**{**empty, **usual, **columns})
