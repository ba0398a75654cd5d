"""What clients of task gateways send and read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mien.server.schemas.base import Model, Moment
from mien.service.requests import Request
from mien.service.tasks import Environment, TaskStatus

LONGEST_DATA = 100
"""Entries of task_data."""
MOST_FILES = 100
"""Files of one result."""


class TaskCreate(Request):
    """A task that is wanted."""

    workflow: str = Field(
        min_length=1, max_length=100, description="face_swap, or the name of a ComfyUI workflow."
    )
    environment: Literal["face_swap", "comm", "auto"] = "auto"
    task_data: dict[str, Any] = Field(
        max_length=LONGEST_DATA,
        description="face_swap: source_url, target_url, and resolution and model if wanted; else the workflow's "
        "parameters.",
        examples=[
            {
                "source_url": "https://example.org/face.jpg",
                "target_url": "https://example.org/target.jpg",
                "resolution": "1024x1024",
                "model": "inswapper_128_fp16",
            }
        ],
    )
    priority: int = Field(default=5, ge=0, le=9, description="0 is first.")
    consent_ref: str | None = Field(default=None, max_length=500)


class FaceSwapRequest(Request):
    """A face swap that is wanted."""

    source_url: str = Field(
        min_length=1, max_length=8192, description="A picture of the face that is put in."
    )
    target_url: str = Field(min_length=1, max_length=8192, description="The picture or video to work on.")
    resolution: str = Field(
        default="1024x1024", pattern=r"^\d{3,4}x\d{3,4}$", description="The result fits within it."
    )
    model: str | None = Field(default=None, max_length=100, description="A face swapper model.")
    priority: int = Field(default=5, ge=0, le=9, description="0 is first.")
    consent_ref: str | None = Field(default=None, max_length=500)


class OutputData(Model):
    """Where a result is."""

    url: str
    urls: list[str] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_FILES,
        description="All files of a result of several, the first of which is the one at url.",
    )


class Task(Model):
    """A task with its state."""

    taskId: str
    workflow: str
    workflow_name: str
    environment: Environment
    target_port: int
    params: dict[str, Any]
    status: TaskStatus
    created_at: Moment
    updated_at: Moment
    priority: int
    output_data: OutputData | None = None
    error: str | None = None


class TaskState(Model):
    """A task, its state and its result."""

    task: Task
    status: TaskStatus
    result: OutputData | None = None


class TaskList(Model):
    """Tasks, newest first."""

    tasks: list[Task]
    queue_length: int
    next_cursor: str | None = Field(default=None, description="For the next page, if there is one.")


class TasksCleared(Model):
    """What became of the tasks."""

    cancelled: int
    deleted: int


class TaskPatch(Request):
    """A state that is set by hand."""

    status: Literal["PENDING", "COMPLETED", "FAILED", "CANCELLED"]
    output_data: OutputData | None = Field(default=None, description="For COMPLETED: where the result is.")


class FetchedTask(Task):
    """A task with the right to work on it."""

    lease_token: str
    lease_expires_at: Moment
    consent_ref: str | None = None
    stage: int = Field(default=1, description="Which stage of the task this is, counted from 1.")
    stages: int = Field(
        default=1, description="Stages of the task; the result of all but the last is uploaded as an asset."
    )


class TaskFetched(Model):
    """The task that is due next, if there is one."""

    code: int = 200
    success: bool = True
    data: FetchedTask | None = None
    message: str


class LeaseState(Model):
    """How long a task may be worked on without another sign of life."""

    taskId: str
    status: TaskStatus
    lease_expires_at: Moment | None = None
    cancel_requested: bool = False


class Reported(Model):
    """The answer to a report about a task."""

    code: int = 200
    success: bool = True
    data: LeaseState
    message: str


class Heartbeat(Request):
    """A sign of life."""

    lease_token: str | None = Field(default=None, max_length=200, description="If not in X-Lease-Token.")
    lease_seconds: float | None = Field(default=None, ge=5, le=3600)
    progress: dict[str, Any] | None = Field(default=None, max_length=20)


class CompleteTask(Request):
    """The end of a task, or of one stage of it: where its result is, or the assets as which it was uploaded."""

    lease_token: str | None = Field(default=None, max_length=200, description="If not in X-Lease-Token.")
    output_data: OutputData | None = None
    asset: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    assets: list[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_FILES,
        description="In the place of asset, for a result of several files; the first one is the result.",
    )
    notices: list[Annotated[str, Field(max_length=2000)]] = Field(
        default_factory=list, max_length=20, description="What the task's owner should know of the result."
    )


class FailTask(Request):
    """A task that could not be done."""

    lease_token: str | None = Field(default=None, max_length=200, description="If not in X-Lease-Token.")
    error: str = Field(min_length=1, max_length=1000)
    code: str | None = Field(
        default=None, max_length=100, description="Code of the error, as in error envelopes."
    )
    retryable: bool = False
    give_back: bool = Field(default=False, description="The task was not begun; it costs it no try.")


class SwapResult(Model):
    """What a face swap made."""

    output_url: str
    task_id: str
    faces: int | None = None
    width: int | None = None
    height: int | None = None


class SwapAnswer(Model):
    """The end of a face swap that was waited for."""

    status: Literal["success", "failed"]
    result: SwapResult | None = None
    processing_time: float
    error: str | None = None
    task_id: str


class EngineAnswer(Model):
    """What a face engine answers."""

    status: Literal["success", "failed"]
    output_path: str | None = Field(default=None, description="Address of the result.")
    processing_time: float
    error: str | None = None
    job_id: str
    metadata: dict[str, Any] = Field(default_factory=dict)


class WorkflowList(Model):
    """What the face engine and the instances can do."""

    workflows: list[dict[str, Any]]


class QueueStatus(Model):
    """How busy the face engine is."""

    queue_length: int
    processing: int


class Alive(Model):
    """A sign of life."""

    status: str
    timestamp: Moment


class Unserved(Model):
    """Tasks that wait for a worker that there is not."""

    environment: str
    waiting: int


class GatewayStatus(Model):
    """What the gateway reaches."""

    api: Literal["running"] = "running"
    comfyui: Literal["connected", "disconnected"]
    face_swap: Literal["available", "unavailable"]
    storage: Literal["configured", "error"]
    queue_length: int
    instances: list[dict[str, Any]] = Field(
        default_factory=list, description="Each ComfyUI instance; for the scope admin."
    )
    unserved: list[Unserved] = Field(
        default_factory=list, description="Environments whose tasks wait, and that no living worker serves."
    )


class Interrupt(Request):
    """The task that is to be stopped."""

    task_id: str | None = Field(default=None, max_length=80)


class Interrupted(Model):
    """What was stopped."""

    status: Literal["interrupted"] = "interrupted"
    tasks: list[str]
