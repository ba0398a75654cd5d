"""``/api/face-swap``: face swaps alone; and the other way round, mien as the face engine of another gateway."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from mien.jobs.rows import JobRow
from mien.server.deps import CallerDep, Reader, ServiceDep, Submitter, once
from mien.server.errors import problems
from mien.server.gateway.schemas import (
    Alive,
    EngineAnswer,
    FaceSwapRequest,
    QueueStatus,
    SwapAnswer,
    SwapResult,
    Task,
    WorkflowList,
)
from mien.server.gateway.showing import output_url, task
from mien.server.threads import threads_of
from mien.server.waiting import ended
from mien.service.stages import last_results
from mien.service.tasks import FACE_SWAP, Wish
from mien.service.views import iso

if TYPE_CHECKING:
    from mien.service.callers import Caller
    from mien.service.service import Service

router = APIRouter(tags=["gateway"])

_PROBLEMS = problems(401, 403, 409, 413, 415, 422, 429, 503, 507)


@router.post(
    "/api/face-swap/create-task", response_model=Task, response_model_exclude_none=True, responses=_PROBLEMS
)
def create_face_swap(
    body: FaceSwapRequest, request: Request, service: ServiceDep, caller: Submitter
) -> Response:
    """Put a face swap into the queue."""
    with once(request, caller, body) as slot:
        if slot.replayed is not None:
            return slot.replayed
        row = _create(service, body, caller, slot.seed)
        return slot.answer(task(service, row, request).model_dump(mode="json", exclude_none=True))


@router.post("/api/face-swap/process", response_model=SwapAnswer, responses=_PROBLEMS)
async def process_face_swap(
    body: FaceSwapRequest, request: Request, service: ServiceDep, caller: Submitter
) -> SwapAnswer:
    """Swap faces and wait for the result. A swap that takes longer than the service waits goes on as a task."""
    began = time.monotonic()
    row = await _waited(body, request, service, caller)
    took = round(time.monotonic() - began, 3)
    if row.status != "completed":
        return SwapAnswer(status="failed", processing_time=took, error=_why(row, took), task_id=row.id)
    record = next(iter(last_results(row)), {})
    found = SwapResult(
        output_url=output_url(service, row, request) or "",
        task_id=row.id,
        faces=record.get("faces"),
        width=record.get("width"),
        height=record.get("height"),
    )
    return SwapAnswer(status="success", result=found, processing_time=took, task_id=row.id)


@router.get("/api/face-swap/health", response_model=Alive, responses=problems(401, 403, 429, 503))
def face_swap_health(service: ServiceDep, caller: CallerDep) -> Alive:
    """Whether somebody is there who swaps faces."""
    status = "healthy" if service.gateway.can_swap() else "unavailable"
    return Alive(status=status, timestamp=iso(time.time()) or "")


@router.get("/api/face-swap/workflows", response_model=WorkflowList, responses=problems(401, 403, 429, 503))
def list_workflows(service: ServiceDep, caller: Reader) -> WorkflowList:
    """All workflows with their parameters and where they run."""
    return WorkflowList(workflows=service.gateway.describe())


@router.get("/api/face-swap/queue-status", response_model=QueueStatus, responses=problems(401, 403, 429, 503))
def face_swap_queue(service: ServiceDep, caller: Reader) -> QueueStatus:
    """How many of the caller's jobs wait and run."""
    counts = service.store.counts(None if caller.is_admin else caller.owner)
    return QueueStatus(queue_length=counts.get("queued", 0), processing=counts.get("running", 0))


@router.post("/process", response_model=EngineAnswer, responses=_PROBLEMS)
async def engine_process(
    body: FaceSwapRequest, request: Request, service: ServiceDep, caller: Submitter
) -> Any:
    """Swap faces as a face engine does for a gateway; ``output_path`` is an address, never a path of a machine."""
    began = time.monotonic()
    row = await _waited(body, request, service, caller)
    took = round(time.monotonic() - began, 3)
    if row.status != "completed":
        code = row.job.failure.code if row.has_ended and row.job.failure else None
        return EngineAnswer(
            status="failed",
            processing_time=took,
            error=_why(row, took),
            job_id=row.id,
            metadata={"status": row.status, **({"code": code} if code else {})},
        )
    record = next(iter(last_results(row)), {})
    names = ("width", "height", "frames", "faces", "models", "content", "signed")
    return EngineAnswer(
        status="success",
        output_path=output_url(service, row, request),
        processing_time=took,
        job_id=row.id,
        metadata={name: record[name] for name in names if record.get(name) is not None},
    )


@router.get("/health", response_model=Alive, responses=problems(401, 403, 429, 503))
def engine_health(service: ServiceDep) -> Response:
    """Whether faces can be swapped; 503 when not."""
    alive = service.gateway.can_swap()
    found = Alive(status="healthy" if alive else "unavailable", timestamp=iso(time.time()) or "")
    return JSONResponse(found.model_dump(), 200 if alive else 503)


async def _waited(body: FaceSwapRequest, request: Request, service: Service, caller: Caller) -> JobRow:
    """The job of a face swap, as soon as it has ended, or as it is when the time for that is over."""

    def begin() -> JobRow:
        with once(request, caller, body) as slot:
            if slot.replayed is not None:
                return service.store.row(f"job_{slot.seed}", caller.owner)
            row = _create(service, body, caller, slot.seed)
            slot.answer({"task_id": row.id})
            return row

    row = await threads_of(request.app).ask(begin)
    return await ended(request, service, row, service.settings.remote_engine_timeout)


def _create(service: Service, body: FaceSwapRequest, caller: Caller, seed: str) -> JobRow:
    data = body.model_dump(include={"source_url", "target_url", "resolution", "model"}, exclude_none=True)
    wish = Wish(FACE_SWAP, data, FACE_SWAP, body.priority, body.consent_ref)
    return service.gateway.tasks.create(wish, caller, seed)


def _why(row: JobRow, took: float) -> str:
    if row.job.failure is not None and row.has_ended:
        return row.job.failure.message
    return f"The swap was not done within {took:.0f} seconds; it goes on, and the task {row.id} tells when it is."
