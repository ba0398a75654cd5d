from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mien.db import Database, open_database
from mien.errors import DatabaseUnavailable, StorageError
from mien.jobs.database import DatabaseStore
from mien.jobs.executors import Executors
from mien.models import ModelStore, load_catalogue
from mien.service.health import FRESH, STORAGE_FRESH, Health
from mien.service.settings import MB, ServiceSettings
from mien.service.space import Probe, Space, free_bytes
from mien.settings import Settings
from mien.storage import StorageSettings, open_storage
from tests.service.clocks import Clock


@pytest.fixture
def database(tmp_path: Path) -> Any:
    database = open_database(f"sqlite:///{tmp_path}/mien.db")
    yield database
    database.close()


def _health(
    folder: Path, database: Database, clock: Clock, probe: Probe = free_bytes, **settings: Any
) -> Health:
    given = ServiceSettings(data_dir=folder, **settings)
    engine = Settings(cache_dir=folder / "cache", offline=True)
    storage = open_storage(StorageSettings(local_path=folder / "storage"))
    store = DatabaseStore(database)
    models = ModelStore(engine, load_catalogue())
    space = Space(given, probe, clock)
    return Health(given, engine, database, store, storage, lambda: models, space, clock)


def test_a_service_without_worker_and_analyser_says_so(tmp_path: Path, database: Database) -> None:
    status, parts = _health(tmp_path, database, Clock()).look()
    assert status == "degraded"
    assert {parts[name]["status"] for name in ("database", "storage", "queue", "disk")} == {"ok"}
    assert "No worker is running" in parts["workers"]["message"]
    assert "nothing is looked at" in parts["content_policy"]["message"]
    assert parts["models"]["message"] == "No model is installed, and none may be downloaded."


def test_workers_that_live_are_counted(tmp_path: Path, database: Database) -> None:
    Executors(database).begin("w1", "worker", {})
    Executors(database).begin("a1", "api", {})
    parts = _health(tmp_path, database, Clock(), content_policy="off").look()[1]
    assert parts["workers"] == {"status": "ok", "count": 1, "processes": 2}
    assert parts["content_policy"]["status"] == "ok"


def test_a_database_that_is_away_is_down_and_its_address_stays_here(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Database) -> None:
        raise DatabaseUnavailable("The database postgresql://secret cannot be used.")

    monkeypatch.setattr(Database, "read", away)
    status, parts = _health(tmp_path, database, Clock()).look()
    assert (status, parts["database"]["status"]) == ("down", "down")
    assert "secret" not in str(parts)
    assert "queue" not in parts


def test_a_storage_that_fails_is_down_until_the_next_trial(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    health = _health(tmp_path, database, clock)

    def broken(*arguments: object) -> None:
        raise StorageError("The disk is on fire.")

    with monkeypatch.context() as patched:
        patched.setattr(health._storage, "put_file", broken)
        assert health.look()[0] == "down"
    clock.pass_time(FRESH + 1)
    assert health.look()[0] == "down"
    clock.pass_time(STORAGE_FRESH)
    assert health.look()[1]["storage"]["status"] == "ok"
    assert not [path for path in (tmp_path / "storage").rglob("*") if path.is_file()]


def test_a_full_disk_is_noticed_and_an_answer_is_given_again_for_a_while(
    tmp_path: Path, database: Database
) -> None:
    clock, free = Clock(), [2000 * MB]
    health = _health(tmp_path, database, clock, lambda folder: free[0], min_free_mb=100)
    assert health.look()[1]["disk"] == {"status": "ok", "free_bytes": 2000 * MB}
    free[0] = 900 * MB
    assert health.look()[1]["disk"]["status"] == "ok"
    clock.pass_time(FRESH)
    assert health.look()[1]["disk"]["status"] == "degraded"
    free[0] = 99 * MB
    clock.pass_time(FRESH)
    status, parts = health.look()
    assert (status, parts["disk"]["status"]) == ("down", "down")
    assert "MIEN_MIN_FREE_MB" in parts["disk"]["message"]


def test_workers_whose_disk_is_full_are_told(tmp_path: Path, database: Database) -> None:
    Executors(database).begin("w1", "worker", {"disk": {"free_bytes": 1, "low": True}})
    Executors(database).begin("w2", "worker", {"disk": {"free_bytes": 10**12, "low": False}})
    found = _health(tmp_path, database, Clock()).look()[1]["workers"]
    assert (found["status"], found["count"], found["full"]) == ("degraded", 2, 1)
    assert found["message"].startswith("The disks of 1 of 2 workers are nearly full")
