"""A task as a gateway hands it out, read with care: the gateway may be another program than mien."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mien.errors import RemoteFailed

FACE_SWAP: Final = "face_swap"
COMM: Final = "comm"


@dataclass(frozen=True, slots=True)
class FetchedTask:
    """A task with the right to work on it."""

    id: str
    workflow: str
    environment: str
    data: Mapping[str, Any]
    """The task's ``params.input_data``."""
    token: str
    """Proves who has the task; sent with every report."""
    consent_ref: str | None = None
    has_next: bool = False
    """Whether a later stage of the task works on the result, so that the gateway has to get it."""

    @classmethod
    def of(cls, given: Any) -> FetchedTask:
        """Read a task. Raises RemoteFailed for what is none."""
        try:
            inputs = (given.get("params") or {}).get("input_data") or {}
            return cls(
                id=_text(given["taskId"], 80),
                workflow=_text(given.get("workflow") or given.get("workflow_name") or FACE_SWAP, 100),
                environment=_text(given.get("environment") or COMM, 20),
                data=dict(inputs),
                token=_text(given["lease_token"], 200),
                consent_ref=given.get("consent_ref"),
                has_next=int(given.get("stage") or 1) < int(given.get("stages") or 1),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise RemoteFailed(
                "The gateway gave out something that is no task with a lease: taskId, params and lease_token."
            ) from None

    def as_record(self) -> dict[str, Any]:
        """What ``of`` reads."""
        return {
            "taskId": self.id,
            "workflow": self.workflow,
            "environment": self.environment,
            "params": {"input_data": dict(self.data)},
            "lease_token": self.token,
            "consent_ref": self.consent_ref,
            "stage": 1,
            "stages": 2 if self.has_next else 1,
        }

    @property
    def folder(self) -> str:
        """The name of the task's folder: another lease of the same task has another one."""
        digest = hashlib.sha256(f"{self.id}\0{self.token}".encode()).hexdigest()
        return f"{re.sub(r'[^A-Za-z0-9_-]', '_', self.id)[:60]}-{digest[:12]}"


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise ValueError(value)
    return value
