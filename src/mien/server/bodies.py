"""Bodies that may come as JSON or as a form with files, read by the same models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from mien.errors import InputError, UnsupportedMedia

if TYPE_CHECKING:
    from starlette.requests import Request

    from mien.server.multipart import Form

M = TypeVar("M", bound=BaseModel)

MAX_DOCUMENT = 8 << 20
"""Bytes of a JSON body."""


def is_json(request: Request) -> bool:
    """Whether the body is said to be JSON."""
    return _kind(request) == "application/json" or _kind(request).endswith("+json")


def is_form(request: Request) -> bool:
    """Whether the body is said to be a form."""
    return _kind(request) in ("multipart/form-data", "application/x-www-form-urlencoded")


def refuse_type() -> UnsupportedMedia:
    """The error for every other body."""
    return UnsupportedMedia("Send application/json or multipart/form-data.")


async def read_json(request: Request, model: type[M]) -> M:
    """The body as a model; raises RequestValidationError with the fields that are wrong, InputError for no JSON."""
    body = await request.body()
    if not body:
        raise InputError("The request has no body; send a JSON object.")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise InputError("The body of the request is not well-formed JSON.") from None
    return read(data, model)


def read(data: Any, model: type[M]) -> M:
    """Data as a model; raises RequestValidationError with the fields that are wrong."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = [{**item, "loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
        raise RequestValidationError(found) from None


def document(form: Form, field: str, default: Any = None) -> Any:
    """The JSON of a form's field; ``default`` when there is none. Raises InputError."""
    text = form.value(field)
    if text is None:
        return default
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"The field {field} of the form is not well-formed JSON.") from None


def words(form: Form, *fields: str) -> list[str]:
    """The values of fields that may be repeated, or hold several words with commas between."""
    return [
        part.strip()
        for field in fields
        for value in form.fields.get(field, [])
        for part in value.split(",")
        if part.strip()
    ]


def texts(form: Form, *fields: str) -> list[str]:
    """The values of fields that may be repeated, as they are; empty ones are left out."""
    return [value for field in fields for value in form.fields.get(field, []) if value]


def plain(form: Form, names: Sequence[str]) -> dict[str, Any]:
    """The last value of each of these fields that has one, as text, for a model to read."""
    return {name: value for name in names if (value := form.value(name)) is not None}


def form_schema(
    properties: Mapping[str, Any], json_schema: Mapping[str, Any] | None, required: Sequence[str] = ()
) -> dict[str, Any]:
    """What OpenAPI says of a body that is a form, or the JSON of ``json_schema``."""
    form: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    if required:
        form["required"] = list(required)
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    if json_schema is not None:
        content["application/json"] = {"schema": dict(json_schema)}
    return {"requestBody": {"required": True, "content": content}}


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
