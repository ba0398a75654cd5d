"""What the service can do: processors, options, models, limits; and how long a job will take."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mien.server.schemas.base import Model
from mien.service.requests import Request, Scalar


class OptionEntry(Model):
    """One option, with all that a form needs."""

    key: str
    type: Literal["string", "integer", "number", "boolean"]
    multiple: bool = Field(description="Whether the value is a list.")
    default: Scalar | list[Scalar] | None = None
    choices: list[Scalar] = Field(default_factory=list)
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    unit: str | None = None
    title: str
    help: str
    advanced: bool
    locked: bool = Field(default=False, description="The operator fixed it; other values are refused.")


class OptionGroup(Model):
    """Options that belong together."""

    name: str
    title: str
    options: list[OptionEntry]


class ProcessorEntry(Model):
    """One thing that can be done."""

    name: str
    title: str
    description: str
    needs: dict[str, Any] = Field(
        description="source: face, audio, or null; faces: whether faces of the target are worked on."
    )
    synthetic: bool = Field(description="Whether results show something that was not there.")
    options: list[OptionEntry]


class ModelLicence(Model):
    """On what terms a model may be used."""

    id: str
    licence: str
    vendor: str
    commercial_use: bool
    allowed: bool = Field(description="Whether the operator allows models of this licence.")


class Limits(Model):
    """How much the service takes."""

    max_upload_bytes: int
    max_request_bytes: int
    max_pixels: int
    max_seconds: float
    max_steps: int
    max_sources: int
    max_batch: int
    max_wait: float


class Policy(Model):
    """What the operator asks of requests."""

    require_consent: bool
    content_policy: Literal["refuse", "flag", "off"]
    marking_required: bool
    allow_noncommercial: bool
    allow_model_downloads: bool


class WorkflowParameter(Model):
    """One parameter of a workflow, with all that a form needs."""

    name: str
    type: Literal["str", "int", "float", "bool", "choice", "image", "seed", "resolution"]
    title: str
    description: str
    required: bool
    default: Any = None
    min: float | None = None
    max: float | None = Field(
        default=None, description="Of a resolution, for each side; of a text, its length."
    )
    step: int | None = None
    choices: list[str] = Field(
        default_factory=list, description="Of a choice; empty: what the instance offers."
    )


class WorkflowEntry(Model):
    """A workflow that a step may name."""

    name: str
    version: int
    title: str
    description: str
    environments: list[str] = Field(description="Where its stages run: local is the face engine.")
    available: bool = Field(description="Whether somebody is there now who runs it.")
    parameters: list[WorkflowParameter]


class Capabilities(Model):
    """Everything that a client needs to build a request, or a form for one."""

    version: str
    processors: list[ProcessorEntry]
    option_groups: list[OptionGroup]
    workflows: list[WorkflowEntry] = Field(default_factory=list)
    formats: dict[str, list[str]] = Field(description="Endings of results, by kind of target.")
    limits: Limits
    policy: Policy
    features: dict[str, bool]
    models_licences: list[ModelLicence]


class ModelEntry(Model):
    """One model of the catalogue."""

    id: str
    title: str
    processors: list[str]
    family: str
    families: list[str]
    installed: bool
    state: str
    size: int | None = None
    licence: str
    vendor: str
    year: int
    homepage: str
    commercial_use: bool
    allowed: bool


class DownloadRequest(Request):
    """Models to bring: their ids, or processors whose default models are wanted."""

    models: list[str] = Field(min_length=1, max_length=500)


class Estimate(Model):
    """How long a job will work once it has begun, in seconds."""

    seconds: float
    low: float
    high: float
    basis: Literal["measured", "benchmark", "guess"]
    steps: list[Estimate] = Field(default_factory=list)
