from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mien.db import Database, tables
from mien.errors import AssetMissing, JobMissing, StorageError
from mien.jobs.database import DatabaseStore
from mien.service.assets import Assets
from mien.service.retention import LOCK, Retention
from mien.service.settings import ServiceSettings
from mien.service.uploads import Uploads
from mien.storage import Chain
from tests.service.conftest import picture

DAY = 86400.0
Sweep = Callable[..., Any]


@pytest.fixture
def retention_at(
    database: Database, assets: Assets, storage: Chain, settings: ServiceSettings
) -> Callable[[float], Retention]:
    """Retention as it will be so many seconds from now."""
    uploads = Uploads(database, storage, assets, settings)
    return lambda seconds: Retention(database, assets, uploads, settings, lambda: time.time() + seconds)


def add_job(database: Database, id: str, status: str = "completed", **columns: Any) -> None:
    values = {
        "id": id,
        "owner": "ann",
        "status": status,
        "content": "{}",
        "request": {},
        "created_at": time.time(),
        "updated_at": time.time(),
        "ended_at": time.time() if status in ("completed", "failed", "canceled") else None,
        **columns,
    }
    with database.begin() as connection:
        connection.execute(sa.insert(tables.jobs).values(**values))
        connection.execute(sa.insert(tables.job_events).values(job=id, type="status", data={}, at=1))


def ids(database: Database, column: Any) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(sa.select(column)).scalars())


def test_jobs_that_are_over_go_with_all_that_was_said_of_them(
    retention_at: Callable[[float], Retention], database: Database
) -> None:
    moment = time.time()
    add_job(database, "over", expires_at=moment + 10)
    add_job(database, "kept", expires_at=moment + 30 * DAY)
    add_job(database, "without", "failed")
    add_job(database, "running", "running", expires_at=moment + 10)
    add_job(database, "waiting", "queued")
    add_job(database, "draft", "drafted")
    add_job(database, "command", kind="cli")
    with database.begin() as connection:
        connection.execute(
            sa.insert(tables.webhook_deliveries).values(
                id="m",
                owner="ann",
                job="over",
                url="https://example.org",
                type="job.completed",
                payload={},
                status="delivered",
                attempts=[],
                created_at=moment,
            )
        )
    assert retention_at(0).sweep() == {}
    assert retention_at(20).sweep() == {"jobs": 1}
    assert ids(database, tables.webhook_deliveries.c.id) == set()
    assert retention_at(8 * DAY).sweep() == {"jobs": 1}
    left = {"kept", "running", "waiting", "draft", "command"}
    assert ids(database, tables.jobs.c.id) == ids(database, tables.job_events.c.job) == left
    retention_at(31 * DAY).sweep()
    assert ids(database, tables.jobs.c.id) == {"running", "waiting", "command"}


def test_more_jobs_than_fit_into_one_transaction(
    retention_at: Callable[[float], Retention], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.service.retention.PIECE", 2)
    for number in range(5):
        add_job(database, f"j{number}", expires_at=1)
    assert retention_at(0).sweep() == {"jobs": 5}
    with pytest.raises(JobMissing):
        DatabaseStore(database).row("j0")


def test_assets_go_when_their_time_is_over_and_their_objects_with_them(
    retention_at: Callable[[float], Retention], assets: Assets, objects: Callable[[], list[Path]]
) -> None:
    asset = assets.add_stream([picture()], "ann", "a.png")
    other = assets.add_stream([picture()], "bob", "a.png")
    assert other.id == asset.id
    with assets.local_copy(asset.id, "ann") as copy:
        pass
    assert retention_at(DAY).sweep() == {}
    assert len(objects()) == 1
    assert retention_at(3 * DAY).sweep() == {"assets": 2}
    assert objects() == []
    assert not copy.exists()
    with pytest.raises(AssetMissing):
        assets.get(asset.id, "ann")


def test_what_a_job_needs_stays_until_the_job_has_ended(
    retention_at: Callable[[float], Retention], assets: Assets, database: Database
) -> None:
    id = assets.add_stream([picture()], "ann", "a.png").id
    add_job(database, "one", "running", content=f'["asset:{id}"]')
    assert retention_at(3 * DAY).sweep() == {}
    assert assets.get(id, "ann").id == id
    with database.begin() as connection:
        connection.execute(sa.update(tables.jobs).values(status="completed", ended_at=time.time()))
    assert retention_at(4 * DAY).sweep() == {"assets": 1}


def test_results_stay_as_long_as_their_job(
    retention_at: Callable[[float], Retention], assets: Assets, database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "r.png"
    path.write_bytes(picture())
    id = assets.store_file(path, "ann", "r.png", "result").id
    add_job(database, "one", results=[{"asset": id}], expires_at=time.time() + 20 * DAY)
    assert retention_at(15 * DAY).sweep() == {}
    assert retention_at(21 * DAY).sweep() == {"jobs": 1, "assets": 1}


def test_a_sweep_that_is_killed_leaves_nothing_undeletable(
    retention_at: Callable[[float], Retention],
    assets: Assets,
    storage: Chain,
    objects: Callable[[], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
    database: Database,
) -> None:
    class Killed(BaseException):
        pass

    def die(url: str) -> None:
        raise Killed

    assets.add_stream([picture()], "ann", "a.png")
    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", die)
        with pytest.raises(Killed):
            retention_at(3 * DAY).sweep()
    assert len(objects()) == 1
    assert ids(database, tables.blobs.c.sha256) == set()
    assert retention_at(0).sweep() == {"objects": 1}
    assert objects() == []


def test_a_storage_that_is_away_is_asked_again(
    retention_at: Callable[[float], Retention],
    assets: Assets,
    storage: Chain,
    objects: Callable[[], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
    database: Database,
) -> None:
    def down(url: str) -> None:
        raise StorageError("away")

    assets.add_stream([picture()], "ann", "a.png")
    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", down)
        retention_at(3 * DAY).sweep()
    assert len(objects()) == 1
    with database.begin() as connection:
        connection.execute(sa.update(tables.garbage).values(due_at=1))
    assert retention_at(0).sweep() == {"objects": 1}
    assert objects() == []


def test_contents_that_are_nobodys_go(
    retention_at: Callable[[float], Retention],
    assets: Assets,
    database: Database,
    objects: Callable[[], list[Path]],
) -> None:
    assets.add_stream([picture()], "ann", "a.png")
    with database.begin() as connection:
        connection.execute(sa.delete(tables.assets))
    assert retention_at(0).sweep() == {"blobs": 1}
    assert objects() == []


def test_records_and_uploads_and_empty_batches_go(
    retention_at: Callable[[float], Retention], database: Database
) -> None:
    moment = time.time()
    with database.begin() as connection:
        connection.execute(
            sa.insert(tables.idempotency).values(
                owner="ann", key="k", fingerprint="f", created_at=moment, locked_until=moment, holder=""
            )
        )
        connection.execute(
            sa.insert(tables.uploads).values(
                id="u", owner="ann", url="", name="a", size=1, created_at=1, expires_at=2
            )
        )
        connection.execute(
            sa.insert(tables.batches).values(id="b", owner="ann", request={}, total=1, created_at=moment)
        )
        for id, status in (("done", "delivered"), ("late", "waiting")):
            connection.execute(
                sa.insert(tables.webhook_deliveries).values(
                    id=id,
                    owner="ann",
                    url="https://example.org",
                    type="test",
                    payload={},
                    status=status,
                    attempts=[],
                    created_at=moment,
                )
            )
    assert retention_at(0).sweep() == {"uploads": 1}
    assert retention_at(8 * DAY).sweep() == {"records": 2, "batches": 1}
    assert ids(database, tables.webhook_deliveries.c.id) == {"late"}


def test_one_process_sweeps_at_a_time_and_a_dead_one_keeps_nobody_from_it(
    retention_at: Callable[[float], Retention], database: Database
) -> None:
    add_job(database, "over", expires_at=1)
    with database.begin() as connection:
        connection.execute(sa.insert(tables.locks).values(name=LOCK, held_until=time.time() + 600))
    assert retention_at(0).sweep() == {}
    assert retention_at(601).sweep() == {"jobs": 1}
    assert ids(database, tables.locks.c.name) == set()


def test_scratch_files_of_a_crash_go_after_a_day(
    retention_at: Callable[[float], Retention], assets: Assets
) -> None:
    assets.scratch.mkdir(parents=True)
    old, new = assets.scratch / "old.part", assets.scratch / "new.part"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    retention_at(0).sweep()
    assert (old.exists(), new.exists()) == (False, True)
