"""Batches as clients see them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mien.server.schemas.base import Model, Moment
from mien.server.schemas.jobs import Job


class BatchCreated(Model):
    """A batch that was taken."""

    id: str
    total: int
    jobs: list[str] = Field(
        description="Ids of the jobs: settings change fastest, then targets, then sources."
    )


class Batch(Model):
    """How far a batch is."""

    id: str
    total: int
    status: Literal["running", "completed"] = Field(description="completed: every job has ended, in any way.")
    counts: dict[str, int] = Field(description="Jobs by state.")
    created_at: Moment
    jobs: list[Job] = Field(default_factory=list, description="A page of the jobs, newest first.")
    next_cursor: str | None = None
    links: dict[str, str] = Field(default_factory=dict)


class BatchPage(Model):
    """Batches, newest first, without their jobs."""

    batches: list[Batch]
    next_cursor: str | None = None
