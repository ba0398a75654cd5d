"""Consumers against a real gateway, with a stand-in for the work."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from mien.consumer.gateway import Gateway
from mien.consumer.settings import ConsumerSettings
from mien.errors import JobBusy, NoFace, RemoteFailed, StorageRefused
from mien.pipeline.progress import Cancel
from mien.pipeline.step import Step
from tests.consumer.places import PAINT, Requests, picture, until, working
from tests.consumer.process import StandIn, settings_for
from tests.consumer.proxies import proxy
from tests.pipeline.fakes import Inverter, fake_engine


class Held:
    """Work that waits until it is let go on."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.engine = StandIn(self._wait)

    def _wait(self, step: Step, cancel: Cancel) -> None:
        self.begun.set()
        while not self.go_on.is_set():
            cancel.wait(0.02)


def port_of(gateway: Requests) -> int:
    return int(gateway.url.rpartition(":")[2])


def test_tasks_are_fetched_done_and_delivered(gateway: Requests, tmp_path: Path) -> None:
    ids = [gateway.swap(shade) for shade in range(4)]
    with working(gateway.url, tmp_path / "work", concurrency=2, once=True) as found:
        found.thread.join(60)
    assert found.outcomes == {"completed": 4}
    for shade, id in enumerate(ids):
        task = gateway.task(id)
        assert task["status"] == "COMPLETED"
        assert gateway.http.get(task["result"]["url"]).content == picture(shade)
    assert [path.name for path in (tmp_path / "work").iterdir()] == [".lock"]
    assert found.log.getvalue().count("task_completed") == 4


class StandInSwapper(Inverter):
    name = "face_swapper"


def test_the_engine_does_the_work_within_the_resolution(gateway: Requests, tmp_path: Path) -> None:
    id = gateway.swap(3, resolution="100x120")
    with (
        fake_engine(tmp_path, processors={"face_swapper": StandInSwapper()}) as engine,
        working(gateway.url, tmp_path / "work", engine, once=True) as found,
    ):
        found.thread.join(60)
    assert found.outcomes == {"completed": 1}, found.log.getvalue()
    asset = gateway.place.service.store.row(id).results[0]
    assert (asset["width"], asset["height"]) == (32, 24)  # it fits already, and is not made larger
    url = gateway.task(id)["result"]["url"]
    assert b"face_swapper" in gateway.http.get(url).content  # the mark


def test_what_is_wrong_with_a_task_is_reported(gateway: Requests, tmp_path: Path) -> None:
    def fail(step: Step, cancel: Cancel) -> None:
        raise NoFace(f"There is no face in {step.sources[0]}.")

    id = gateway.swap()
    with working(gateway.url, tmp_path / "work", StandIn(fail), once=True) as found:
        found.thread.join(60)
    assert found.outcomes == {"failed": 1}
    task = gateway.task(id)["task"]
    assert task["status"] == "FAILED"
    assert task["error"].startswith("There is no face in source_url")
    assert gateway.place.service.store.row(id).job.failure.code == "no_face"  # type: ignore[union-attr]


def test_a_defect_ends_the_task_and_not_the_consumer(gateway: Requests, tmp_path: Path) -> None:
    broken = [True]

    def fail(step: Step, cancel: Cancel) -> None:
        if broken and broken.pop():
            raise ZeroDivisionError

    first, second = gateway.swap(1), gateway.swap(2)
    with working(gateway.url, tmp_path / "work", StandIn(fail), once=True) as found:
        found.thread.join(60)
    assert (gateway.task(first)["status"], gateway.task(second)["status"]) == ("FAILED", "COMPLETED")
    assert "ZeroDivisionError" in found.log.getvalue()
    assert "ZeroDivisionError" not in gateway.task(first)["task"]["error"]


def test_a_machine_that_cannot_work_leaves_the_task_to_others(gateway: Requests, tmp_path: Path) -> None:
    def fail(step: Step, cancel: Cancel) -> None:
        raise StorageRefused("The storage is not set up.")

    id = gateway.swap()
    with working(gateway.url, tmp_path / "bad", StandIn(fail), poll_max_seconds=60) as found:
        until(lambda: found.outcomes == {"unable": 1})
        assert gateway.task(id)["status"] == "PENDING"
        with working(gateway.url, tmp_path / "good", once=True) as other:
            other.thread.join(60)
    assert gateway.task(id)["status"] == "COMPLETED"
    assert found.outcomes == {"unable": 1}


def test_a_canceled_task_stops(gateway: Requests, tmp_path: Path) -> None:
    held = Held()
    id = gateway.swap()
    with working(gateway.url, tmp_path / "work", held.engine, lease_seconds=5) as found:
        assert held.begun.wait(60)
        gateway.cancel(id)
        assert gateway.wait(id)["status"] == "CANCELLED"
        until(lambda: found.outcomes == {"canceled": 1})


def test_work_on_a_lost_lease_stops_and_says_nothing(gateway: Requests, tmp_path: Path) -> None:
    held = Held()
    id = gateway.swap()
    with (
        proxy(port_of(gateway)) as network,
        working(network.url, tmp_path / "slow", held.engine, lease_seconds=5) as slow,
    ):
        assert held.begun.wait(60)
        network.cut()
        with working(gateway.url, tmp_path / "other") as other:
            assert gateway.wait(id)["status"] == "COMPLETED"
            network.restore()
            until(lambda: slow.outcomes == {"dropped": 1})
            assert other.outcomes == {"completed": 1}
    assert gateway.ends()[id] == ["completed"]


def test_the_network_may_fail_while_work_goes_on(gateway: Requests, tmp_path: Path) -> None:
    held = Held()
    id = gateway.swap()
    with (
        proxy(port_of(gateway)) as network,
        working(network.url, tmp_path / "work", held.engine) as found,
    ):
        assert held.begun.wait(60)
        network.cut()
        held.go_on.set()
        until(lambda: network.cuts > 2)
        assert gateway.task(id)["status"] in ("FETCHED", "PROCESSING")
        network.restore()
        assert gateway.wait(id)["status"] == "COMPLETED"
        until(lambda: found.outcomes == {"completed": 1})
    assert len(held.engine.steps) == 1


def test_a_report_whose_answer_is_lost_is_repeated(gateway: Requests, tmp_path: Path) -> None:
    held = Held()
    id = gateway.swap()
    with (
        proxy(port_of(gateway)) as network,
        working(network.url, tmp_path / "work", held.engine) as found,
    ):
        assert held.begun.wait(60)
        network.mute = True
        held.go_on.set()
        # Each call arrives; that it did, nobody here learns.
        until(lambda: network.cuts > 2)
        network.restore()
        until(lambda: found.outcomes == {"completed": 1})
    assert gateway.ends()[id] == ["completed"]


def test_the_end_lets_short_work_finish(gateway: Requests, tmp_path: Path) -> None:
    held = Held()
    id = gateway.swap()
    with working(gateway.url, tmp_path / "work", held.engine) as found:
        assert held.begun.wait(60)
        found.consumer.stop()
        held.go_on.set()
    assert found.outcomes == {"completed": 1}
    assert gateway.task(id)["status"] == "COMPLETED"


def test_the_end_gives_long_work_back(gateway: Requests, tmp_path: Path) -> None:
    held = Held()
    id = gateway.swap()
    with working(gateway.url, tmp_path / "work", held.engine, shutdown_seconds=0) as found:
        assert held.begun.wait(60)
    assert found.outcomes == {"given_back": 1}
    row = gateway.place.service.store.row(id)
    assert (row.status, row.tries, row.lease_until) == ("queued", 0, None)
    assert gateway.ends().get(id) is None


def test_a_finished_result_is_reported_by_the_next_start(
    gateway: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.consumer.consumer.GRACE", 0.3)
    held = Held()
    id = gateway.swap()
    with (
        proxy(port_of(gateway)) as network,
        working(network.url, tmp_path / "work", held.engine, shutdown_seconds=0) as found,
    ):
        assert held.begun.wait(60)
        network.cut()
        held.go_on.set()
        until(lambda: network.cuts > 2)
    assert found.outcomes == {"kept": 1}
    with working(gateway.url, tmp_path / "work") as again:
        assert gateway.wait(id)["status"] == "COMPLETED"
        until(lambda: again.outcomes == {"completed": 1})
    assert again.engine.steps == []
    assert [path.name for path in (tmp_path / "work").iterdir()] == [".lock"]


def test_two_consumers_do_not_share_a_folder(gateway: Requests, tmp_path: Path) -> None:
    with working(gateway.url, tmp_path / "work"), working(gateway.url, tmp_path / "work") as second:
        second.thread.join(60)
        assert isinstance(second.failures[0], JobBusy)


@pytest.mark.parametrize(("url", "reason"), [("http://127.0.0.1:9", "reached"), ("", "gateway")])
def test_what_is_wrong_from_the_start_is_said(
    gateway: Requests, tmp_path: Path, url: str, reason: str
) -> None:
    with working(url or f"{gateway.url}/docs", tmp_path / "work", once=True) as found:
        found.thread.join(60)
    assert isinstance(found.failures[0], RemoteFailed)
    assert reason in str(found.failures[0])


def test_inputs_belong_to_whoever_has_the_task(gateway: Requests, tmp_path: Path) -> None:
    gateway.swap(5)
    own, other = gateway.place.upload(5), gateway.place.upload(77)
    with Gateway(settings_for(gateway.url, tmp_path)) as client:
        task = client.fetch(["face_swap"])
        assert task is not None

        def read(asset: str, token: str) -> int:
            path = f"/api/comm/task/{task.id}/inputs/{asset}"
            return int(gateway.http.get(path, headers={"X-Lease-Token": token}).status_code)

        assert read(own, task.token) == 200
        assert read(other, task.token) == 404
        assert read(own, "another") == 409
        client.give_back(task)
        assert read(own, task.token) == 409


def test_a_task_that_this_consumer_cannot_do_is_refused(gateway: Requests, tmp_path: Path) -> None:
    data: dict[str, Any] = {
        "source_url": "https://nowhere.invalid/a.png",
        "target_url": gateway.place.upload(1),
    }
    id = gateway.create("face_swap", data)
    with working(gateway.url, tmp_path / "work", once=True, concurrency=1) as found:
        until(lambda: sum(found.outcomes.values()) > 0)
    assert "nowhere.invalid" in found.log.getvalue()
    assert gateway.place.service.store.row(id).job.failure is None or gateway.task(id)["status"] == "FAILED"


def test_graphs_wait_for_consumers_that_can_run_them(gateway: Requests, tmp_path: Path) -> None:
    id = gateway.create("basic_generation", PAINT)
    with working(gateway.url, tmp_path / "work", once=True) as found:
        found.thread.join(60)
    assert gateway.task(id)["status"] == "PENDING"
    assert found.outcomes == {}


def test_settings_name_the_machine() -> None:
    found = ConsumerSettings.from_environment({"TASK_API_URL": "https://mien.example.org/"})
    assert found.url == "https://mien.example.org"
    assert found.name
