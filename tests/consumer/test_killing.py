"""Consumers that are killed: nothing is lost, and nothing ends twice."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.consumer.places import Process, Requests, until, working

MOMENTS = ("fetch+", "write", "write+", "download", "upload", "upload+", "complete", "complete+")


@contextmanager
def process(gateway: Requests, folder: Path, marks: Path, **given: Any) -> Iterator[Process]:
    marks.mkdir(exist_ok=True)
    found = Process(gateway.url, folder, marks=str(marks), **given)
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
            assert found.process.wait(60) == -9
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


@pytest.mark.parametrize("count", [200])
def test_many_tasks_many_deaths(gateway: Requests, tmp_path: Path, count: int) -> None:
    chance, marks = random.Random(7), tmp_path / "marks"
    ids = [gateway.swap(number % 16) for number in range(count)]
    marks.mkdir()

    def start(number: int) -> Process:
        given: dict[str, Any] = {"marks": str(marks), "concurrency": 2, "lease_seconds": 5}
        return Process(gateway.url, tmp_path / f"work-{number}", **given)

    consumers = [start(number) for number in range(3)]
    try:
        deaths, deadline = 0, time.monotonic() + 120
        while gateway.place.service.store.counts().get("completed", 0) < count:
            assert time.monotonic() < deadline
            time.sleep(chance.uniform(0.1, 0.3))
            done = len(list(marks.iterdir()))
            if deaths < 5 and done > deaths * count // 6:
                victim = chance.randrange(3)
                consumers[victim].kill()
                consumers[victim] = start(victim)
                deaths += 1
        assert deaths == 5
        assert [each.end() for each in consumers] == [0, 0, 0]
    finally:
        for each in consumers:
            each.kill()
    ends = gateway.ends()
    assert [ends[id] for id in ids] == [["completed"]] * count
