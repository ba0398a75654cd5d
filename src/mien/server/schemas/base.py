"""What all answers have in common, and the answer to everything that goes wrong."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Moment: TypeAlias = Annotated[
    str,
    Field(
        description="A moment as ISO 8601 has it, in UTC.",
        examples=["2026-08-01T12:00:00.000Z"],
        json_schema_extra={"format": "date-time"},
    ),
]


class Model(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True)


class FieldProblem(Model):
    """What is wrong with one field of a request."""

    field: str = Field(description="Path of the field, such as steps.0.options.face_swapper_weight.")
    message: str


class ErrorBody(Model):
    """What went wrong."""

    code: str = Field(description="Stable name of the error, for programs.")
    message: str = Field(description="One sentence for people.")
    details: list[FieldProblem] = Field(default_factory=list)
    request_id: str = Field(
        default="", description="As in the header X-Request-Id, and in the service's log."
    )


class ErrorEnvelope(Model):
    """The answer to every request that was not done."""

    error: ErrorBody
