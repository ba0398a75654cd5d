"""Jobs as clients see them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field

from mien.server.schemas.base import Model, Moment
from mien.service.requests import OptionValue

JobState: TypeAlias = Literal["drafted", "queued", "running", "canceling", "completed", "failed", "canceled"]


class Failure(Model):
    """Why a job or a step did not end well."""

    kind: str = Field(description="Coarse kind, such as invalid_input, no_face, lost.")
    code: str = Field(description="Code of the error, as in error envelopes.")
    message: str
    retryable: bool
    step: int | None = Field(default=None, description="Which step failed, counted from 0.")


class JobProgress(Model):
    """How far a running job is."""

    stage: str | None = None
    done: float | None = None
    total: float | None = None
    step: int | None = None
    steps: int | None = None
    fps: float | None = None
    remaining_seconds: float | None = None
    message: str | None = None


class JobStep(Model):
    """One step of a job."""

    index: int
    status: Literal["drafted", "queued", "started", "completed", "failed"]
    processors: list[str]
    sources: list[str]
    target: str | dict[str, int] | None
    options: dict[str, OptionValue] = Field(default_factory=dict)
    face_map: list[dict[str, Any]] = Field(default_factory=list)
    output: dict[str, str | None] = Field(default_factory=dict)
    resolution: str | None = None
    workflow: dict[str, Any] | None = None
    failure: Failure | None = None
    frames: int | None = None
    faces: int | None = None
    seconds: float | None = None
    notices: list[str] = Field(default_factory=list)
    models: list[str] = Field(default_factory=list)


class Attempt(Model):
    """One run of a job."""

    number: int
    worker: str
    started_at: Moment
    ended_at: Moment | None = None
    outcome: str | None = Field(
        None,
        description="completed, failed, canceled, queued (handed back by its worker), lost (its worker died); "
        "null while it runs.",
    )


class JobResult(Model):
    """One file that a job made."""

    index: int
    step: int
    asset: str
    name: str
    content_type: str
    size: int
    kind: str | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    frames: int | None = None
    faces: int | None = None
    content: str | None = Field(
        default=None, description="What the content policy said: passed, flagged, unchecked."
    )
    signed: bool | None = None
    watermark: str | None = None
    workflow: dict[str, Any] | None = Field(
        default=None, description="Workflow that made the file: name, version, values with drawn seeds."
    )
    url: str = Field(description="Where the file is; a relative one belongs to this service.")


class Job(Model):
    """A job with everything that is known of it. Boards get it without steps, attempts and metadata."""

    id: str
    status: JobState
    kind: str
    environment: str
    workflow: str | None = None
    processors: list[str] = Field(default_factory=list, description="Of all steps, each once.")
    priority: int
    created_at: Moment
    updated_at: Moment
    started_at: Moment | None = None
    ended_at: Moment | None = None
    expires_at: Moment | None = None
    queue_position: int | None = Field(default=None, description="Jobs before this one, while it waits.")
    progress: JobProgress | None = None
    steps: list[JobStep] = Field(default_factory=list)
    attempts: list[Attempt] = Field(default_factory=list)
    failure: Failure | None = None
    results: list[JobResult] = Field(default_factory=list)
    batch: str | None = None
    consent_ref: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    links: dict[str, str] = Field(default_factory=dict)


class JobPage(Model):
    """Jobs, newest first."""

    jobs: list[Job]
    next_cursor: str | None = Field(default=None, description="Give it back as cursor to get the next page.")
