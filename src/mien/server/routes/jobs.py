"""Jobs: taken in, listed, looked at, canceled, retried and deleted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import StringConstraints

from mien.jobs.job import Status
from mien.server.answers import job_path, light_job, sequence, whole_job
from mien.server.deps import Reader, ServiceDep, Submitter, once
from mien.server.errors import problems
from mien.server.schemas import Job, JobPage, JobPatch, JobRequest

router = APIRouter(tags=["jobs"])

Name = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]+$")]
"""No database takes a text with a zero in it."""
JobId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,80}$", description="Id of a job.")]
Cursor = Annotated[Name | None, Query(description="next_cursor of the page before; none: the first page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Most entries of a page.")]


@router.post(
    "/jobs",
    status_code=202,
    response_model=Job,
    responses={
        201: {"model": Job, "description": "A draft"},
        **problems(401, 403, 409, 413, 415, 422, 429, 503, 507),
    },
)
def submit_job(body: JobRequest, request: Request, service: ServiceDep, caller: Submitter) -> Response:
    """Take in a job of one or more steps; 202 when it is in the queue, 201 for a draft."""
    with once(request, caller, body) as slot:
        if slot.replayed is not None:
            return slot.replayed
        row = service.desk.submissions.submit(body, caller, slot.seed)
        status = 201 if body.draft else 202
        return slot.answer(whole_job(service, row), status, {"Location": job_path(service, row.id)})


@router.get("/jobs", response_model=JobPage, responses=problems(401, 403, 422, 429, 503))
def list_jobs(
    service: ServiceDep,
    caller: Reader,
    status: Annotated[list[Status] | None, Query(description="Only jobs in one of these states.")] = None,
    batch: Annotated[Name | None, Query(description="Only jobs of this batch.")] = None,
    workflow: Annotated[Name | None, Query(description="Only jobs of this workflow.")] = None,
    kind: Annotated[Name | None, Query(description="Only jobs of this kind.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> JobPage:
    """The caller's jobs, newest first, without what only a single job shows."""
    found, following = service.store.page(
        owner=caller.owner,
        statuses=tuple(status or ()),
        before=sequence(cursor),
        limit=limit,
        batch=batch,
        workflow=workflow,
        kind=kind,
    )
    jobs = [light_job(service, row) for row in found]
    return JobPage(jobs=jobs, next_cursor=None if following is None else str(following))


@router.get("/jobs/{id}", response_model=Job, responses=problems(401, 403, 404, 422, 429, 503))
def show_job(id: JobId, service: ServiceDep, caller: Reader) -> Job:
    """One job with everything that is known of it."""
    return whole_job(service, service.store.row(id, caller.owner))


@router.patch("/jobs/{id}", response_model=Job, responses=problems(401, 403, 404, 409, 415, 422, 429, 503))
def change_job(id: JobId, body: JobPatch, service: ServiceDep, caller: Submitter) -> Job:
    """Change priority (while the job waits) or metadata."""
    return whole_job(service, service.desk.submissions.patch(id, caller, body))


@router.post("/jobs/{id}/cancel", response_model=Job, responses=problems(401, 403, 404, 409, 422, 429, 503))
def cancel_job(id: JobId, service: ServiceDep, caller: Submitter) -> Job:
    """Cancel a job that waits; ask one that runs to stop, which takes a moment."""
    return whole_job(service, service.desk.submissions.cancel(id, caller))


@router.post(
    "/jobs/{id}/retry",
    status_code=202,
    response_model=Job,
    responses=problems(401, 403, 404, 409, 422, 429, 503, 507),
)
def retry_job(id: JobId, service: ServiceDep, caller: Submitter) -> Job:
    """Put a failed or canceled job into the queue again; finished steps are not done again."""
    return whole_job(service, service.desk.submissions.retry(id, caller))


@router.post(
    "/jobs/{id}/submit",
    status_code=202,
    response_model=Job,
    responses=problems(401, 403, 404, 409, 422, 429, 503, 507),
)
def submit_draft(id: JobId, service: ServiceDep, caller: Submitter) -> Job:
    """Put a draft into the queue."""
    return whole_job(service, service.desk.submissions.submit_draft(id, caller))


@router.delete(
    "/jobs/{id}",
    status_code=204,
    response_class=Response,
    responses={
        202: {"model": Job, "description": "It runs, and is being canceled"},
        **problems(401, 403, 404, 409, 422, 429, 503),
    },
)
def delete_job(id: JobId, service: ServiceDep, caller: Submitter) -> Response:
    """Delete a job that has ended or was never submitted, with its results; one that is active is canceled (202)."""
    row = service.store.row(id, caller.owner)
    if row.status in ("queued", "running"):
        job = whole_job(service, service.desk.submissions.cancel(id, caller))
        return JSONResponse(job.model_dump(mode="json"), 202)
    service.desk.submissions.remove(row)
    return Response(status_code=204)
