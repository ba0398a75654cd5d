"""What a step would make of one frame."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from mien.server.deps import ServiceDep, Submitter
from mien.server.errors import problems
from mien.server.schemas import PreviewRequest
from mien.server.threads import threads_of

router = APIRouter(tags=["preview"])


@router.post(
    "/preview",
    response_class=Response,
    responses={
        200: {
            "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
            "description": "The frame",
            "headers": {
                "X-Mien-Faces": {"schema": {"type": "integer"}, "description": "Faces that were worked on."},
                "X-Mien-Milliseconds": {"schema": {"type": "number"}, "description": "Time of the work."},
                "X-Mien-Models": {"schema": {"type": "string"}, "description": "Ids, with commas between."},
            },
        },
        **problems(401, 403, 404, 409, 413, 415, 422, 424, 429, 503, 507),
    },
)
async def preview_step(
    body: PreviewRequest,
    request: Request,
    service: ServiceDep,
    caller: Submitter,
    x_mien_preview_group: Annotated[
        str | None, Header(max_length=200, description="A newer preview of the group cancels this one (409).")
    ] = None,
) -> Response:
    """One frame of what a step would make, as JPEG; nothing is stored, and it carries the same marks as a result."""
    looking = service.desk.looking
    made = await threads_of(request.app).look(lambda: looking.preview(body, caller, x_mien_preview_group))
    headers = {
        "X-Mien-Faces": str(made.faces),
        "X-Mien-Milliseconds": f"{made.milliseconds:.1f}",
        "X-Mien-Models": ",".join(made.models),
        "Cache-Control": "no-store",
    }
    return Response(made.content, media_type="image/jpeg", headers=headers)
