from __future__ import annotations

import hashlib
import io
import struct
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mien.db import Database, tables
from mien.errors import (
    AssetInUse,
    AssetMissing,
    CorruptMedia,
    DiskFull,
    InputError,
    MediaTooLarge,
    MienError,
    StorageError,
    UnsafeInput,
    UnsupportedMedia,
    UploadTooLarge,
)
from mien.service.asset_rows import Asset, references
from mien.service.assets import Assets
from mien.service.settings import ServiceSettings
from mien.service.space import Space
from mien.storage import Chain
from tests.media.clips import make_clip
from tests.media.pictures import png
from tests.service.conftest import picture

Objects = Callable[[], list[Path]]


def add(assets: Assets, owner: str = "ann", shade: int = 0, name: str = "a.png") -> Asset:
    return assets.add_stream([picture(shade)], owner, name)


def rows(database: Database, table: sa.Table) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(sa.select(table)).mappings())


def test_a_file_comes_in_piece_by_piece_and_is_described(assets: Assets, clip: Path) -> None:
    data = clip.read_bytes()
    asset = assets.add_stream((data[n : n + 999] for n in range(0, len(data), 999)), "ann", "My clip.mp4")
    assert asset.id == hashlib.sha256(data).hexdigest()
    assert (asset.kind, asset.content_type, asset.size) == ("video", "video/mp4", len(data))
    assert (asset.media.width, asset.media.height, asset.media.frames) == (320, 240, 12)
    assert asset.media.fps == 25
    assert asset.media.duration == pytest.approx(12 / 25)
    assert not asset.media.has_audio
    assert asset.name == "My clip.mp4"
    assert asset.expires_at is not None
    assert asset.expires_at - asset.created_at == pytest.approx(2 * 86400, abs=60)
    assert assets.get(asset.id, "ann") == asset
    with assets.open(asset.id, "ann", 10, 20) as opened:
        assert b"".join(opened) == data[10:20]
        assert opened.size == len(data)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("x.jpeg", "x.png"), ("x.html", "x.html.png"), ("x", "x.png"), ("x.PNG", "x.PNG"), ("a/../b", "b.png")],
)
def test_a_name_ends_as_its_content_demands(assets: Assets, name: str, kept: str) -> None:
    assert add(assets, name=name).name == kept


def test_one_content_of_two_owners_is_one_object(
    assets: Assets, database: Database, objects: Objects
) -> None:
    one, two = add(assets, "ann"), add(assets, "bob", name="b.png")
    assert one.id == two.id
    assert (one.name, two.name) == ("a.png", "b.png")
    assert len(objects()) == 1
    assert add(assets, "ann").id == one.id
    assert len(rows(database, tables.assets)) == 2

    assets.delete(one.id, "ann")
    assert len(objects()) == 1
    with pytest.raises(AssetMissing):
        assets.get(one.id, "ann")
    assert assets.get(one.id, "bob").name == "b.png"

    assets.delete(one.id, "bob")
    assert objects() == []
    assert rows(database, tables.blobs) == rows(database, tables.garbage) == []


def test_what_is_somebody_elses_does_not_exist(assets: Assets) -> None:
    id = add(assets, "ann").id
    calls: list[Callable[[], object]] = [
        lambda: assets.get(id, "bob"),
        lambda: assets.open(id, "bob"),
        lambda: assets.delete(id, "bob"),
        lambda: assets.touch(id, "bob"),
        lambda: assets.thumbnail(id, "bob"),
        lambda: assets.local_copy(id, "bob").__enter__(),
        lambda: assets.get("../../etc/passwd", "ann"),
        lambda: assets.delete("", "ann"),
    ]
    for call in calls:
        with pytest.raises(AssetMissing):
            call()
    assert assets.get(id, "ann").owner == "ann"


def gif_bomb() -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";"


def zip_of(name: str = "x.html") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"x")
    return file.getvalue()


HOSTILE: list[tuple[str, bytes, type[MienError]]] = [
    ("empty.png", b"", CorruptMedia),
    ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", UnsafeInput),
    ("concat.mp4", b"ffconcat version 1.0\nfile '/etc/passwd'\n", UnsafeInput),
    ("page.png", b"<html><script>alert(1)</script></html>", UnsupportedMedia),
    ("drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg"/>', UnsupportedMedia),
    ("packed.zip", zip_of(), UnsupportedMedia),
    ("noise.jpg", bytes(range(1, 256)) * 4, UnsupportedMedia),
    ("zip.png", picture() + zip_of(), UnsafeInput),
    ("zip and more.png", picture() + zip_of() + b"tail", UnsafeInput),
    ("page behind.png", picture() + b"<!DOCTYPE html><body>", UnsafeInput),
    ("page.png", png(1, 1, 2, 8, b"\0\0\0\0", [(b"tEXt", b"Comment\0<sCript>x")]), UnsafeInput),
    ("program.png", picture() + b"<?php system($_GET[0]);", UnsafeInput),
    ("pdf.png", png(1, 1, 2, 8, b"\0\0\0\0", [(b"tEXt", b"a\0%PDF-1.4")]), UnsafeInput),
    ("rar.png", picture() + b"Rar!\x1a\x07\x01\0", UnsafeInput),
    ("flood.png", png(30000, 30000, 2, 8, b"\0" * 100), MediaTooLarge),
    ("none.png", png(0, 7, 2, 8, b"\0"), CorruptMedia),
    ("flood.gif", gif_bomb(), MediaTooLarge),
    ("torn.png", picture()[:20], CorruptMedia),
    ("gzip.png", b"\x1f\x8b\x08\0" + b"\0" * 40, UnsupportedMedia),
    ("torn.mp4", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0" * 64, InputError),
]


@pytest.mark.parametrize(
    ("name", "data", "error"), HOSTILE, ids=[f"{n}-{h[0]}" for n, h in enumerate(HOSTILE)]
)
def test_what_is_hostile_or_broken_is_refused_and_leaves_nothing(
    storage: Chain,
    settings: ServiceSettings,
    tmp_path: Path,
    objects: Objects,
    name: str,
    data: bytes,
    error: type[MienError],
) -> None:
    from mien.db import open_database

    database = open_database(f"sqlite:///{tmp_path}/one.db")
    assets = Assets(database, storage, settings)
    with pytest.raises(error) as caught:
        assets.add_stream([data], "ann", name)
    assert str(assets.scratch) not in str(caught.value)
    assert objects() == list(assets.scratch.iterdir()) == rows(database, tables.assets) == []
    assert rows(database, tables.garbage) == []
    database.close()


def test_files_over_the_limits_are_refused(
    database: Database, storage: Chain, tmp_path: Path, clip: Path, objects: Objects
) -> None:
    small = ServiceSettings(data_dir=tmp_path, max_upload_mb=0.0001, max_seconds=0.2)
    assets = Assets(database, storage, small)
    asked = 0

    def endless() -> Iterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield b"x" * 60

    with pytest.raises(UploadTooLarge, match="limit"):
        assets.add_stream(endless(), "ann", "a.png")
    assert asked == 2
    with pytest.raises(UploadTooLarge):
        assets.store_file(clip, "ann", "a.mp4")
    assets = Assets(database, storage, small.model_copy(update={"max_upload_mb": 10}))
    with pytest.raises(MediaTooLarge, match="seconds long"):
        assets.store_file(clip, "ann", "a.mp4")
    assert objects() == []


def test_an_upload_that_is_cut_off_leaves_nothing(assets: Assets, objects: Objects) -> None:
    def torn() -> Iterator[bytes]:
        yield picture()
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        assets.add_stream(torn(), "ann", "a.png")
    assert objects() == list(assets.scratch.iterdir()) == []


def test_results_may_be_anything_and_live_as_long_as_their_job(assets: Assets, tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    path.write_bytes(zip_of())
    soon = time.time() + 60
    asset = assets.store_file(path, "ann", "all.zip", "result", soon)
    assert (asset.kind, asset.content_type, asset.name) == ("file", "application/zip", "all.zip")
    assert asset.expires_at == soon
    later = assets.store_file(path, "ann", "all.zip", "result")
    assert later.expires_at is not None
    assert later.expires_at > soon
    assert assets.store_file(path, "ann", "all.zip", "result", soon).expires_at == later.expires_at


def insert_job(database: Database, id: str, status: str, content: str, owner: str = "ann") -> None:
    with database.begin() as connection:
        connection.execute(
            sa.insert(tables.jobs).values(
                id=id, owner=owner, status=status, content=content, request={}, created_at=1, updated_at=1
            )
        )


def test_what_an_active_job_needs_is_not_deleted(
    assets: Assets, database: Database, objects: Objects
) -> None:
    id = add(assets).id
    assert references(f'["asset:{id}"]') == {id}
    insert_job(database, "other", "running", f'["asset:{id}"]', owner="bob")
    insert_job(database, "done", "completed", f'["asset:{id}"]')
    insert_job(database, "job", "queued", f'["asset:{id}"]')
    with pytest.raises(AssetInUse, match="cancel"):
        assets.delete(id, "ann")
    with database.begin() as connection:
        connection.execute(sa.update(tables.jobs).where(tables.jobs.c.id == "job").values(status="failed"))
    assets.delete(id, "ann")
    assert objects() == []


def test_a_job_that_is_stored_beside_a_deletion_keeps_its_asset_or_is_refused(
    assets: Assets, database: Database
) -> None:
    """Both orders are right; a job without its asset is not."""
    for round in range(8):
        id = add(assets, shade=round).id
        gate = threading.Barrier(2)
        outcomes: list[str] = []

        def submit(id: str = id, round: int = round, gate: Any = gate, outcomes: Any = outcomes) -> None:
            gate.wait()
            try:
                with database.begin() as connection:
                    assets.hold(connection, [id], "ann")
                    connection.execute(
                        sa.insert(tables.jobs).values(
                            id=f"j{round}",
                            owner="ann",
                            status="queued",
                            content=f'"asset:{id}"',
                            request={},
                            created_at=1,
                            updated_at=1,
                        )
                    )
                outcomes.append("submitted")
            except AssetMissing:
                pass

        def delete(id: str = id, gate: Any = gate, outcomes: Any = outcomes) -> None:
            gate.wait()
            try:
                assets.delete(id, "ann")
                outcomes.append("deleted")
            except AssetInUse:
                pass

        run_both(submit, delete)
        assert len(outcomes) == 1, outcomes


def run_both(*calls: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def told(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=told, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_uploads_and_deletions_of_one_content_at_once_end_whole(
    assets: Assets, database: Database, objects: Objects
) -> None:
    """Whatever wins, there is an object exactly when there is an asset."""

    def work(owner: str) -> Callable[[], None]:
        def call() -> None:
            for _ in range(6):
                id = add(assets, owner, 7).id
                assets.delete(id, owner)
            if owner == "o0":
                add(assets, owner, 7)

        return call

    run_both(*(work(f"o{n}") for n in range(4)))
    assert [row["owner"] for row in rows(database, tables.assets)] == ["o0"]
    assert len(objects()) == 1
    with assets.open(add(assets, "o0", 7).id, "o0") as opened:
        assert b"".join(opened) == picture(7)


def test_an_object_that_cannot_be_deleted_now_is_deleted_later(
    assets: Assets, database: Database, storage: Chain, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(url: str) -> None:
        raise StorageError("away")

    id = add(assets).id
    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", down)
        assets.delete(id, "ann")
    assert len(objects()) == 1
    with pytest.raises(AssetMissing):
        assets.get(id, "ann")
    assert rows(database, tables.garbage)[0]["due_at"] > time.time()
    with database.begin() as connection:
        connection.execute(sa.update(tables.garbage).values(due_at=1))
    assert assets.blobs.collect() == 1
    assert objects() == []


def test_a_local_copy_is_the_content_with_a_time_that_never_changes(assets: Assets) -> None:
    asset = add(assets)
    with assets.local_copy(asset.id, "ann") as path, assets.local_copy(asset.id, "ann") as again:
        assert path == again
        assert path.read_bytes() == picture()
        assert (path.stat().st_mtime, path.suffix) == (0, ".png")
    assets.delete(asset.id, "ann")
    assert not path.exists()


def test_a_thumbnail_is_made_once(assets: Assets, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = assets.store_file(clip, "ann", "clip.mp4").id
    first = assets.thumbnail(id, "ann", 64)
    monkeypatch.setattr("mien.service.thumbnails.draw", lambda *_: pytest.fail("drawn again"))
    assert assets.thumbnail(id, "ann", 64) == first


def test_a_url_becomes_an_asset(database: Database, storage: Chain, settings: ServiceSettings) -> None:
    """Fetching itself is tested with the fetcher; here is what becomes of the file and of its name."""

    class Fetched:
        def fetch(self, url: str, folder: Path) -> Path:
            path = folder / "0123.png"
            path.write_bytes(picture())
            return path

    assets = Assets(database, storage, settings, Fetched())  # type: ignore[arg-type]
    asset = assets.add_url("https://example.org/pictures/My%20face.png?token=1", "ann")
    assert (asset.name, asset.origin) == ("My face.png", "fetch")
    assert list(assets.scratch.iterdir()) == []
    full = Assets(database, storage, settings, Fetched(), space=Space(settings, lambda folder: 0))  # type: ignore[arg-type]
    with pytest.raises(DiskFull):
        full.add_url("https://example.org/b.png", "ann")


def test_addresses_inside_the_network_are_not_fetched(assets: Assets) -> None:
    for url in (
        "https://127.0.0.1/a.png",
        "http://example.org/a.png",
        "file:///etc/passwd",
        "https://[::1]/",
    ):
        with pytest.raises(UnsafeInput):
            assets.add_url(url, "ann")


def test_a_flat_clip_of_many_pixels_is_refused_before_it_is_decoded(
    database: Database, storage: Chain, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "wide.mp4", frames=1, size=(640, 480))
    assets = Assets(database, storage, ServiceSettings(data_dir=tmp_path, max_pixels=100_000))
    with pytest.raises(MediaTooLarge, match="640×480"):
        assets.store_file(clip, "ann", "wide.mp4")
