"""Batches: many jobs at once."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from mien.jobs.job import Status
from mien.server.answers import light_job, sequence
from mien.server.deps import Reader, ServiceDep, Submitter, once
from mien.server.errors import problems
from mien.server.routes.jobs import Cursor, Limit
from mien.server.schemas import Batch, BatchCreated, BatchPage, BatchRequest
from mien.service.batches import BatchRow, has_ended
from mien.service.service import Service
from mien.service.views import PREFIX, iso

router = APIRouter(tags=["batches"])

BatchId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,80}$", description="Id of a batch.")]


@router.post(
    "/batches",
    status_code=202,
    response_model=BatchCreated,
    responses=problems(401, 403, 409, 413, 415, 422, 429, 503, 507),
)
def submit_batch(body: BatchRequest, request: Request, service: ServiceDep, caller: Submitter) -> Response:
    """Take in a job for every combination of sources, targets and settings: all of them, or none."""
    with once(request, caller, body) as slot:
        if slot.replayed is not None:
            return slot.replayed
        batch, ids = service.desk.batches.create(body, caller, slot.seed)
        place = f"{service.settings.root_path}{PREFIX}/batches/{batch.id}"
        return slot.answer(BatchCreated(id=batch.id, total=batch.total, jobs=ids), 202, {"Location": place})


@router.get("/batches", response_model=BatchPage, responses=problems(401, 403, 422, 429, 503))
def list_batches(service: ServiceDep, caller: Reader, limit: Limit = 50, cursor: Cursor = None) -> BatchPage:
    """The caller's batches, newest first, without their jobs."""
    found, following = service.desk.batches.page(caller.owner, cursor, limit)
    return BatchPage(batches=[_batch(service, row) for row in found], next_cursor=following)


@router.get("/batches/{id}", response_model=Batch, responses=problems(401, 403, 404, 422, 429, 503))
def show_batch(
    id: BatchId, service: ServiceDep, caller: Reader, limit: Limit = 50, cursor: Cursor = None
) -> Batch:
    """How far a batch is, with a page of its jobs; results of those that are complete can be fetched already."""
    row = service.desk.batches.get(id, caller.owner)
    found, following = service.store.page(
        owner=caller.owner, batch=row.id, before=sequence(cursor), limit=limit
    )
    jobs = [light_job(service, job) for job in found]
    return _batch(service, row, jobs=jobs, next_cursor=None if following is None else str(following))


@router.post("/batches/{id}/cancel", response_model=Batch, responses=problems(401, 403, 404, 422, 429, 503))
def cancel_batch(id: BatchId, service: ServiceDep, caller: Submitter) -> Batch:
    """Cancel all jobs of a batch that have not ended; what is complete stays."""
    return _batch(service, service.desk.batches.cancel(id, caller))


@router.delete(
    "/batches/{id}",
    status_code=204,
    response_class=Response,
    responses={
        202: {"model": Batch, "description": "Some of its jobs are being canceled"},
        **problems(401, 403, 404, 422, 429, 503),
    },
)
def delete_batch(id: BatchId, service: ServiceDep, caller: Submitter) -> Response:
    """Delete a batch with its jobs and their results; while some are active, they are only canceled (202)."""
    batches = service.desk.batches
    batch = batches.get(id, caller.owner)
    if not has_ended(batches.counts(id)):
        shown = _batch(service, batches.cancel(id, caller))
        return JSONResponse(shown.model_dump(mode="json"), 202)
    for row in batches.rows(batch):
        service.desk.submissions.remove(row)
    batches.forget(batch)
    return Response(status_code=204)


def _batch(service: Service, row: BatchRow, **more: Any) -> Batch:
    counts: dict[Status, int] = service.desk.batches.counts(row.id)
    own = f"{service.settings.root_path}{PREFIX}/batches/{row.id}"
    return Batch.model_validate(
        {
            "id": row.id,
            "total": row.total,
            "status": "completed" if has_ended(counts) else "running",
            "counts": counts,
            "created_at": iso(row.created_at),
            "links": {"self": own, "archive": f"{own}/archive", "cancel": f"{own}/cancel"},
            **more,
        }
    )
