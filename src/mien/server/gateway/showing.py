"""How tasks are shown by routes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mien.errors import AssetMissing, InputError, MienError, StorageError, WorkflowInvalid
from mien.jobs.job import JobStep
from mien.jobs.rows import JobRow
from mien.server.gateway.schemas import OutputData, Task, TaskState
from mien.service.remote_steps import MODEL
from mien.service.scratch import asset_id
from mien.service.stages import due_step, last_results
from mien.service.tasks import COMM, FACE_SWAP, view
from mien.service.views import PREFIX

if TYPE_CHECKING:
    from starlette.requests import Request

    from mien.service.service import Service


def shown(service: Service, row: JobRow, request: Request) -> dict[str, Any]:
    """A task as plain data; what is said of a graph is about the stage that is due."""
    graph: dict[str, Any] = {}
    if row.job.steps:
        with suppress(WorkflowInvalid):  # the operator has changed it since, or taken it away
            graph = _graph(service, row, row.job.steps[due_step(row.job)], request)
    return _viewed(service, row, request, graph)


def lent(service: Service, row: JobRow, request: Request) -> dict[str, Any]:
    """A task as whoever works on it needs it: the stage that is due, with addresses in the place of ids of assets.

    Raises WorkflowInvalid for a graph that there is not any more.
    """
    index = due_step(row.job)
    step, count = row.job.steps[index], len(row.job.steps)
    graph = _graph(service, row, step, request)
    found = _viewed(service, row, request, graph)
    consent = {"consent_ref": step.args.get("consent_ref") or row.request.get("consent_ref")}
    call = step.args.get("workflow")
    if call is None:
        found["params"] = {"input_data": _swap(service, row, step, request)}
    elif count > 1:
        found["params"] = {"input_data": {**call["parameters"], **graph}}
    name = FACE_SWAP if call is None else call["name"]
    environment = FACE_SWAP if call is None else COMM
    return {
        **found,
        **consent,
        "workflow": name,
        "workflow_name": name,
        "environment": environment,
        "target_port": service.gateway.ports[environment],
        "stage": index + 1,
        "stages": count,
    }


def _viewed(service: Service, row: JobRow, request: Request, graph: Mapping[str, Any]) -> dict[str, Any]:
    return view(row, lambda row: output_urls(service, row, request), service.gateway.ports, graph)


def _graph(service: Service, row: JobRow, step: JobStep, request: Request) -> dict[str, Any]:
    """What a ComfyUI instance needs for a step: nothing where none does it."""
    if "workflow" not in step.args:
        return {}
    steps = service.gateway.workflow_steps
    return {
        "wf_json": steps.graph_of(step),
        "wf_images": _images(service, row, steps.pictures_of(step), request),
        "wf_operation": steps.workflows.get(step.args["workflow"]["name"]).makes,
    }


def _swap(service: Service, row: JobRow, step: JobStep, request: Request) -> dict[str, Any]:
    """A face swap in the words of a task."""
    said = {
        "source_url": _address(service, row, step.source_paths[0], request),
        "target_url": _address(service, row, step.target_path or "", request),
        "resolution": step.args.get("resolution"),
        "model": step.args.get(MODEL),
    }
    return {name: value for name, value in said.items() if value is not None}


def _images(
    service: Service,
    row: JobRow,
    pictures: Mapping[str, tuple[str, tuple[str, ...]]],
    request: Request,
) -> list[dict[str, Any]]:
    """What belongs into which inputs of the graph: an address for each picture, None for one that is yet to come."""
    return [
        {"name": name, "url": _address(service, row, reference, request), "inputs": list(places)}
        for name, (reference, places) in pictures.items()
    ]


def _address(service: Service, row: JobRow, reference: str, request: Request) -> str | None:
    if reference.startswith("https:") or reference.startswith("http:"):
        return reference
    try:
        asset = service.assets.get(asset_id(reference, row.job) or "", row.owner)
    except (AssetMissing, InputError):  # it has gone, or an earlier stage has yet to make it
        return None
    try:
        return service.assets.sign(asset, service.settings.result_url_seconds)
    except StorageError:
        # Where the storage gives no address, the gateway does, to whoever has the task.
        here = f"{request.url.scheme}://{request.url.netloc}{service.settings.root_path}"
        return f"{here}/api/comm/task/{row.id}/inputs/{asset.id}"


def task(service: Service, row: JobRow, request: Request) -> Task:
    """A task."""
    return Task.model_validate(shown(service, row, request))


def state(service: Service, row: JobRow, request: Request) -> TaskState:
    """A task with its state and result."""
    found = task(service, row, request)
    return TaskState(task=found, status=found.status, result=found.output_data)


def output_data(service: Service, row: JobRow, request: Request) -> OutputData | None:
    """Where the result is; None while there is none."""
    urls = output_urls(service, row, request)
    return OutputData(url=urls[0], urls=urls if len(urls) > 1 else None) if urls else None


def output_url(service: Service, row: JobRow, request: Request) -> str | None:
    """The address of the result; None while there is none."""
    return next(iter(output_urls(service, row, request)), None)


def output_urls(service: Service, row: JobRow, request: Request) -> list[str]:
    """The addresses of the result and of what came with it: in a consumer's storage, in our own, or at this service."""
    given = row.external.get("output_urls") or [row.external.get("output_url")]
    if given[0] or not row.results:
        return [url for url in given if url]
    return [_result_url(service, row, record, request) for record in last_results(row)]


def _result_url(service: Service, row: JobRow, record: Mapping[str, Any], request: Request) -> str:
    try:
        asset = service.assets.get(str(record.get("asset")), row.owner)
        return service.assets.sign(asset, service.settings.result_url_seconds)
    except MienError:
        base = service.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
        own = f"{base.rstrip('/')}{service.settings.root_path}{PREFIX}/jobs/{row.id}/result"
        return f"{own}?index={record.get('index', 0)}"
