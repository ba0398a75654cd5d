"""Two processes of a service, each with its own view of the same instances, and one database between them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mien.comfyui import ComfySettings, Environments
from mien.comfyui.sharing import Fault, News
from mien.db import Database
from mien.db.tables import comfy_faults
from mien.errors import TimedOut, WorkflowInvalid
from mien.service.comfy_faults import ComfyFaults
from mien.testing import FakeComfyUI
from tests.comfyui.graphs import empty, node
from tests.service.comfy_places import comfy_settings, make_service


@dataclass
class Side:
    """One process."""

    environments: Environments
    faults: ComfyFaults
    now: list[float]

    def exchange(self) -> None:
        self.faults.exchange()

    def instances(self) -> list[Any]:
        return [one for found in self.environments.status() for one in found.instances]


@pytest.fixture
def comfy(tmp_path: Path) -> Iterator[FakeComfyUI]:
    with FakeComfyUI(folder=tmp_path / "comfyui") as fake:
        yield fake


def side(database: Database, *urls: str, **more: Any) -> Side:
    quick = {"poll_seconds": 0.2, "poll_fast_seconds": 0.05, "fault_seconds": 600.0, "connect_seconds": 5.0}
    now = [0.0]
    settings = ComfySettings(urls=urls, **{**quick, **more})
    environments = Environments(settings, clock=lambda: now[0])
    return Side(environments, ComfyFaults(database, environments), now)


def run(one: Side, tmp_path: Path, graph: dict[str, Any]) -> Any:
    return one.environments.run("comfyui", graph, into=tmp_path, job_id="job")


def picture(color: int = 1) -> dict[str, Any]:
    return {"1": empty(color), "2": node("SaveImage", images=["1", 0], filename_prefix="x")}


def rows(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(comfy_faults)).scalar_one())


def test_who_never_met_a_dead_instance_knows_of_it_and_of_its_return(
    database: Database, comfy: FakeComfyUI, tmp_path: Path
) -> None:
    one = side(database, comfy.url, start_seconds=0.5, reconnect_seconds=0.3)
    other = side(database, comfy.url.replace("//", "//anna:secret@"))
    comfy.crash()
    with pytest.raises(TimedOut):
        run(one, tmp_path, picture())
    one.exchange()
    (before,) = other.instances()
    other.exchange()
    (after,) = other.instances()
    assert (before.state, after.state) == ("unknown", "faulty")
    assert "cannot be reached" in after.fault
    with database.read() as connection:
        assert "secret" not in str(connection.execute(sa.select(comfy_faults)).all())
    # It works again: whoever tries first tells the others.
    comfy.restart()
    one.now[0] += 601
    assert run(one, tmp_path, picture()).outputs
    # Before its time by the clock of the database.
    one.exchange()
    assert one.instances()[0].fault is None
    other.exchange()
    assert other.instances()[0].fault is None
    assert rows(database) == 0


def test_a_fault_ends_by_itself(database: Database, comfy: FakeComfyUI) -> None:
    one, other = (side(database, comfy.url, fault_seconds=30.0) for _ in range(2))
    for member in one.environments._members():
        member.failed("It is broken.", at_once=True)
    one.exchange()
    other.exchange()
    (member,) = other.environments._members()
    assert not member.has_place()
    other.now[0] += 31
    assert member.has_place()


def test_what_an_instance_lacks_is_found_out_once(
    database: Database, comfy: FakeComfyUI, tmp_path: Path
) -> None:
    graph = {"6": node("UpscaleModelLoader", model_name="none.pth"), **picture()}
    graph["3"] = node("ImageUpscaleWithModel", upscale_model=["6", 0], image=["1", 0])
    graph["5"] = node("SaveImage", images=["3", 0], filename_prefix="y")
    one, other = side(database, comfy.url), side(database, comfy.url)
    with pytest.raises(WorkflowInvalid, match="not one of the values"):
        run(one, tmp_path, graph)
    one.exchange()
    one.exchange()
    other.exchange()
    (found,) = other.instances()
    assert (found.state, found.lacks) == ("unknown", ("none.pth",))
    assert rows(database) == 1
    assert run(other, tmp_path, picture()).outputs  # it does everything else
    with pytest.raises(WorkflowInvalid, match="not one of the values"):
        run(other, tmp_path, graph)  # nobody has it: whoever asks is told what is missing


def test_nothing_is_written_where_nothing_happens(database: Database, comfy: FakeComfyUI) -> None:
    one = side(database, comfy.url)
    one.environments.probe()
    one.exchange()
    assert not one.environments.news()
    assert rows(database) == 0


def test_a_service_exchanges_and_its_health_counts(comfy: FakeComfyUI, tmp_path: Path) -> None:
    with make_service(tmp_path, comfy_settings(tmp_path, comfy.url)) as service:
        broken = Fault(comfy.url, "", "It is broken.", 600.0)
        with service.database.begin() as connection:
            ComfyFaults(service.database, service.environments)._write(connection, News([broken]))
        service.start("api")
        deadline = time.monotonic() + 60
        while service.environments.status()[0].instances[0].state != "faulty":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        state, parts = service.health.look()
        assert (state, parts["comfyui"]["status"]) == ("degraded", "degraded")
        assert (parts["comfyui"]["instances"], parts["comfyui"]["faulty"]) == (1, 1)
