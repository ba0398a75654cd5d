"""What the gateway reaches, and the ComfyUI instances behind it."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter

from mien.errors import Forbidden
from mien.server.deps import Reader, ServiceDep, Submitter
from mien.server.errors import problems
from mien.server.gateway.schemas import Alive, GatewayStatus, Interrupt, Interrupted, Unserved
from mien.service.views import iso

router = APIRouter(prefix="/api", tags=["gateway"])


@router.get("/health", response_model=Alive)
def gateway_health() -> Alive:
    """A sign of life."""
    return Alive(status="healthy", timestamp=iso(time.time()) or "")


@router.get("/status", response_model=GatewayStatus, responses=problems(401, 403, 429, 503))
def gateway_status(service: ServiceDep, caller: Reader) -> GatewayStatus:
    """What is reached at this moment; every answer comes from asking."""
    gateway = service.gateway
    instances = gateway.instances()
    owner = None if caller.is_admin else caller.owner
    return GatewayStatus(
        comfyui="connected"
        if any(found["state"] in ("ready", "busy") for found in instances)
        else "disconnected",
        face_swap="available" if gateway.can_swap() else "unavailable",
        storage="configured" if service.health.storage_works() else "error",
        queue_length=gateway.tasks.queue_length(owner),
        instances=instances if caller.is_admin else [],
        unserved=[Unserved(**found) for found in gateway.unserved(owner)],
    )


@router.get("/comfyui-queue-status", responses=problems(401, 403, 429, 503))
def comfyui_queue(service: ServiceDep, caller: Reader) -> dict[str, Any]:
    """How busy each ComfyUI instance is; what runs there is nobody else's business."""
    return {"instances": service.gateway.queues()}


@router.get("/comfyui-system-stats", responses=problems(401, 403, 429, 503))
def comfyui_system(service: ServiceDep, caller: Reader) -> dict[str, Any]:
    """Versions, devices and memory of each ComfyUI instance, without its paths and arguments."""
    return {"instances": service.gateway.system_stats()}


@router.post("/comfyui-interrupt", response_model=Interrupted,
             responses=problems(401, 403, 404, 409, 415, 422, 429, 503))  # fmt: skip
def interrupt(body: Interrupt, service: ServiceDep, caller: Submitter) -> Interrupted:
    """Stop one task; without a task, all that run in ComfyUI, for which the scope admin is needed."""
    if body.task_id is not None:
        owner = None if caller.is_admin else caller.owner
        row = service.gateway.tasks.get(body.task_id, owner)
        service.gateway.tasks.cancel(row, caller)
        return Interrupted(tasks=[row.id])
    if not caller.is_admin:
        raise Forbidden("Name the task that is to be stopped; only a key with the scope admin can stop all.")
    return Interrupted(tasks=service.gateway.tasks.cancel_running_workflows(caller))
