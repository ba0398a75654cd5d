"""How tasks are shown by routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mien.errors import AssetMissing, MienError, StorageError
from mien.jobs.rows import JobRow
from mien.server.gateway.schemas import OutputData, Task, TaskState
from mien.service.requests import is_asset_id
from mien.service.tasks import FACE_SWAP, environment_of, view
from mien.service.views import PREFIX

if TYPE_CHECKING:
    from starlette.requests import Request

    from mien.service.service import Service


def shown(service: Service, row: JobRow, request: Request) -> dict[str, Any]:
    """A task as plain data."""
    gateway = service.gateway
    graph: dict[str, Any] = {}
    for step in row.job.steps:
        if "workflow" in step.args:
            graph = {
                "wf_json": gateway.workflow_steps.graph_of(step),
                "wf_images": _images(service, row, gateway.workflow_steps.pictures_of(step), request),
            }
    return view(row, lambda row: output_url(service, row, request), gateway.ports, graph)


def lent(service: Service, row: JobRow, request: Request) -> dict[str, Any]:
    """A task as whoever works on it needs it: with addresses in the place of the ids of assets."""
    found = shown(service, row, request)
    data = found["params"]["input_data"]
    if environment_of(row) == FACE_SWAP:
        for name in ("source_url", "target_url"):
            if is_asset_id(str(data.get(name))):
                data[name] = _address(service, row, data[name], request)
    return {**found, "consent_ref": row.request.get("consent_ref")}


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
        asset = service.assets.get(reference.removeprefix("asset:"), row.owner)
    except AssetMissing:
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
    url = output_url(service, row, request)
    return None if url is None else OutputData(url=url)


def output_url(service: Service, row: JobRow, request: Request) -> str | None:
    """The address of the result: in the storage of a consumer, in our own, or at this service."""
    given = row.external.get("output_url")
    if given or not row.results:
        return given
    try:
        asset = service.assets.get(str(row.results[-1].get("asset")), row.owner)
        return service.assets.sign(asset, service.settings.result_url_seconds)
    except MienError:
        base = service.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
        own = f"{base.rstrip('/')}{service.settings.root_path}{PREFIX}/jobs/{row.id}/result"
        return f"{own}?index={len(row.results) - 1}"
