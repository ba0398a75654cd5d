"""Assets and uploads: media in, listed, given out, deleted."""

from __future__ import annotations

from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from mien.errors import InputError
from mien.server.deps import Reader, ServiceDep, Submitter, Uploader, once
from mien.server.errors import problems
from mien.server.moments import moment
from mien.server.multipart import parse_form
from mien.server.receiving import receive_file
from mien.server.schemas import Asset, AssetFromUrl, AssetPage, Upload, UploadRequest
from mien.server.streaming import FILE_ANSWERS, asset_file
from mien.service.asset_rows import Asset as Kept
from mien.service.callers import Caller
from mien.service.intake import Received, measured
from mien.service.service import Service
from mien.service.views import PREFIX

router = APIRouter(tags=["assets"])

AssetId = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the content.")]
UploadId = Annotated[str, Path(max_length=80, description="Id of an upload.")]

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_ASSET_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The file as a form, or as it is (of any other type); or where it is to be fetched.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": _BINARY["schema"], "name": {"type": "string"}},
                }
            },
            "application/json": {"schema": AssetFromUrl.model_json_schema()},
            "application/octet-stream": _BINARY,
        },
    }
}
_FILE_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/octet-stream": _BINARY}}
}


@router.post(
    "/assets",
    status_code=201,
    response_model=Asset,
    responses=problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 424, 429, 503, 507),
    openapi_extra=_ASSET_BODY,
)
async def create_asset(
    request: Request,
    service: ServiceDep,
    caller: Uploader,
    name: Annotated[str | None, Query(max_length=255, description="Name of a file sent as it is.")] = None,
) -> Response:
    """Take in a picture, a video or a sound. The same content twice is one asset."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        wanted = await _fetch_request(request)
        return await to_thread.run_sync(_fetched, request, service, caller, wanted)
    if kind == "multipart/form-data":
        async with parse_form(request, service.settings, files=1) as form:
            if not form.files:
                raise InputError("The form holds no file; send it as the field file.")
            file = form.files[0]
            received = await to_thread.run_sync(measured, file.path)
            return await to_thread.run_sync(
                _received, request, service, caller, received, form.value("name") or file.name
            )
    async with receive_file(request, service.settings) as received:
        return await to_thread.run_sync(_received, request, service, caller, received, name or "")


@router.get("/assets", response_model=AssetPage, responses=problems(401, 403, 422, 429, 503))
def list_assets(
    service: ServiceDep,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=200, description="Most entries of a page.")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=200, description="next_cursor of the page before.")
    ] = None,
) -> AssetPage:
    """The caller's assets, newest first."""
    found, following = service.assets.page(caller.owner, cursor, limit)
    return AssetPage(assets=[_asset(service, asset) for asset in found], next_cursor=following)


@router.get("/assets/{id}", response_model=Asset, responses=problems(401, 403, 404, 422, 429, 503))
def show_asset(id: AssetId, service: ServiceDep, caller: Reader) -> Asset:
    """What is known of one asset."""
    return _asset(service, service.assets.get(id, caller.owner))


@router.get(
    "/assets/{id}/content",
    response_class=Response,
    responses={**FILE_ANSWERS, **problems(401, 403, 404, 416, 422, 429, 503)},
)
def download_asset(
    id: AssetId,
    request: Request,
    service: ServiceDep,
    caller: Reader,
    download: Annotated[bool, Query(description="Let browsers save it.")] = False,
) -> Response:
    """The file itself, whole or in ranges."""
    asset = service.assets.get(id, caller.owner)
    return asset_file(request, service.assets, asset, download=download)


@router.get(
    "/assets/{id}/thumbnail",
    response_class=Response,
    responses={
        200: {"description": "A JPEG", "content": {"image/jpeg": _BINARY}},
        **problems(401, 403, 404, 413, 415, 422, 429, 503, 507),
    },
)
def show_thumbnail(
    id: AssetId,
    service: ServiceDep,
    caller: Reader,
    size: Annotated[int, Query(ge=16, le=2048, description="Longest side in pixels.")] = 256,
    frame: Annotated[int, Query(ge=0, description="Number of the frame of a video.")] = 0,
) -> Response:
    """A small picture of a picture, or of a frame of a video."""
    content = service.assets.thumbnail(id, caller.owner, size, frame)
    return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


@router.delete("/assets/{id}", status_code=204, responses=problems(401, 403, 404, 409, 422, 429, 503))
def delete_asset(id: AssetId, service: ServiceDep, caller: Submitter) -> Response:
    """Delete an asset now; 409 while a job that has not ended needs it."""
    service.assets.delete(id, caller.owner)
    return Response(status_code=204)


@router.post(
    "/uploads",
    status_code=201,
    response_model=Upload,
    responses=problems(401, 403, 409, 413, 415, 422, 429, 503, 507),
)
def create_upload(body: UploadRequest, request: Request, service: ServiceDep, caller: Submitter) -> Response:
    """Begin an upload: PUT the bytes to the address that comes back, then complete it."""
    with once(request, caller, body) as slot:
        if slot.replayed is not None:
            return slot.replayed
        made = service.uploads.create(caller.owner, body.name, body.size)
        here = f"{service.settings.public_url or ''}{_root(service)}/uploads/{made.id}/content"
        shown = Upload(
            id=made.id,
            url=made.address or here,
            # Our own address wants the same key as every other; a signed one must not get it.
            headers={} if made.address else {"Content-Type": body.content_type},
            expires_at=moment(made.expires_at),
        )
        return slot.answer(shown, 201)


@router.put(
    "/uploads/{id}/content",
    status_code=204,
    responses=problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503, 507),
    openapi_extra=_FILE_BODY,
)
async def put_upload(id: UploadId, request: Request, service: ServiceDep, caller: Submitter) -> Response:
    """Take the bytes of an upload, where the storage gives no address for that."""
    upload = await to_thread.run_sync(service.uploads.expected, id, caller.owner)
    async with receive_file(request, service.settings, upload.size) as received:
        await to_thread.run_sync(service.uploads.put, upload, received, caller.owner)
    return Response(status_code=204)


@router.post(
    "/uploads/{id}/complete",
    response_model=Asset,
    responses=problems(401, 403, 404, 409, 413, 415, 422, 429, 503, 507),
)
def complete_upload(id: UploadId, service: ServiceDep, caller: Submitter) -> Asset:
    """Check what was put, and make an asset of it. The same again for an upload that is complete."""
    return _asset(service, service.uploads.complete(id, caller.owner))


async def _fetch_request(request: Request) -> AssetFromUrl:
    try:
        return AssetFromUrl.model_validate_json(await request.body())
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in found]) from None


def _received(request: Request, service: Service, caller: Caller, received: Received, name: str) -> Response:
    with once(request, caller, [name, received.sha256]) as slot:
        if slot.replayed is not None:
            return slot.replayed
        asset = service.assets.add_received(received, caller.owner, name)
        return slot.answer(_asset(service, asset), 201, _location(service, asset))


def _fetched(request: Request, service: Service, caller: Caller, wanted: AssetFromUrl) -> Response:
    with once(request, caller, wanted) as slot:
        if slot.replayed is not None:
            return slot.replayed
        asset = service.assets.add_url(wanted.url, caller.owner, wanted.name)
        return slot.answer(_asset(service, asset), 201, _location(service, asset))


def _asset(service: Service, asset: Kept) -> Asset:
    media = asset.media
    seen = media.kind in ("image", "video")
    heard = media.kind in ("video", "audio")
    return Asset(
        id=asset.id,
        name=asset.name,
        kind=asset.kind,
        content_type=asset.content_type,
        size=asset.size,
        width=media.width if seen else None,
        height=media.height if seen else None,
        duration=media.duration if heard else None,
        frames=media.frames if seen else None,
        fps=media.fps if media.kind == "video" else None,
        has_audio=media.has_audio if heard else None,
        created_at=moment(asset.created_at),
        expires_at=moment(asset.expires_at),
        url=f"{_root(service)}/assets/{asset.id}/content",
    )


def _location(service: Service, asset: Kept) -> dict[str, str]:
    return {"Location": f"{_root(service)}/assets/{asset.id}"}


def _root(service: Service) -> str:
    return f"{service.settings.root_path}{PREFIX}"
