"""Faces: found in a picture, in one frame of a video, or all over it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from mien.errors import InputError
from mien.server.bodies import document, form_schema, is_form, is_json, plain, read, read_json, refuse_type
from mien.server.deps import Reader, ServiceDep
from mien.server.errors import problems
from mien.server.multipart import parse_form
from mien.server.schemas import DetectRequest, FaceList, TimelineRequest
from mien.server.threads import threads_of

router = APIRouter(tags=["faces"])

_PROBLEMS = problems(401, 403, 404, 413, 415, 422, 424, 429, 503, 507)
_NO_ASSET = "0" * 64
_FORM = {
    "file": {"type": "string", "format": "binary", "description": "The picture or video."},
    "frame": {"type": "integer", "minimum": 0, "maximum": 2**31},
    "options": {"type": "string", "description": "Options by key, as JSON."},
    "crops": {"type": "boolean"},
    "crop_size": {"type": "integer", "minimum": 32, "maximum": 512},
}


@router.post(
    "/faces/detect",
    response_model=FaceList,
    responses=_PROBLEMS,
    openapi_extra=form_schema(_FORM, {"$ref": "#/components/schemas/DetectRequest"}, ["file"]),
)
async def detect_faces(request: Request, service: ServiceDep, caller: Reader) -> FaceList:
    """Find the faces of a picture, or of one frame of a video: an upload, or an asset."""
    looking, threads = service.desk.looking, threads_of(request.app)
    if is_json(request):
        body = await read_json(request, DetectRequest)
        return FaceList.model_validate(await threads.look(lambda: looking.detect_asset(body, caller)))
    if not is_form(request):
        raise refuse_type()
    async with parse_form(request, service.settings, files=1) as form:
        files = form.files_of("file")
        if not files:
            raise InputError("The form has no file; send the picture as the field file.")
        values: dict[str, Any] = plain(form, ("frame", "crops", "crop_size"))
        values |= {"asset": _NO_ASSET, "options": document(form, "options", {})}
        wish = read(values, DetectRequest)
        found = await threads.look(lambda: looking.detect(files[0].path, wish))
    return FaceList.model_validate(found)


@router.post(
    "/faces/timeline",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            "description": "One TimelineEntry on each line",
        },
        **_PROBLEMS,
    },
)
async def face_timeline(
    body: TimelineRequest, request: Request, service: ServiceDep, caller: Reader
) -> Response:
    """Where faces are in a video: moments, one for about every so many seconds, each as soon as it was looked at."""
    threads = threads_of(request.app)
    views = await threads.look(lambda: service.desk.looking.timeline(body, caller))
    return StreamingResponse(_lines(views), media_type="application/x-ndjson")


def _lines(views: Iterator[dict[str, Any]]) -> Iterator[str]:
    for view in views:
        yield json.dumps(view, separators=(",", ":")) + "\n"
