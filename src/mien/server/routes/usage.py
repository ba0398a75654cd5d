"""What the caller has used."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from mien.server.deps import Reader, ServiceDep
from mien.server.errors import problems
from mien.server.schemas import Usage, UsageDay

router = APIRouter(tags=["usage"])


@router.get("/usage", response_model=Usage, responses=problems(401, 403, 422))
def show_usage(
    service: ServiceDep,
    caller: Reader,
    days: Annotated[int, Query(ge=1, le=366, description="How many days back.")] = 30,
) -> Usage:
    """What the caller has used, by day (UTC): requests, jobs, bytes in and out, seconds of work; and what is kept."""
    found = service.usage.days(caller.owner, days)
    return Usage(
        owner=caller.owner,
        days=[UsageDay(day=item.day, amounts=dict(item.amounts)) for item in found],
        stored_bytes=service.assets.quota.stored(caller.owner),
        limits=service.limits.of(caller),
    )
