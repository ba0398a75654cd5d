"""What jobs made, as files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from mien.errors import AssetMissing, JobError
from mien.jobs.rows import JobRow
from mien.server.deps import Reader, ServiceDep
from mien.server.errors import problems
from mien.server.routes.jobs import JobId
from mien.server.streaming import FILE_ANSWERS, asset_file
from mien.service.service import Service

router = APIRouter(tags=["jobs"])


@router.get(
    "/jobs/{id}/result",
    response_class=Response,
    responses={**FILE_ANSWERS, **problems(401, 403, 404, 409, 416, 422, 429, 503)},
)
def job_result(
    id: JobId,
    request: Request,
    service: ServiceDep,
    caller: Reader,
    index: Annotated[int, Query(ge=0, le=10_000, description="Number of the result, counted from 0.")] = 0,
    download: Annotated[bool, Query(description="Let browsers save it instead of showing it.")] = False,
) -> Response:
    """A result, or a part of it (Range)."""
    return result_file(request, service, service.store.row(id, caller.owner), index, download=download)


def result_file(
    request: Request, service: Service, row: JobRow, index: int = 0, *, download: bool = False
) -> Response:
    """Result number ``index`` of a job as an answer. Raises JobError when there is none yet, AssetMissing."""
    if not row.results:
        what = "has no result" if row.has_ended else f"is {row.status} and has no result yet"
        raise JobError(f"The job {row.id} {what}.")
    if index >= len(row.results):
        last = len(row.results) - 1
        raise AssetMissing(f"The job {row.id} has the results 0 to {last}, so there is no result {index}.")
    asset = service.assets.get(str(row.results[index]["asset"]), row.owner)
    return asset_file(request, service.assets, asset, download=download)
