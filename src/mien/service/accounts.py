"""The audit records of jobs and live pictures: who had what done, on whose consent, what came out. Never a picture."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien._version import __version__
from mien.jobs.rows import JobRow
from mien.safety.audit import AuditLog

if TYPE_CHECKING:
    from mien.pipeline.live import LiveSession


@dataclass(frozen=True)
class Accounts:
    """Writes one record for each job and each live picture that has ended, into the log that ``mien audit`` checks."""

    path: Path

    def record(self, row: JobRow) -> None:
        """Add the record of a job. Raises OutputNotWritable, DiskFull."""
        self._append(_record(row))

    def record_live(
        self,
        owner: str,
        processors: Sequence[str],
        consent_ref: str | None,
        session: LiveSession,
        seconds: float,
    ) -> None:
        """Add the record of a live picture that has ended. Raises OutputNotWritable, DiskFull."""
        self._append(
            {
                "live": uuid.uuid4().hex,
                "owner": owner,
                "program": f"mien {__version__}",
                "processors": list(processors),
                "consent_ref": consent_ref,
                "outcome": "ended",
                "seconds": round(seconds, 3),
                "models": list(session.models),
                "content": session.content,
            }
        )

    def _append(self, record: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        AuditLog(self.path).append(record)


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
