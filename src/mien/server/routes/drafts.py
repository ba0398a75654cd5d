"""Drafts: the steps of a job that is not in the queue yet."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from mien.server.answers import whole_job
from mien.server.deps import ServiceDep, Submitter, once
from mien.server.errors import problems
from mien.server.routes.jobs import JobId
from mien.server.schemas import Job, StepFields, StepRequest

router = APIRouter(tags=["drafts"])

Index = Annotated[int, Path(ge=0, le=10_000, description="Number of the step, counted from 0.")]
_PROBLEMS = problems(401, 403, 404, 409, 413, 415, 422, 429, 503)


@router.post("/jobs/{id}/steps", status_code=201, response_model=Job, responses=_PROBLEMS)
def add_step(
    id: JobId,
    body: StepRequest,
    request: Request,
    service: ServiceDep,
    caller: Submitter,
    index: Annotated[
        int | None, Query(ge=0, le=10_000, description="Put it before this step; unset: at the end.")
    ] = None,
) -> Response:
    """Add a step to a draft."""
    with once(request, caller, body) as slot:
        if slot.replayed is not None:
            return slot.replayed
        return slot.answer(whole_job(service, service.desk.drafts.add(id, caller, body, index)), 201)


@router.put("/jobs/{id}/steps/{index}", response_model=Job, responses=_PROBLEMS)
def replace_step(id: JobId, index: Index, body: StepRequest, service: ServiceDep, caller: Submitter) -> Job:
    """Put another step in the place of one."""
    return whole_job(service, service.desk.drafts.replace(id, caller, index, body))


@router.delete("/jobs/{id}/steps/{index}", response_model=Job, responses=_PROBLEMS)
def remove_step(id: JobId, index: Index, service: ServiceDep, caller: Submitter) -> Job:
    """Take a step out of a draft."""
    return whole_job(service, service.desk.drafts.remove(id, caller, index))


@router.post("/jobs/{id}/steps/{index}/remix", status_code=201, response_model=Job, responses=_PROBLEMS)
def remix_step(
    id: JobId, index: Index, body: StepFields, request: Request, service: ServiceDep, caller: Submitter
) -> Response:
    """Add a step at the end that works on the result of another step."""
    with once(request, caller, body) as slot:
        if slot.replayed is not None:
            return slot.replayed
        return slot.answer(whole_job(service, service.desk.drafts.remix(id, caller, index, body)), 201)
