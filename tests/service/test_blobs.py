from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mien.db import Database, tables
from mien.errors import StorageError, StorageMissing, StorageQuotaExceeded, StorageRefused
from mien.service.blobs import LONGEST_PUT, Blob, Blobs, insert_new, note_garbage
from mien.service.intake import Media, Received
from mien.storage import Chain
from tests.service.conftest import picture

Objects = Callable[[], list[Path]]
PNG = Media("image", "png", "image/png", 8, 6, frames=1)


@pytest.fixture
def blobs(database: Database, storage: Chain) -> Blobs:
    return Blobs(database, storage)


@pytest.fixture
def received(tmp_path: Path) -> Received:
    path = tmp_path / "received.png"
    path.write_bytes(picture())
    return Received(path, len(picture()), hashlib.sha256(picture()).hexdigest())


def rows(database: Database, table: sa.Table) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(sa.select(table)).mappings())


def keep(blobs: Blobs, received: Received, use: Any = lambda connection, blob: blob) -> Blob:
    kept: Blob = blobs.keep(received, PNG, "a.png", use)
    return kept


def give(database: Database, id: str, owner: str) -> None:
    values = {"id": id, "owner": owner, "name": "a.png", "origin": "upload", "created_at": 1.0}
    with database.begin() as connection:
        connection.execute(sa.insert(tables.assets).values(**values))


def make_due(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(sa.update(tables.garbage).values(due_at=1))


def test_a_content_is_stored_once_and_known_from_then_on(
    blobs: Blobs, received: Received, database: Database, objects: Objects
) -> None:
    first, second = keep(blobs, received), keep(blobs, received)
    assert first == second == Blob(received.sha256, first.url, received.size, PNG)
    assert [path.read_bytes() for path in objects()] == [picture()]
    assert rows(database, tables.garbage) == []
    with database.begin() as connection:
        assert blobs.lock(connection, received.sha256) == first
        assert blobs.lock(connection, "0" * 64) is None


def test_the_one_who_uses_a_content_decides_about_all_of_it(
    blobs: Blobs, received: Received, database: Database, objects: Objects
) -> None:
    def refuse(connection: Any, blob: Blob) -> None:
        raise StorageQuotaExceeded("No room.")

    with pytest.raises(StorageQuotaExceeded):
        keep(blobs, received, refuse)
    assert objects() == rows(database, tables.blobs) == rows(database, tables.garbage) == []


def test_what_fails_otherwise_is_garbage_after_a_day(
    blobs: Blobs, received: Received, database: Database, objects: Objects
) -> None:
    def fail(connection: Any, blob: Blob) -> None:
        raise RuntimeError("broken")

    before = time.time()
    with pytest.raises(RuntimeError):
        keep(blobs, received, fail)
    (note,) = rows(database, tables.garbage)
    assert before + LONGEST_PUT <= note["due_at"] <= time.time() + LONGEST_PUT
    assert (len(objects()), rows(database, tables.blobs)) == (1, [])
    assert blobs.collect() == 0
    make_due(database)
    assert blobs.collect() == 1
    assert objects() == rows(database, tables.garbage) == []


def test_an_object_whose_upload_died_is_garbage_after_a_day(
    blobs: Blobs, received: Received, database: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> bool:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Blobs, "_insert", die)
        with pytest.raises(Killed):
            keep(blobs, received)
    assert len(objects()) == len(rows(database, tables.garbage)) == 1
    assert blobs.collect() == 0
    make_due(database)
    assert blobs.collect() == 1
    assert objects() == rows(database, tables.garbage) == []


def test_of_two_who_store_a_content_at_once_one_gives_way(
    blobs: Blobs, received: Received, database: Database, storage: Chain, objects: Objects, monkeypatch: Any
) -> None:
    real, faster = storage.put_file, Blobs(database, storage)

    def slow(*given: Any) -> Any:
        monkeypatch.setattr(storage, "put_file", real)
        keep(faster, received)
        return real(*given)

    monkeypatch.setattr(storage, "put_file", slow)
    kept = keep(blobs, received)
    assert [row["url"] for row in rows(database, tables.blobs)] == [kept.url]
    assert len(objects()) == 1
    assert rows(database, tables.garbage) == []


def test_an_upload_is_not_taken_for_stored_when_its_object_was_swept(
    blobs: Blobs, received: Received, database: Database, storage: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = storage.put_file

    def slow(*given: Any) -> Any:
        stored = real(*given)
        make_due(database)
        blobs.collect()
        return stored

    monkeypatch.setattr(storage, "put_file", slow)
    with pytest.raises(StorageError, match="more than a day"):
        keep(blobs, received)
    assert rows(database, tables.blobs) == []


def test_a_content_is_garbage_when_the_last_one_lets_it_go(
    blobs: Blobs, received: Received, database: Database, objects: Objects
) -> None:
    kept = keep(blobs, received)
    give(database, kept.sha256, "ann")
    with database.begin() as connection:
        assert blobs.release(connection, kept.sha256) is None
    with database.begin() as connection:
        connection.execute(sa.delete(tables.assets))
        assert blobs.release(connection, kept.sha256) == kept.url
        assert blobs.release(connection, kept.sha256) is None
    assert [row["url"] for row in rows(database, tables.garbage)] == [kept.url]
    blobs.delete_object(kept.url)
    assert objects() == rows(database, tables.garbage) == []


def test_a_release_that_is_taken_back_releases_nothing(
    blobs: Blobs, received: Received, database: Database
) -> None:
    kept = keep(blobs, received)

    def release_and_fail() -> None:
        with database.begin() as connection:
            blobs.release(connection, kept.sha256)
            raise RuntimeError("taken back")

    with pytest.raises(RuntimeError, match="taken back"):
        release_and_fail()
    assert keep(blobs, received) == kept
    assert rows(database, tables.garbage) == []


@pytest.mark.parametrize(
    ("error", "wait"), [(StorageError("away"), 600.0), (StorageRefused("no longer ours"), 24 * 3600.0)]
)
def test_an_object_that_cannot_be_deleted_now_is_deleted_later(
    blobs: Blobs,
    received: Received,
    database: Database,
    storage: Chain,
    objects: Objects,
    monkeypatch: pytest.MonkeyPatch,
    error: StorageError,
    wait: float,
) -> None:
    def down(url: str) -> None:
        raise error

    url = keep(blobs, received).url
    with database.begin() as connection:
        note_garbage(connection, url, 1.0)
    before = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", down)
        assert blobs.collect() == 0
    (note,) = rows(database, tables.garbage)
    assert before + wait <= note["due_at"] <= time.time() + wait
    assert len(objects()) == 1
    make_due(database)
    assert blobs.collect() == 1
    assert objects() == []


def test_an_object_that_is_gone_already_is_no_obstacle(
    blobs: Blobs, database: Database, storage: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(url: str) -> None:
        raise StorageMissing("gone")

    with database.begin() as connection:
        note_garbage(connection, "local:///gone", 1.0)
    monkeypatch.setattr(storage, "delete", missing)
    assert blobs.collect() == 1
    assert rows(database, tables.garbage) == []


def test_garbage_is_collected_a_part_at_a_time_the_oldest_first(
    blobs: Blobs, database: Database, storage: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[str] = []
    monkeypatch.setattr(storage, "delete", deleted.append)
    with database.begin() as connection:
        for number in (3, 1, 2):
            note_garbage(connection, f"x:{number}", float(number))
        note_garbage(connection, "x:later", time.time() + 600)
    assert (blobs.collect(2), blobs.collect(2), blobs.collect(2)) == (2, 1, 0)
    assert deleted == ["x:1", "x:2", "x:3"]


def test_a_note_that_is_made_again_is_due_anew(database: Database) -> None:
    with database.begin() as connection:
        note_garbage(connection, "x:1", 5.0)
        note_garbage(connection, "x:1", 9.0)
    assert [dict(row) for row in rows(database, tables.garbage)] == [{"url": "x:1", "due_at": 9.0}]


def test_what_is_there_already_is_not_inserted(database: Database) -> None:
    with database.begin() as connection:
        assert insert_new(connection, tables.garbage, {"url": "x:1", "due_at": 5.0})
        assert not insert_new(connection, tables.garbage, {"url": "x:1", "due_at": 9.0})
    assert [row["due_at"] for row in rows(database, tables.garbage)] == [5.0]
