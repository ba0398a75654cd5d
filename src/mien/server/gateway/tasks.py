"""``/api/tasks``: tasks of both environments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from mien.errors import OptionError
from mien.server.answers import sequence
from mien.server.deps import Admin, Reader, ServiceDep, Submitter, once
from mien.server.errors import problems
from mien.server.gateway.schemas import Task, TaskCreate, TaskList, TaskPatch, TasksCleared, TaskState
from mien.server.gateway.showing import state, task
from mien.service.tasks import Wish

router = APIRouter(prefix="/api/tasks", tags=["gateway"])

TaskId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,80}$", description="Id of a task.")]


@router.post("/create", response_model=Task, response_model_exclude_none=True,
             responses=problems(401, 403, 409, 413, 415, 422, 429, 503, 507))  # fmt: skip
def create_task(body: TaskCreate, request: Request, service: ServiceDep, caller: Submitter) -> Response:
    """Put a task into the queue."""
    with once(request, caller, body) as slot:
        if slot.replayed is not None:
            return slot.replayed
        wish = Wish(body.workflow, body.task_data, body.environment, body.priority, body.consent_ref)
        row = service.gateway.tasks.create(wish, caller, slot.seed)
        return slot.answer(task(service, row, request).model_dump(mode="json", exclude_none=True))


@router.get("/", response_model=TaskList, response_model_exclude_none=True,
            responses=problems(401, 403, 422, 429, 503))  # fmt: skip
def list_tasks(
    request: Request,
    service: ServiceDep,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most tasks.")] = 200,
    cursor: Annotated[str | None, Query(max_length=40, description="Only tasks before this one.")] = None,
) -> TaskList:
    """The caller's tasks, newest first; everybody's with the scope admin."""
    owner = None if caller.is_admin else caller.owner
    rows, following = service.store.page(
        owner=owner, before=sequence(cursor), limit=limit, only_workflows=True
    )
    return TaskList(
        tasks=[task(service, row, request) for row in rows],
        queue_length=service.gateway.tasks.queue_length(owner),
        next_cursor=None if following is None else str(following),
    )


@router.get("/{task_id}", response_model=TaskState, response_model_exclude_none=True,
            responses=problems(401, 403, 404, 422, 429, 503))  # fmt: skip
def show_task(task_id: TaskId, request: Request, service: ServiceDep, caller: Reader) -> TaskState:
    """One task with its state and result."""
    owner = None if caller.is_admin else caller.owner
    return state(service, service.gateway.tasks.get(task_id, owner), request)


@router.delete("/", response_model=TasksCleared, responses=problems(401, 403, 429, 503))
def clear_tasks(service: ServiceDep, caller: Admin) -> TasksCleared:
    """Cancel all tasks that have not ended and delete all that have, whoever they belong to."""
    canceled, deleted = service.gateway.tasks.clear(caller)
    return TasksCleared(cancelled=canceled, deleted=deleted)


@router.patch("/{task_id}", response_model=TaskState, response_model_exclude_none=True,
              responses=problems(401, 403, 404, 409, 415, 422, 429, 503))  # fmt: skip
def set_task_status(
    task_id: TaskId, body: TaskPatch, request: Request, service: ServiceDep, caller: Admin
) -> TaskState:
    """Put a task into a state by hand."""
    if body.output_data is not None and body.status != "COMPLETED":
        raise OptionError("output_data belongs to the state COMPLETED only.")
    url = body.output_data.url if body.output_data else None
    row = service.gateway.tasks.set_status(task_id, body.status, caller, url)
    return state(service, row, request)
