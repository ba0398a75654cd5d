"""``/api/comm/task``: tasks for consumers, which fetch them, report how they are doing, and end them.

The lease token that comes with a task proves who has it: in the header ``X-Lease-Token`` or in the body.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response

from mien.errors import Canceled, InputError, JobBusy, OptionError, RemoteFailed, TryLater, WorkflowInvalid
from mien.jobs.job import Failure
from mien.jobs.rows import JobRow
from mien.server.deps import ServiceDep, Worker
from mien.server.errors import problems
from mien.server.gateway.schemas import (
    CompleteTask,
    FailTask,
    FetchedTask,
    Heartbeat,
    LeaseState,
    Reported,
    TaskFetched,
)
from mien.server.gateway.showing import lent as as_lent
from mien.server.streaming import FILE_ANSWERS, asset_file
from mien.server.waiting import error_of
from mien.service.tasks import COMM, FACE_SWAP, SERVED, Report, status_of
from mien.service.views import iso

router = APIRouter(prefix="/api/comm/task", tags=["gateway"])

TaskId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,80}$", description="Id of a task.")]
Token = Annotated[
    str | None, Header(alias="X-Lease-Token", max_length=200, description="Came with the task.")
]
_PROBLEMS = problems(401, 403, 404, 409, 413, 415, 422, 429, 503, 507)


@router.get("/fetch", response_model=TaskFetched, response_model_exclude_none=False,
            responses=problems(401, 403, 422, 429, 503))  # fmt: skip
def fetch_task(
    request: Request,
    response: Response,
    service: ServiceDep,
    caller: Worker,
    environment: Annotated[
        list[str] | None,
        Query(max_length=10, description="comm, face_swap, or both; comm unless said otherwise."),
    ] = None,
    lease_seconds: Annotated[float | None, Query(ge=5, le=3600, description="Length of the lease.")] = None,
    worker: Annotated[
        str, Query(max_length=100, pattern=r"^[\x20-\x7e]*$", description="Name of the worker.")
    ] = "",
) -> TaskFetched:
    """Take the task that is due next. Without a sign of life it is given to another when its lease is over."""
    served = [place for name in _environments(environment) for place in SERVED[name]]
    name = f"{worker or 'consumer'} ({caller.key_id or 'no key'})"
    leases = service.gateway.leases
    while (lent := leases.take(served, name, None, lease_seconds)) is not None:
        try:
            words = as_lent(service, lent.row, request)
        except WorkflowInvalid as error:  # the operator took it away; nobody can do the task any more
            leases.fail(lent.row.id, lent.token, error, again=False)
            continue
        response.headers["X-Lease-Token"] = lent.token
        held = {"lease_token": lent.token, "lease_expires_at": iso(lent.until)}
        return TaskFetched(data=FetchedTask.model_validate({**words, **held}), message="Here is a task.")
    return TaskFetched(data=None, message="There is no task.")


@router.get(
    "/{task_id}/inputs/{asset}",
    response_class=Response,
    responses={**FILE_ANSWERS, **problems(401, 403, 404, 409, 416, 422, 429, 503)},
)
def read_task_input(
    task_id: TaskId,
    asset: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="Id of an asset that the task needs.")],
    request: Request,
    service: ServiceDep,
    caller: Worker,
    token: Token = None,
) -> Response:
    """A file that the task needs, for whoever has the task, where the storage gives no address of its own."""
    found = service.gateway.tasks.lent_input(task_id, _token(token, None), asset)
    return asset_file(request, service.assets, found)


@router.post("/{task_id}/heartbeat", response_model=Reported, responses=_PROBLEMS)
def report_life(
    task_id: TaskId,
    service: ServiceDep,
    caller: Worker,
    body: Heartbeat,
    token: Token = None,
) -> Reported:
    """Say that the task is still being worked on. 409: leave it alone, somebody else has it."""
    try:
        lent = service.gateway.leases.extend(
            task_id, _token(token, body.lease_token), body.lease_seconds, body.progress
        )
    except Canceled as error:
        row = service.store.row(task_id)
        data = LeaseState(taskId=row.id, status=status_of(row), cancel_requested=True)
        return Reported(data=data, message=str(error))
    data = LeaseState(taskId=task_id, status=status_of(lent.row), lease_expires_at=iso(lent.until))
    return Reported(data=data, message="Go on.")


@router.post("/{task_id}/complete", response_model=Reported, responses=_PROBLEMS)
def complete_task(
    task_id: TaskId,
    service: ServiceDep,
    caller: Worker,
    body: CompleteTask,
    token: Token = None,
) -> Reported:
    """Say that the task, or its stage, is done and where the result is. The same report again changes nothing."""
    row = service.gateway.tasks.complete(task_id, _token(token, body.lease_token), _report(body), caller)
    return Reported(data=_ended(row), message="Done.")


@router.post("/{task_id}/fail", response_model=Reported, responses=_PROBLEMS)
def fail_task(
    task_id: TaskId,
    service: ServiceDep,
    caller: Worker,
    body: FailTask,
    token: Token = None,
) -> Reported:
    """Say that the task could not be done; with retryable it is given to somebody else a few times."""
    held = _token(token, body.lease_token)
    if body.give_back:
        row = service.gateway.leases.give_back(task_id, held)
    else:
        failure = Failure("internal", body.error, body.code or RemoteFailed.code)
        error = error_of(failure) if body.code else RemoteFailed(body.error)
        if isinstance(error, JobBusy | TryLater):
            error = RemoteFailed(body.error)
        row = service.gateway.leases.fail(task_id, held, error, again=body.retryable)
    return Reported(data=_ended(row), message=f"The task is {status_of(row)}.")


def _report(body: CompleteTask) -> Report:
    if sum(given is not None for given in (body.output_data, body.asset, body.assets)) != 1:
        raise OptionError("A task is completed with one of output_data.url, asset and assets.")
    notices = tuple(body.notices)
    if body.output_data is None:
        ids = body.assets or [str(body.asset)]
        return Report(assets=tuple(dict.fromkeys(ids)), notices=notices)
    url, urls = body.output_data.url, body.output_data.urls or ()
    return Report(urls=tuple(dict.fromkeys([url, *urls])), notices=notices)


def _ended(row: JobRow) -> LeaseState:
    return LeaseState(taskId=row.id, status=status_of(row))


def _environments(given: list[str] | None) -> list[str]:
    names = [name.strip() for text in given or [COMM] for name in text.split(",") if name.strip()]
    for name in names:
        if name not in SERVED:
            raise InputError(f"{name[:40]!r} is no environment; there are {COMM} and {FACE_SWAP}.")
    return names


def _token(header: str | None, body: str | None) -> str:
    token = header or body
    if not token:
        raise OptionError("The lease token that came with the task is missing; send it as X-Lease-Token.")
    return token
