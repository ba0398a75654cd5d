"""One record in the audit log for each run, whatever becomes of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mien._version import __version__
from mien.errors import ConsentMissing, MienError, OptionError
from mien.options import build
from mien.safety.options import ConsentOptions

if TYPE_CHECKING:
    from mien.pipeline.step import Result, Step
    from mien.safety.audit import AuditLog
    from mien.settings import Settings


class Audit:
    """A context manager around a run. Does nothing but check for consent where the settings name no audit log.

    Entering raises ConsentMissing where the settings require a reference and the step has none, OptionError where
    they require one without a log that keeps it, and OutputNotWritable where the log cannot be written. Work on a
    ``part`` is noted only if it fails: the run that joins the parts has the record.
    """

    def __init__(self, step: Step, settings: Settings, *, part: bool = False) -> None:
        self._part = part
        self._step = step
        self._settings = settings
        self._log: AuditLog | None = None
        self._consent: str | None = None
        self._result: Result | None = None
        self._started = 0.0

    def __enter__(self) -> Audit:
        settings = self._settings
        self._started = time.monotonic()
        self._consent = build(ConsentOptions, self._step.options).consent_ref or None
        if settings.audit_log is not None:
            from mien.safety.audit import AuditLog

            self._log = AuditLog(settings.audit_log)
            self._log.check_writable()
        try:
            check_consent(self._step.options, settings)
        except ConsentMissing as refusal:
            self._append(refusal)
            raise
        return self

    def completed(self, result: Result) -> None:
        """Note what came out."""
        self._result = result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or not self._part:
            self._append(error)

    def _append(self, error: BaseException | None) -> None:
        if self._log is not None:
            self._log.append(self._record(error))

    def _record(self, error: BaseException | None) -> dict[str, Any]:
        outcome = "completed"
        if error is not None:
            outcome = error.code if isinstance(error, MienError) else "internal"
        record: dict[str, Any] = {
            "run": uuid.uuid4().hex,
            "user": self._settings.audit_user,
            "program": f"mien {__version__}",
            "processors": list(self._step.processors),
            "consent_ref": self._consent,
            "outcome": outcome,
            "seconds": round(time.monotonic() - self._started, 3),
        }
        if self._result is not None and error is None:
            record |= _of_result(self._result)
        if self._settings.audit_names:
            record |= {
                "target": str(self._step.target),
                "sources": [str(path) for path in self._step.all_sources],
                "output": str(self._step.output),
            }
        return record


def check_consent(options: Mapping[str, Any], settings: Settings) -> None:
    """Raise ConsentMissing where the settings require a reference and the options have none.

    Raises OptionError where the settings require one without a log that keeps it.
    """
    if not settings.require_consent:
        return
    if settings.audit_log is None:
        raise OptionError(
            "A consent is required, but there is no audit log that keeps it: set MIEN_AUDIT_LOG."
        )
    if not build(ConsentOptions, options).consent_ref:
        raise ConsentMissing("A reference to the consent of the people shown is required: give consent_ref.")


def _of_result(result: Result) -> dict[str, Any]:
    from mien.safety.audit import file_hash

    return {
        "kind": result.kind,
        "frames": result.frames,
        "faces": result.faces,
        "models": list(result.models),
        "content": result.content,
        "output_sha256": file_hash(result.output),
        "signed": result.signed,
        "watermark": result.watermark,
    }
