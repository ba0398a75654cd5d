"""The service itself: whether it works, and what it runs on."""

from __future__ import annotations

from fastapi import APIRouter, Response

from mien.errors import DatabaseUnavailable, RateLimited, Unauthorized
from mien.server.deps import Reader, ServiceDep, VisitDep
from mien.server.errors import problems
from mien.server.moments import moment
from mien.server.schemas import Health, System
from mien.server.visit import Visit, key_of, session_of
from mien.service.service import Service

router = APIRouter(tags=["operation"])


@router.get("/health", response_model=Health, responses={503: {"model": Health, "description": "Down"}})
def show_health(service: ServiceDep, visit: VisitDep, response: Response) -> Health:
    """Whether the service works, and to those who have a key, part by part; 503 when a needed part is down."""
    status, checks = service.health.look()
    if status == "down":
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return Health(status=status, checks=checks if _is_known(service, visit) else {})


def _is_known(service: Service, visit: Visit) -> bool:
    try:
        service.access.caller(key_of(visit), session_of(visit), visit.address)
    except (Unauthorized, RateLimited, DatabaseUnavailable):
        return False
    return True


@router.get("/system", response_model=System, responses=problems(401, 403))
def show_system(service: ServiceDep, caller: Reader) -> System:
    """Versions, processes, queues, devices and memory."""
    document = service.system.document()
    document["started_at"] = moment(document["started_at"])
    for worker in document["workers"]:
        worker |= {name: moment(worker[name]) for name in ("started_at", "seen_at")}
    return System.model_validate(document)
