"""Models: which there are, on what terms, and bringing or removing them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from mien.server.answers import job_path, whole_job
from mien.server.deps import Admin, Reader, ServiceDep, once
from mien.server.errors import problems
from mien.server.schemas import DownloadRequest, Job, ModelEntry

router = APIRouter(tags=["models"])


@router.get("/models", response_model=list[ModelEntry], responses=problems(401, 403, 429, 503))
def list_models(service: ServiceDep, caller: Reader) -> list[ModelEntry]:
    """All models of the catalogue: size, licence, and whether they are here."""
    return [ModelEntry.model_validate(entry) for entry in service.desk.capabilities.model_list()]


@router.post(
    "/models/download",
    status_code=202,
    response_model=Job,
    responses=problems(401, 403, 409, 415, 422, 429, 503, 507),
)
def download_models(body: DownloadRequest, request: Request, service: ServiceDep, caller: Admin) -> Response:
    """Bring models to the machine that takes the job up; its progress is that of a job."""
    with once(request, caller, body) as slot:
        if slot.replayed is not None:
            return slot.replayed
        row = service.desk.shelf.download(body.models, caller, slot.seed)
        return slot.answer(whole_job(service, row), 202, {"Location": job_path(service, row.id)})


@router.delete(
    "/models/{id:path}",
    status_code=204,
    response_class=Response,
    responses=problems(401, 403, 404, 409, 422, 429, 503),
)
def delete_model(
    id: Annotated[str, Path(pattern=r"^[A-Za-z0-9_./ -]{1,200}$", description="Id of a model.")],
    service: ServiceDep,
    caller: Admin,
) -> Response:
    """Remove the files of a model from this machine's store; those of the operator's own folder stay."""
    service.desk.shelf.delete(id)
    return Response(status_code=204)
