"""Measuring how fast this service's workers are."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from mien.server.answers import job_path, whole_job
from mien.server.deps import Admin, ServiceDep, once
from mien.server.errors import problems
from mien.server.schemas import Job
from mien.service.benchmarks import BenchmarkRequest

router = APIRouter(tags=["operation"])


@router.post(
    "/benchmark",
    status_code=202,
    response_model=Job,
    responses=problems(401, 403, 409, 415, 422, 429, 503, 507),
)
def run_benchmark(body: BenchmarkRequest, request: Request, service: ServiceDep, caller: Admin) -> Response:
    """Measure the worker that takes the job up: seconds for each run of a clip of 50 frames, and frames a second.

    The figures are the job's result, a JSON file, and those of each size come with its event `step`.
    """
    with once(request, caller, body) as slot:
        if slot.replayed is not None:
            return slot.replayed
        row = service.desk.benchmark(body, caller, slot.seed)
        return slot.answer(whole_job(service, row), 202, {"Location": job_path(service, row.id)})
