"""What clients ask for, in the words of the API: steps, jobs, batches. Checked here for form only.

What the words mean, and whether the service does it, is the matter of ``mien.service.checking``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

LONGEST_METADATA: Final = 4096
"""Bytes of a client's own data, as JSON."""
DEEPEST: Final = 40
"""Lists and objects within each other in what clients send; far more than any request needs."""

ASSET_ID: Final = r"^[0-9a-f]{64}$"
_ASSET: Final = re.compile(ASSET_ID)
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")

AssetRef: TypeAlias = Annotated[
    str,
    Field(
        min_length=1,
        max_length=8192,
        description="Id of an asset (64 hexadecimal digits), or an https address from which it is fetched.",
        examples=["https://example.org/face.jpg"],
    ),
]
Scalar: TypeAlias = bool | int | float | str
OptionValue: TypeAlias = Scalar | list[Scalar] | None
JobEventType: TypeAlias = Literal[
    "job.running", "job.completed", "job.failed", "job.canceled", "batch.completed"
]


class Request(BaseModel):
    """Base of everything that clients send: unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, data: Any) -> Any:
        """No database takes a text with a zero, and no JSON one with half a character, or a number that is none."""
        if isinstance(data, Mapping):
            for key, value in data.items():
                if not _is_shallow(value, DEEPEST):
                    raise ValueError(f"{str(key)[:80]!r} is nested more than {DEEPEST} deep")
                if not _is_storable(key) or not _is_storable(value):
                    raise ValueError(f"{str(key)[:80]!r} holds something that cannot be stored")
        return data


class StepResult(Request):
    """The result of an earlier step of the same job, as a target."""

    step: int = Field(ge=0, description="Number of the step, counted from 0.")


class FaceAt(Request):
    """A face of the target, by where it is."""

    frame: int = Field(default=0, ge=0, description="Number of the frame, counted from 0.")
    box: list[float] = Field(
        min_length=4, max_length=4, description="Left, top, right and bottom edge, in pixels of the target."
    )


class FaceAssignment(Request):
    """Which sources one face of the target gets."""

    face: str | FaceAt = Field(
        description="Id of a face as POST faces/detect gives it, or where the face is."
    )
    sources: list[AssetRef] = Field(min_length=1, max_length=100, description="Pictures of the new face.")


class OutputRequest(Request):
    """What the result is called and how it is written."""

    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Name of the result; a folder is not part of it.",
    )
    format: str | None = Field(
        default=None, min_length=1, max_length=10, description="File format, such as png, jpg, mp4, webm."
    )


class WorkflowCall(Request):
    """A ComfyUI workflow that does the step."""

    name: str = Field(min_length=1, max_length=200)
    parameters: dict[str, Any] = Field(default_factory=dict)


class StepFields(Request):
    """What a step may say, nothing of it required."""

    processors: list[str] | None = Field(
        default=None,
        max_length=30,
        description="What is done, in this order; face_swapper unless said otherwise.",
    )
    sources: list[AssetRef] = Field(
        default_factory=list, max_length=1000, description="Pictures or sound that are put in."
    )
    target: AssetRef | StepResult | None = Field(
        default=None, description="Picture or video that is worked on."
    )
    options: dict[str, OptionValue] = Field(
        default_factory=dict, description="Options by key, as GET capabilities lists them."
    )
    face_map: list[FaceAssignment] = Field(
        default_factory=list, max_length=1000, description="Which face of the target gets which source."
    )
    output: OutputRequest = Field(default_factory=lambda: OutputRequest())
    resolution: str | None = Field(
        default=None,
        pattern=r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$",
        description="WIDTHxHEIGHT into which the result is fitted; it is never distorted.",
        examples=["1024x1024"],
    )
    workflow: WorkflowCall | None = Field(
        default=None, description="A ComfyUI workflow in place of processors."
    )


class StepRequest(StepFields):
    """One piece of work: sources and a target in, a result out."""


class WebhookCall(Request):
    """An address that is called when the job has ended."""

    url: str = Field(min_length=1, max_length=2048)
    events: list[JobEventType] | None = Field(
        default=None, description="Which events; all of the job when unset."
    )


class JobFields(Request):
    """What jobs and batches have in common."""

    priority: int = Field(default=5, ge=0, le=9, description="0 is first, 9 is last.")
    consent_ref: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="Reference to the consent of the people shown.",
    )
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="The client's own data, kept and returned as it is; at most 4 kB."
    )
    webhook: WebhookCall | None = None
    start_within: float | None = Field(
        default=None, gt=0, le=30 * 86400, description="Seconds after which a job that still waits fails."
    )
    run_within: float | None = Field(
        default=None, gt=0, le=30 * 86400, description="Seconds after which a running job fails."
    )
    retain: float | None = Field(
        default=None, gt=0, le=3650 * 86400, description="Seconds that the job and its results are kept."
    )

    @model_validator(mode="after")
    def _small(self) -> JobFields:
        _check_metadata(self.metadata)
        return self


class JobRequest(JobFields):
    """A job of one or more steps. A body with the keys of a step beside those of the job is a job of that step."""

    steps: list[StepRequest] = Field(default_factory=list, max_length=1000)
    draft: bool = Field(
        default=False, description="Only note the job; POST jobs/{id}/submit puts it into the queue."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_one_step(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "steps" in data:
            return data
        step = {key: value for key, value in data.items() if key in StepRequest.model_fields}
        if not step:
            return data
        return {**{key: value for key, value in data.items() if key not in step}, "steps": [step]}


class BatchSettings(Request):
    """One way of working; a batch has a job for each."""

    processors: list[str] | None = Field(default=None, max_length=30)
    options: dict[str, OptionValue] = Field(default_factory=dict)
    output: OutputRequest = Field(default_factory=lambda: OutputRequest())
    resolution: str | None = Field(default=None, pattern=r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$")


class BatchRequest(JobFields):
    """Jobs of every combination: sources x targets x settings."""

    sources: list[AssetRef | list[AssetRef]] = Field(
        default_factory=list,
        max_length=10_000,
        description="Sources; a list of several is used together. None: one job without sources.",
    )
    targets: list[AssetRef] = Field(min_length=1, max_length=10_000)
    settings: list[BatchSettings] = Field(
        default_factory=lambda: [BatchSettings()], min_length=1, max_length=1000
    )


class JobPatch(Request):
    """What may be changed of a job that has not ended."""

    priority: int | None = Field(default=None, ge=0, le=9)
    metadata: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _small(self) -> JobPatch:
        _check_metadata(self.metadata)
        return self


class PreviewRequest(StepRequest):
    """One frame of what a step would make."""

    frame: int = Field(default=0, ge=0, description="Number of the frame, counted from 0.")
    size: int | None = Field(
        default=720,
        ge=32,
        le=8192,
        description="Longest side in pixels to which the frame is scaled down first.",
    )


class DetectRequest(Request):
    """Find the faces of a picture, or of one frame of a video."""

    asset: AssetRef
    frame: int = Field(default=0, ge=0)
    options: dict[str, OptionValue] = Field(default_factory=dict)
    crops: bool = Field(default=False, description="Also return a picture of each face.")
    crop_size: int = Field(default=128, ge=32, le=512, description="Longest side of these pictures.")


class TimelineRequest(Request):
    """Look for faces all over a video."""

    asset: AssetRef
    every: float = Field(default=1.0, gt=0, le=3600, description="Seconds between two looks.")
    thumbnails: bool = True


class LiveRequest(Request):
    """First message of a live connection."""

    sources: list[AssetRef] = Field(default_factory=list, max_length=100)
    processors: list[str] | None = Field(default=None, max_length=30)
    options: dict[str, OptionValue] = Field(default_factory=dict)
    size: int | None = Field(
        default=None, ge=32, le=4096, description="Longest side of the pictures that come back."
    )


def _check_metadata(metadata: Mapping[str, Any] | None) -> None:
    import json

    if metadata is not None and len(json.dumps(metadata).encode()) > LONGEST_METADATA:
        raise ValueError(f"metadata may have {LONGEST_METADATA} bytes at most")


def _is_storable(value: Any) -> bool:
    if isinstance(value, str):
        return _UNSTORABLE.search(value) is None
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(_is_storable(key) and _is_storable(item) for key, item in value.items())
    return not isinstance(value, list) or all(map(_is_storable, value))


def _is_shallow(value: Any, left: int) -> bool:
    if not isinstance(value, Mapping | list):
        return True
    inside = value.values() if isinstance(value, Mapping) else value
    return left > 0 and all(_is_shallow(item, left - 1) for item in inside)


def is_asset_id(text: str) -> bool:
    """Whether a reference names an asset rather than an address."""
    return bool(_ASSET.fullmatch(text))
