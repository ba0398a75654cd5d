"""One request in, one file out: the way in for a shell, a script or a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse

from mien.errors import InputError, OptionError
from mien.server.answers import job_path, wait_of, whole_job
from mien.server.bodies import (
    document,
    form_schema,
    is_form,
    is_json,
    plain,
    read,
    read_json,
    refuse_type,
    texts,
    words,
)
from mien.server.deps import Once, ServiceDep, Submitter, once
from mien.server.errors import problems
from mien.server.multipart import Form, UploadedFile, parse_form
from mien.server.routes.results import result_file
from mien.server.schemas import Job, JobRequest
from mien.server.streaming import FILE_ANSWERS
from mien.server.threads import threads_of
from mien.server.waiting import ended, error_of
from mien.service.words import from_text

if TYPE_CHECKING:
    from mien.jobs.rows import JobRow
    from mien.service.callers import Caller
    from mien.service.service import Service

router = APIRouter(tags=["process"])

WAIT: Final = 60.0
"""Seconds for which a client waits that does not say for how long."""
_TEXT: Final = {"type": "string"}
_FILE: Final = {"type": "string", "format": "binary"}
_PLAIN: Final = ("consent_ref", "priority", "start_within", "run_within", "retain", "resolution")
_INPUTS: Final = ("source", "source_url", "source_id", "target", "target_url", "target_id")
_OTHER: Final = ("processors", "options", "format", "name", "face_map", "metadata")
_KNOWN: Final = frozenset((*_PLAIN, *_INPUTS, *_OTHER))
_LISTS: Final = frozenset({"processors[]", "source_url[]", "source_id[]"})
"""Other names of fields that may be repeated, as some form libraries write them."""
_FORM: Final = {
    "source": {
        "type": "array",
        "items": _FILE,
        "description": "Pictures of the face that is put in, or sound.",
    },
    "source_url": {"type": "array", "items": _TEXT},
    "source_id": {"type": "array", "items": _TEXT, "description": "Ids of assets."},
    "target": {**_FILE, "description": "The picture or video that is worked on."},
    "target_url": _TEXT,
    "target_id": _TEXT,
    "processors": {**_TEXT, "description": "With commas between; face_swapper unless said otherwise."},
    "options": {**_TEXT, "description": "Options by key, as JSON. Each may also be a field of its own."},
    "format": {**_TEXT, "description": "Ending of the result, such as png or mp4."},
    "name": {**_TEXT, "description": "Name of the result."},
    "resolution": {**_TEXT, "description": "WIDTHxHEIGHT into which the result is fitted."},
    "consent_ref": _TEXT,
    "priority": {"type": "integer", "minimum": 0, "maximum": 9},
    "start_within": {"type": "number"},
    "run_within": {"type": "number"},
    "retain": {"type": "number"},
    "face_map": {**_TEXT, "description": "Which face gets which source, as JSON."},
    "metadata": {**_TEXT, "description": "The client's own data, as JSON."},
}


@router.post(
    "/process",
    response_class=Response,
    responses={
        200: {
            "description": "The result: the file, or the job where the client accepts JSON only",
            "content": {
                **FILE_ANSWERS[200]["content"],
                "application/json": {"schema": {"$ref": "#/components/schemas/Job"}},
            },
        },
        202: {"model": Job, "description": "The job, which goes on"},
        **problems(401, 403, 404, 409, 413, 415, 422, 424, 429, 500, 502, 503, 504, 507),
    },
    openapi_extra=form_schema(_FORM, {"$ref": "#/components/schemas/JobRequest"}),
)
async def process(
    request: Request,
    service: ServiceDep,
    caller: Submitter,
    prefer: Annotated[
        str | None, Header(max_length=200, description="wait=SECONDS, or respond-async.")
    ] = None,
    accept: Annotated[str | None, Header(description="application/json: the job, not the file.")] = None,
) -> Response:
    """Work on a picture or video, and answer with the result.

    Files, addresses or assets go in; the file comes back as soon as it is ready. What is not ready in the time that
    the client waits for is answered with 202 and the job, which goes on; so it does when the client goes away.
    """
    if is_json(request):
        body = await read_json(request, JobRequest)
        begun = await threads_of(request.app).ask(lambda: _submitted(request, service, caller, body, body))
    elif is_form(request):
        begun = await _from_form(request, service, caller)
    else:
        raise refuse_type()
    if isinstance(begun, Response):
        return begun
    seconds = wait_of(prefer, WAIT, service.settings.max_wait)
    row = await ended(request, service, begun, seconds)
    wants_job = "application/json" in (accept or "")
    return await threads_of(request.app).ask(lambda: _answer(request, service, row, wants_job=wants_job))


async def _from_form(request: Request, service: Service, caller: Caller) -> JobRow | Response:
    async with parse_form(request, service.settings) as form:

        def submitted() -> JobRow | Response:
            _check_names(form, service)
            ids = {
                file.path: service.assets.store_file(file.path, caller.owner, file.name).id
                for file in form.files
            }
            said = [form.fields, [[file.field, ids[file.path]] for file in form.files]]
            wish = read(_wish(form, {file: ids[file.path] for file in form.files}, service), JobRequest)
            return _submitted(request, service, caller, wish, said)

        return await threads_of(request.app).work(submitted)


def _submitted(
    request: Request, service: Service, caller: Caller, wish: JobRequest, said: Any
) -> JobRow | Response:
    """The job of a request; that of the first request where it is repeated."""
    if wish.draft:
        raise InputError("A draft is not processed; send it to POST jobs.")
    with once(request, caller, said) as slot:
        if slot.replayed is not None:
            return service.store.row(_job_of(slot), caller.owner)
        row = service.desk.submissions.submit(wish, caller, slot.seed)
        slot.answer({"id": row.id}, 202)
        return row


def _job_of(slot: Once) -> str:
    return f"job_{slot.seed}"


def _answer(request: Request, service: Service, row: JobRow, *, wants_job: bool) -> Response:
    headers = {"X-Mien-Job": row.id, "Link": f'<{job_path(service, row.id)}>; rel="related"'}
    if row.has_ended and row.status != "completed":
        raise error_of(row.job.failure)
    if row.status == "completed" and not wants_job:
        response = result_file(request, service, row)
        response.headers.update(headers)
        return response
    body = whole_job(service, row).model_dump(mode="json")
    if row.status == "completed":
        return JSONResponse(body, 200, headers)
    return JSONResponse(body, 202, {**headers, "Location": job_path(service, row.id), "Retry-After": "1"})


def _wish(form: Form, ids: Mapping[UploadedFile, str], service: Service) -> dict[str, Any]:
    """The form in the words of a job request."""
    step = {
        "sources": _sources(form, ids),
        "target": _target(form, ids),
        "options": {**_written_options(form), **_options(form, service)},
        "face_map": document(form, "face_map", []),
        "output": plain(form, ("format", "name")),
        **plain(form, ("resolution",)),
    }
    processors = words(form, "processors", "processors[]")
    if processors:
        step["processors"] = processors
    fields = plain(form, [name for name in _PLAIN if name != "resolution"])
    return {"steps": [step], "metadata": document(form, "metadata", {}), **fields}


def _sources(form: Form, ids: Mapping[UploadedFile, str]) -> list[str]:
    files = [ids[file] for file in form.files_of("source")]
    return [*files, *texts(form, "source_url", "source_url[]"), *words(form, "source_id", "source_id[]")]


def _target(form: Form, ids: Mapping[UploadedFile, str]) -> str | None:
    found = [ids[file] for file in form.files_of("target")]
    found += [*texts(form, "target_url"), *texts(form, "target_id")]
    if len(found) > 1:
        raise InputError("A step has one target; send one of target, target_url and target_id.")
    return found[0] if found else None


def _written_options(form: Form) -> dict[str, Any]:
    written = document(form, "options", {})
    if not isinstance(written, dict):
        raise InputError("The field options of the form must hold a JSON object, with the options by key.")
    return written


def _options(form: Form, service: Service) -> dict[str, Any]:
    """Options that are fields of their own."""
    items = service.desk.checker.items
    return {
        name: from_text(values, items[name])
        for name, values in form.fields.items()
        if name in items and name not in _KNOWN
    }


def _check_names(form: Form, service: Service) -> None:
    """Refuse fields that mean nothing, before any file is stored. Raises OptionError, InputError."""
    from difflib import get_close_matches

    names = {*_KNOWN, *service.desk.checker.items}
    for file in form.files:
        if file.field.removesuffix("[]") not in ("source", "target"):
            raise InputError(f"The file {file.name} came as the field {file.field}; send source or target.")
    for name in form.fields:
        if name not in names and name not in _LISTS:
            near = get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]}" if near else "GET /api/v1/capabilities lists all options"
            raise OptionError(f"There is no field or option {name[:80]}; {hint}.")
        if name in ("source", "target"):
            raise InputError(f"The field {name} is text; send a file, or use {name}_url or {name}_id.")
