"""The audit record of a job: who had what done, on whose consent, and what came out. Never a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien._version import __version__
from mien.jobs.rows import JobRow
from mien.safety.audit import AuditLog


@dataclass(frozen=True)
class Accounts:
    """Writes one record for each job that has ended, into the log that ``mien audit`` checks."""

    path: Path

    def record(self, row: JobRow) -> None:
        """Add the record of a job. Raises OutputNotWritable, DiskFull."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        AuditLog(self.path).append(_record(row))


def _record(row: JobRow) -> dict[str, Any]:
    failure = row.job.failure
    return {
        "job": row.id,
        "owner": row.owner,
        "program": f"mien {__version__}",
        "kind": row.kind,
        "processors": [list(step.processors) for step in row.job.steps],
        "consent_ref": row.request.get("consent_ref") or _consent(row),
        "outcome": row.status if failure is None else failure.code,
        "attempts": row.fence,
        "worker": row.worker,
        "results": [
            {
                key: result.get(key)
                for key in ("asset", "content_type", "models", "content", "signed", "watermark")
            }
            for result in row.results
        ],
    }


def _consent(row: JobRow) -> Any:
    return next((step.args["consent_ref"] for step in row.job.steps if step.args.get("consent_ref")), None)
