from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa

from mien.db import Database, tables
from mien.errors import NotFound, UnsupportedMedia, UploadIncomplete, UploadTooLarge
from mien.service.assets import Assets
from mien.service.intake import Received
from mien.service.settings import ServiceSettings
from mien.service.uploads import Uploads
from mien.storage import Chain, StorageSettings, open_storage
from tests.service.conftest import picture

_numbers = itertools.count()


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str) -> str:
    """The address of an empty bucket."""
    address = f"{s3_server}/shelf{next(_numbers)}"
    httpx2.put(address).raise_for_status()
    return address


@pytest.fixture
def s3(bucket: str) -> Chain:
    server, _, name = bucket.rpartition("/")
    return open_storage(
        StorageSettings(
            providers=("s3",),
            s3_bucket=name,
            s3_endpoint=server,
            s3_access_key_id="key",
            s3_secret_access_key="secret",  # type: ignore[arg-type]
        )
    )


@pytest.fixture
def keys(bucket: str) -> Callable[[], list[str]]:
    """What is in the bucket."""
    return lambda: httpx2.get(f"{bucket}?list-type=2").text.split("<Key>")[1:]


@pytest.fixture
def s3_assets(database: Database, s3: Chain, settings: ServiceSettings) -> Assets:
    return Assets(database, s3, settings)


@pytest.fixture
def uploads(database: Database, s3: Chain, s3_assets: Assets, settings: ServiceSettings) -> Uploads:
    return Uploads(database, s3, s3_assets, settings)


def put(address: str | None, data: bytes) -> None:
    assert address is not None
    httpx2.put(address, content=data, headers={"Content-Type": "text/html"}).raise_for_status()


def late(database: Database) -> None:
    """Let all times pass."""
    with database.begin() as connection:
        connection.execute(sa.update(tables.uploads).values(expires_at=1))
        connection.execute(sa.update(tables.garbage).values(due_at=1))


def test_what_was_put_becomes_an_asset_under_a_key_that_nobody_knows(
    uploads: Uploads, s3_assets: Assets, s3: Chain, keys: Callable[[], list[str]], database: Database
) -> None:
    upload = uploads.create("ann", "../a.png", len(picture()))
    assert upload.expires_at == pytest.approx(time.time() + 3600, abs=60)
    put(upload.address, picture())
    asset = uploads.complete(upload.id, "ann")
    assert asset.id == hashlib.sha256(picture()).hexdigest()
    assert asset.name == "a.png"
    assert len(keys()) == 1
    assert asset.url.rpartition("/")[2] not in str(upload.address)
    assert s3.open(asset.url).content_type == "image/png"
    assert uploads.complete(upload.id, "ann") == asset

    # The address is good for its hour; whatever comes is not the asset, and goes when the hour is over.
    put(upload.address, b"something else")
    assert uploads.complete(upload.id, "ann") == asset
    with s3_assets.open(asset.id, "ann") as opened:
        assert b"".join(opened) == picture()
    assert len(keys()) == 2
    late(database)
    assert s3_assets.blobs.collect() == 1
    assert len(keys()) == 1


def test_an_upload_that_is_not_whole_can_be_put_again(uploads: Uploads) -> None:
    upload = uploads.create("ann", "a.png", len(picture()))
    with pytest.raises(UploadIncomplete, match="Nothing was put"):
        uploads.complete(upload.id, "ann")
    put(upload.address, picture()[:-3])
    with pytest.raises(UploadIncomplete, match=f"has {len(picture()) - 3} bytes"):
        uploads.complete(upload.id, "ann")
    put(upload.address, picture())
    assert uploads.complete(upload.id, "ann").size == len(picture())


def test_what_is_hostile_is_refused_and_goes(
    uploads: Uploads, s3_assets: Assets, keys: Callable[[], list[str]], database: Database
) -> None:
    page = b"<html><script>alert(1)</script>"
    upload = uploads.create("ann", "a.png", len(page))
    put(upload.address, page)
    with pytest.raises(UnsupportedMedia):
        uploads.complete(upload.id, "ann")
    assert len(keys()) == 1
    late(database)
    assert uploads.expire() == 1
    assert s3_assets.blobs.collect() == 1
    assert keys() == []


def test_uploads_expire_and_belong_to_one_owner(uploads: Uploads, database: Database) -> None:
    upload = uploads.create("ann", "a.png", 10)
    with pytest.raises(NotFound):
        uploads.complete(upload.id, "bob")
    late(database)
    with pytest.raises(NotFound, match="expired"):
        uploads.complete(upload.id, "ann")
    assert uploads.expire() == 1


def test_more_than_may_be_taken_is_refused_before_it_is_sent(uploads: Uploads) -> None:
    with pytest.raises(UploadTooLarge):
        uploads.create("ann", "a.mp4", 501 << 20)


def test_where_the_storage_takes_no_uploads_the_service_does(
    database: Database, storage: Chain, assets: Assets, settings: ServiceSettings, tmp_path: Path
) -> None:
    uploads = Uploads(database, storage, assets, settings)
    upload = uploads.create("ann", "a.png", len(picture()))
    assert upload.address is None
    with pytest.raises(UploadIncomplete):
        uploads.complete(upload.id, "ann")
    path = tmp_path / "x"
    path.write_bytes(picture())
    received = Received(path, len(picture()), hashlib.sha256(picture()).hexdigest())
    with pytest.raises(NotFound):
        uploads.expected(upload.id, "bob")
    with pytest.raises(UploadIncomplete):
        uploads.put(upload, Received(path, 3, received.sha256), "ann")
    asset = uploads.put(uploads.expected(upload.id, "ann"), received, "ann")
    assert uploads.complete(upload.id, "ann") == asset


def test_the_service_does_not_take_what_the_storage_is_to_take(uploads: Uploads) -> None:
    with pytest.raises(NotFound, match="not here"):
        uploads.expected(uploads.create("ann", "a.png", 3).id, "ann")
