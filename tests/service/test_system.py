from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mien.db import Database
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.executors import Executors
from mien.jobs.job import Job, JobStep, now
from mien.jobs.queries import CLI
from mien.jobs.rows import NewJob
from mien.models import ModelStore, load_catalogue
from mien.service import system as module
from mien.service.settings import ServiceSettings
from mien.service.system import System, memory
from mien.settings import Settings
from mien.storage import Chain


def _system(
    database: Database, storage: Chain, settings: ServiceSettings, folder: Path, **engine: Any
) -> System:
    given = Settings(cache_dir=folder / "cache", offline=True, **engine)
    return System(settings, given, database, storage, lambda: ModelStore(given, load_catalogue()))


@pytest.fixture
def system(database: Database, storage: Chain, settings: ServiceSettings, tmp_path: Path) -> System:
    return _system(database, storage, settings, tmp_path)


def _put(database: Database, id: str, **more: Any) -> DatabaseStore:
    store = DatabaseStore(database)
    store.insert([NewJob(states.submit(Job(id, now(), steps=(JobStep({}),))), **more)])
    return store


def test_the_document_names_what_runs_and_where(system: System, database: Database) -> None:
    Executors(database).begin("w1", "worker", {"host": "h", "queues": ["pictures"]})
    found = system.document()
    assert found["role"] == "all"
    assert found["storage"] == {"kinds": ["local"], "privacy": "machine"}
    assert {"python", "onnxruntime", "fastapi"} <= found["software"].keys()
    assert found["models"] == []
    (worker,) = found["workers"]
    assert {name: worker[name] for name in ("id", "role", "host", "queues")} == {
        "id": "w1",
        "role": "worker",
        "host": "h",
        "queues": ["pictures"],
    }
    assert worker["seen_at"] == pytest.approx(worker["started_at"], abs=60)


def test_who_was_silent_for_long_is_not_told_of(
    database: Database, storage: Chain, settings: ServiceSettings, tmp_path: Path
) -> None:
    import sqlalchemy as sa

    from mien.db.tables import executors

    system = _system(database, storage, settings, tmp_path)
    for name in ("old", "new"):
        Executors(database).begin(name, "worker", {})
    long_ago = executors.c.seen_at - settings.dead_after_seconds - 60
    with database.begin() as connection:
        connection.execute(sa.update(executors).where(executors.c.id == "old").values(seen_at=long_ago))
    assert [executor.id for executor in system.executors()] == ["new"]


def test_queues_are_counted_by_state_without_jobs_of_the_command_line(
    system: System, database: Database
) -> None:
    store = _put(database, "a")
    _put(database, "b")
    _put(database, "mine", kind=CLI)
    store.change("b", lambda job: states.begin(job, "w"), queue="pictures")
    found = {(item["queue"], item["status"]): item for item in system.queues()}
    assert {key: item["count"] for key, item in found.items()} == {
        ("undecided", "queued"): 1,
        ("pictures", "running"): 1,
    }
    assert found["undecided", "queued"]["oldest_seconds"] >= 0
    assert "oldest_seconds" not in found["pictures", "running"]


def test_each_device_of_each_provider_is_told(
    database: Database, storage: Chain, settings: ServiceSettings, tmp_path: Path
) -> None:
    engine = {"providers": ("cuda", "cpu"), "device_ids": (0, 2), "precision": "fast"}
    found = _system(database, storage, settings, tmp_path, **engine).document()["devices"]
    assert [(item["provider"], item.get("device")) for item in found] == [
        ("cuda", 0),
        ("cuda", 2),
        ("cpu", None),
    ]
    assert found[-1]["cores"] == os.cpu_count()
    assert {item["precision"] for item in found} == {"fast"}


def test_a_model_is_installed_once_its_file_has_its_size(
    database: Database, storage: Chain, settings: ServiceSettings, tmp_path: Path
) -> None:
    catalogue = load_catalogue()
    model = min((item for item in catalogue.values() if item.files[0].exact_size), key=lambda item: item.size)
    system = _system(database, storage, settings, tmp_path, models_dir=tmp_path, allow_noncommercial=True)
    for file in model.files:
        (tmp_path / file.basename).write_bytes(bytes(file.exact_size or 0))
    assert model.id in system.document()["models"]
    (tmp_path / model.files[0].basename).write_bytes(b"cut")
    assert model.id not in system.document()["models"]


def test_memory_is_read_from_the_kernel_and_left_out_where_it_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, machine = tmp_path / "status", tmp_path / "meminfo"
    status.write_text("Name:\tmien\nVmRSS:\t  2048 kB\n")
    machine.write_text("MemTotal:  4096 kB\nMemAvailable: 1024 kB\nHugePages_Total: 0\n")
    genuine = module._fields
    files = {"/proc/self/status": status, "/proc/meminfo": machine}
    monkeypatch.setattr(module, "_fields", lambda path: genuine(files[str(path)]))
    assert memory() == {"process": 2048 * 1024, "total": 4096 * 1024, "available": 1024 * 1024}
    status.unlink()
    machine.unlink()
    assert memory() == {}
