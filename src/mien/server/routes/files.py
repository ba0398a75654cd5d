"""Files of the storage of this machine at signed addresses: whoever has such an address may read, without a key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from mien.errors import AssetMissing, StorageError, StorageMissing
from mien.server.deps import ServiceDep
from mien.server.errors import problems
from mien.server.streaming import FILE_ANSWERS, Content, ranged
from mien.service.service import Service
from mien.storage.local import LocalStorage

router = APIRouter(tags=["assets"])


@router.get(
    "/files/{key:path}",
    response_class=Response,
    responses={**FILE_ANSWERS, **problems(404, 416, 422, 503)},
)
def read_signed_file(
    key: Annotated[str, Path(max_length=500, description="Names the file in the storage.")],
    request: Request,
    service: ServiceDep,
    expires: Annotated[int, Query(description="Until when the address is valid.")],
    signature: Annotated[
        str, Query(pattern="^[0-9a-f]{64}$", description="Shows that the service made the address.")
    ],
) -> Response:
    """A file, whole or in ranges."""
    storage = next((found for found in _local(service) if _is_signed(found, key, expires, signature)), None)
    if storage is None:
        raise _missing()
    url = f"{storage.place}/{key}"
    try:
        with storage.open(url) as found:
            content = Content(found.size, found.content_type, key.rpartition("/")[2], key)
        return ranged(request, content, lambda start, end: storage.open(url, start, end))
    except StorageMissing:
        raise _missing() from None


def _local(service: Service) -> list[LocalStorage]:
    return [found for found in service.storage.storages if isinstance(found, LocalStorage)]


def _is_signed(storage: LocalStorage, key: str, expires: int, signature: str) -> bool:
    try:
        return storage.is_signed(key, expires, signature)
    except StorageError:
        return False


def _missing() -> AssetMissing:
    return AssetMissing("There is no file at this address, or the address is not valid any more.")
