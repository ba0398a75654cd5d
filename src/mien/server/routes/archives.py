"""Results of jobs as ZIP archives, written as they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response
from starlette.responses import StreamingResponse

from mien.errors import JobError
from mien.jobs.rows import JobRow
from mien.server.deps import Reader, ServiceDep
from mien.server.errors import problems
from mien.server.routes.jobs import JobId
from mien.service.archive import entries, stream
from mien.service.service import Service

router = APIRouter(tags=["jobs"])

BatchId = Annotated[str, Path(max_length=80, description="Id of a batch.")]

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A ZIP archive",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    },
    **problems(401, 403, 404, 409, 422, 429, 503),
}


@router.get("/jobs/{id}/results.zip", response_class=Response, responses=_ANSWERS)
def download_results(id: JobId, service: ServiceDep, caller: Reader) -> Response:
    """All results of a job in one archive."""
    row = service.store.row(id, caller.owner)
    return _archive(service, [row], f"The job {id}", id)


@router.get("/batches/{id}/archive", response_class=Response, responses=_ANSWERS)
def download_batch(id: BatchId, service: ServiceDep, caller: Reader) -> Response:
    """What is complete of a batch, in one archive, in the order of its jobs."""
    batches = service.desk.batches
    rows = sorted(batches.rows(batches.get(id, caller.owner), ("completed",)), key=lambda row: row.seq)
    return _archive(service, rows, f"The batch {id}", id)


def _archive(service: Service, rows: Iterable[JobRow], what: str, name: str) -> Response:
    """Raises JobError when there is nothing to put into it."""
    found = entries(service.assets, rows)
    if not found:
        raise JobError(f"{what} has no results, or none any more.")

    def pieces() -> Iterator[bytes]:
        yield from stream(service.assets, found)

    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return StreamingResponse(pieces(), media_type="application/zip", headers=headers)
