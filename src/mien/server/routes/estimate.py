"""How long a job will take."""

from __future__ import annotations

from fastapi import APIRouter

from mien.server.deps import ServiceDep, Submitter
from mien.server.errors import problems
from mien.server.schemas import Estimate, JobRequest

router = APIRouter(tags=["jobs"])


@router.post("/estimate", response_model=Estimate, responses=problems(401, 403, 413, 415, 422, 429, 503))
def estimate_job(body: JobRequest, service: ServiceDep, caller: Submitter) -> Estimate:
    """How long a job would work once it has begun, in seconds, and how sure that is. Nothing is stored."""
    return Estimate.model_validate(service.desk.estimate(body, caller))
