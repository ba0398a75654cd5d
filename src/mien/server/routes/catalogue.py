"""What the service can do."""

from __future__ import annotations

from fastapi import APIRouter

from mien.server.deps import Reader, ServiceDep
from mien.server.errors import problems
from mien.server.schemas import Capabilities, ProcessorEntry

router = APIRouter(tags=["catalogue"])


@router.get("/processors", response_model=list[ProcessorEntry], responses=problems(401, 403, 429, 503))
def list_processors(service: ServiceDep, caller: Reader) -> list[ProcessorEntry]:
    """What can be done with pictures and videos, with all options."""
    return [ProcessorEntry.model_validate(entry) for entry in service.desk.capabilities.processor_list()]


@router.get("/capabilities", response_model=Capabilities, responses=problems(401, 403, 429, 503))
def show_capabilities(service: ServiceDep, caller: Reader) -> Capabilities:
    """Everything that a client needs to build a request, or a form for one."""
    return Capabilities.model_validate(service.desk.capabilities.document())
