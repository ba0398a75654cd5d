from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from mien.comfyui import ComfySettings
from mien.comfyui.api import Queue
from mien.comfyui.environments import EnvironmentStatus
from mien.comfyui.member import InstanceStatus
from mien.db.tables import assets as table
from mien.errors import ComfyUnreachable, DatabaseUnavailable
from mien.jobs.executors import Executors
from mien.service import gateway as module
from mien.service.callers import Caller
from mien.service.gateway import Gateway
from mien.service.service import Service
from mien.service.settings import ServiceSettings
from mien.service.tasks import COMM, FACE_SWAP, SERVED, Report, Wish
from tests.jobs.test_database import new
from tests.server.served import face_png
from tests.service.comfy_places import make_service

SECRET = "http://user:secret@127.0.0.1:9001"
STATS = {
    "system": {"os": "posix", "ram_free": 7, "argv": ["main.py", "--listen"], "embedded_python": False},
    "devices": [{"name": "cuda:0", "vram_free": 5}],
}


class Instance:
    """Stands in for a client of ComfyUI."""

    def __init__(self, url: str, *, away: bool = False, stats: Mapping[str, Any] = STATS) -> None:
        self.url = url
        self.away = away
        self.stats = stats

    def queue(self) -> Queue:
        self._check()
        return Queue(("a",), ("b", "c"))

    def system_stats(self) -> Mapping[str, Any]:
        self._check()
        return self.stats

    def _check(self) -> None:
        if self.away:
            raise ComfyUnreachable("The instance cannot be reached.")


class Places:
    """Stands in for the environments: two, with three instances."""

    names = ("comfyui", "large")

    def __init__(self) -> None:
        self.probes = 0
        self.known = {
            "comfyui": (Instance(SECRET), Instance("http://127.0.0.1:9002", away=True)),
            "large": (Instance("http://127.0.0.1:9003", stats={"system": None}),),
        }

    def probe(self) -> None:
        self.probes += 1

    def instances(self, name: str) -> tuple[Instance, ...]:
        return self.known[name]

    def status(self) -> list[EnvironmentStatus]:
        ready = InstanceStatus("http://127.0.0.1:9003", "ready", 0, 0, "1", None)
        return [EnvironmentStatus("comfyui", (), ()), EnvironmentStatus("large", ("a",), (ready, ready))]


def gateway_of(
    service: Service, places: Any, health: Callable[[], bool] | None = None, **given: Any
) -> Gateway:
    settings = service.settings.model_copy(update=given)
    return Gateway(
        settings,
        service.comfy,
        places,
        service.store,
        service.events,
        lambda: service.desk,
        lambda connection, row: None,
        health,
    )


@pytest.fixture
def places() -> Places:
    return Places()


@pytest.fixture
def gateway(idle: Service, places: Places) -> Gateway:
    return gateway_of(idle, places)


@pytest.mark.parametrize(
    ("urls", "remote", "ports"),
    [
        ((), None, {FACE_SWAP: 8080, COMM: 8188}),
        (("http://host:7000", "http://other:7001"), None, {FACE_SWAP: 8080, COMM: 7000}),
        (("https://host",), "http://engine:8004", {FACE_SWAP: 8004, COMM: 443}),
        ((), "http://engine", {FACE_SWAP: 80, COMM: 8188}),
    ],
)
def test_tasks_show_the_ports_of_those_who_do_them(
    idle: Service, places: Any, urls: tuple[str, ...], remote: str | None, ports: dict[str, int]
) -> None:
    comfy = ComfySettings(urls=urls)
    settings = ServiceSettings(port=8080).model_copy(update={"remote_engine_url": remote})
    made = Gateway(settings, comfy, places, idle.store, idle.events, lambda: idle.desk, lambda *_: None)
    assert made.ports == ports


def test_faces_are_swapped_where_a_worker_lives(idle: Service, gateway: Gateway) -> None:
    assert gateway.can_swap() is False
    executors = Executors(idle.database)
    executors.begin("front", "api", {})
    assert gateway.can_swap() is False
    executors.begin("back", "worker", {})
    assert gateway.can_swap() is True
    assert gateway_of(idle, Places(), dead_after_seconds=-1.0).can_swap() is False
    executors.end("back")
    executors.begin("both", "all", {})
    assert gateway.can_swap() is True


@pytest.mark.parametrize("alive", [True, False])
def test_another_engine_is_asked_instead_of_workers(idle: Service, places: Places, alive: bool) -> None:
    Executors(idle.database).begin("back", "worker", {})
    asked = gateway_of(idle, places, lambda: alive)
    assert asked.can_swap() is alive
    assert asked.tasks.remote
    assert not gateway_of(idle, places).tasks.remote


def test_nobody_swaps_while_the_database_is_away(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(Executors, "live", away)
    assert gateway.can_swap() is False


def test_workflows_are_described_without_where_their_values_go(gateway: Gateway) -> None:
    known = {entry["name"]: entry for entry in gateway.describe()}
    assert list(known) == sorted(known)
    places = {name: entry["environment"] for name, entry in known.items()}
    assert (places["face_swap"], places["face_swap_upscale"], places["basic_generation"]) == (
        FACE_SWAP,
        COMM,
        COMM,
    )
    upscale = known["image_upscale"]
    assert (upscale["version"], upscale["title"]) == (1, "Larger picture")
    assert [item["name"] for item in upscale["parameters"]] == ["image", "scale", "method"]
    assert not {"places", "option"} & set(upscale["parameters"][1])


def test_instances_are_asked_again_only_after_a_while(
    gateway: Gateway, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    seen = []
    for moment in (100.0, 101.0, 102.0, 102.1, 103.0):
        clock.now = moment
        gateway.instances()
        seen.append(places.probes)
    assert seen == [1, 1, 1, 2, 2]


def test_each_instance_is_told_with_its_environment(gateway: Gateway) -> None:
    found = gateway.instances()
    assert [(one["environment"], one["url"], one["state"]) for one in found] == [
        ("large", "http://127.0.0.1:9003", "ready")
    ] * 2


def test_one_instance_that_is_away_does_not_hide_the_others(gateway: Gateway) -> None:
    there = {"connected": True, "queue_running": 1, "queue_pending": 2}
    assert gateway.queues() == [
        {"url": "http://127.0.0.1:9001", **there},
        {"url": "http://127.0.0.1:9002", "connected": False, "error": "The instance cannot be reached."},
        {"url": "http://127.0.0.1:9003", **there},
    ]


def test_of_a_machine_only_versions_devices_and_memory_are_told(gateway: Gateway) -> None:
    first, away, empty = gateway.system_stats()
    assert first["system"] == {"os": "posix", "ram_free": 7}
    assert first["devices"] == [{"name": "cuda:0", "vram_free": 5}]
    assert away["connected"] is False
    assert (empty["system"], empty["devices"]) == ({}, [])


def test_environments_that_nobody_serves_are_told_to_those_who_wait(idle: Service, gateway: Gateway) -> None:
    for id, owner, queue in (
        ("a", "ann", "comfyui:one"),
        ("b", "bob", "comfyui:one"),
        ("c", "ann", "comfyui:two"),
        ("d", "ann", "pictures"),
    ):
        idle.store.insert([new(id, owner=owner, queue=queue)])
    one, two = ({"environment": f"comfyui:{name}", "waiting": 1} for name in ("one", "two"))
    found = gateway.unserved(None)
    assert sorted(found, key=lambda item: str(item["environment"])) == [{**one, "waiting": 2}, two]
    assert gateway.unserved("bob") == [one]
    Executors(idle.database).begin("w", "worker", {"queues": ["comfyui:one"]})
    assert gateway.unserved(None) == [two]
    assert gateway.unserved("bob") == []


def test_a_stage_whose_result_is_gone_is_lent_again(tmp_path: Path) -> None:
    with make_service(tmp_path, ComfySettings(), None) as service:
        tasks, assets = service.gateway.tasks, service.assets
        source = assets.add_stream([face_png(1)], "ann", "a.png").id
        data = {"source_url": source, "target_url": source}
        tasks.create(Wish("face_swap_upscale", data), Caller("ann"), "x")
        lent = tasks.leases.take(["local"], "w", None)
        assert lent is not None
        swapped = assets.add_stream([face_png(2)], "admin", "swapped.png").id
        tasks.complete("job_x", lent.token, Report((swapped,)), Caller("admin"))
        with service.database.begin() as connection:
            connection.execute(sa.delete(table).where(table.c.id == swapped, table.c.owner == "ann"))
        assert tasks.leases.take(SERVED[COMM], "w", None) is None
        again = tasks.leases.take(["local"], "w", None)
        assert again is not None
        assert [step.status for step in again.row.job.steps] == ["queued", "queued"]
