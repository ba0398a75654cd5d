"""Consumers that are killed: nothing is lost, and nothing ends twice."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.consumer.places import Requests, consumer_process, picture, until, working
from tests.forked import Forked

MOMENTS = ("fetch+", "write", "download", "upload+", "complete+")


@contextmanager
def process(gateway: Requests, folder: Path, marks: Path, **given: Any) -> Iterator[Forked]:
    marks.mkdir(exist_ok=True)
    found = consumer_process(gateway.url, folder, marks=str(marks), **given)
    try:
        yield found
    finally:
        found.kill()


def test_a_consumer_killed_at_any_moment_goes_on_where_it_was(gateway: Requests, tmp_path: Path) -> None:
    ids = {moment: gateway.swap(number) for number, moment in enumerate(MOMENTS)}
    for moment in MOMENTS:
        place = tmp_path / moment
        # The second process finds what the first one left; the short lease is for a task that left no trace.
        with process(gateway, tmp_path / "work", place, die_at=moment, lease_seconds=5) as found:
            assert found.wait() == -9
    with process(gateway, tmp_path / "work", tmp_path / "last", lease_seconds=5) as found:
        for id in ids.values():
            assert gateway.wait(id)["status"] == "COMPLETED"
        assert found.end() == 0
    assert gateway.ends() | {id: ["completed"] for id in ids.values()} == gateway.ends()
    assert [path.name for path in (tmp_path / "work").iterdir()] == [".lock"]


def test_a_killed_consumer_that_stays_away_loses_its_task(gateway: Requests, tmp_path: Path) -> None:
    hold, marks = tmp_path / "hold", tmp_path / "marks"
    hold.touch()
    id = gateway.swap()
    with process(gateway, tmp_path / "work", marks, hold=str(hold), lease_seconds=5) as found:
        until((marks / "begun").exists)
        found.kill()
    with working(gateway.url, tmp_path / "other"):
        assert gateway.wait(id)["status"] == "COMPLETED"
    hold.unlink()
    # Back again, it finds that the task is somebody else's, and drops it.
    with process(gateway, tmp_path / "work", marks) as found:
        until(lambda: [path.name for path in (tmp_path / "work").iterdir()] == [".lock"])
        assert found.end() == 0
    assert gateway.ends()[id] == ["completed"]


@pytest.mark.parametrize("count", [100])
def test_many_tasks_many_deaths(gateway: Requests, tmp_path: Path, count: int) -> None:
    chance, marks = random.Random(7), tmp_path / "marks"
    ids = [gateway.swap(number % 16) for number in range(count)]
    marks.mkdir()

    def start(number: int) -> Forked:
        given: dict[str, Any] = {"marks": str(marks), "concurrency": 2, "lease_seconds": 5}
        return consumer_process(gateway.url, tmp_path / f"work-{number}", **given)

    consumers = [start(number) for number in range(3)]
    try:
        deaths, deadline = 0, time.monotonic() + 300
        while gateway.place.service.store.counts().get("completed", 0) < count:
            assert time.monotonic() < deadline
            time.sleep(chance.uniform(0.1, 0.3))
            done = len(list(marks.iterdir()))
            if deaths < 4 and done > deaths * count // 5:
                victim = chance.randrange(3)
                consumers[victim].kill()
                consumers[victim] = start(victim)
                deaths += 1
        assert deaths == 4
        assert [each.end() for each in consumers] == [0, 0, 0]
    finally:
        for each in consumers:
            each.kill()
    ends = gateway.ends()
    assert [ends[id] for id in ids] == [["completed"]] * count


def test_the_gateway_may_be_killed_and_come_back(tmp_path: Path) -> None:
    hold, marks = tmp_path / "hold", tmp_path / "marks"
    hold.touch()
    with gateway_process(tmp_path / "data") as (url, kill):
        with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
            ids = [
                client.post("/api/v1/assets", files={"file": ("a.png", picture(n))}).json()["id"]
                for n in (1, 2)
            ]
            body = {"workflow": "face_swap", "task_data": {"source_url": ids[0], "target_url": ids[1]}}
            id = client.post("/api/tasks/create", json=body).json()["taskId"]
        marks.mkdir()
        found = consumer_process(url, tmp_path / "work", marks=str(marks), hold=str(hold))
        try:
            until((marks / "begun").exists)
            kill()
            hold.unlink()
            until(
                lambda: len(list(marks.iterdir())) == 2
            )  # the work is done, and nobody is there to hear of it
            with gateway_process(tmp_path / "data", int(url.rpartition(":")[2])) as (again, _):
                until(lambda: httpx2.get(f"{again}/api/tasks/{id}").json()["status"] == "COMPLETED")
                assert found.end() == 0
        finally:
            found.kill()
    assert len(list(marks.iterdir())) == 2


@contextmanager
def gateway_process(folder: Path, port: int = 0) -> Iterator[tuple[str, Callable[[], None]]]:
    """``mien api`` on a port, and what kills it."""
    command = [sys.executable, "-m", "mien", "--json", "api", "--port", str(port), "--data-dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def kill() -> None:
        process.kill()
        process.wait()

    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "}\n")
        address = next(line for line in lines if '"address"' in line)
        yield address.split('"')[3], kill
    finally:
        kill()
