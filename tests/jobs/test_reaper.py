from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from mien.db import Database
from mien.jobs.executors import Executors
from mien.jobs.reaper import Heart, Reaper


class Held:
    """An engine that only knows who holds tasks."""

    def __init__(self, *owners: str) -> None:
        self.held = frozenset(owners)
        self.freed: list[str] = []

    def owners(self) -> frozenset[str]:
        return self.held

    def recover(self, dead: Collection[str]) -> None:
        self.freed += sorted(dead)


@pytest.fixture
def executors(database: Database) -> Executors:
    return Executors(database)


@pytest.fixture
def heart(executors: Executors) -> Iterator[Heart]:
    made = Heart(executors, "me", "worker", lambda: {"queues": ["pictures"]}, 0.05)
    made.start()
    yield made
    made.stop()


def steady(heart: Heart, seconds: float) -> None:
    deadline = time.monotonic() + 60
    while heart.steady_for() < seconds:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_who_beats_is_alive(executors: Executors, heart: Heart) -> None:
    (first,) = executors.live(60)
    assert (first.id, first.role, first.serves("pictures"), first.serves("videos")) == (
        "me",
        "worker",
        True,
        False,
    )
    deadline = time.monotonic() + 60
    while executors.live(60)[0].seen_at <= first.seen_at:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert executors.live(60)[0].started_at == first.started_at


def test_each_beat_says_how_it_is_now(executors: Executors) -> None:
    numbers = iter(range(1, 10_000))
    heart = Heart(executors, "me", "worker", lambda: {"host": "h"}, 0.05, lambda: {"memory": next(numbers)})
    heart.start()
    deadline = time.monotonic() + 60
    while executors.live(60)[0].info["memory"] < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert executors.live(60)[0].info["host"] == "h"
    heart.stop()
    assert executors.live(60) == ()


def test_who_was_taken_off_the_list_comes_back(executors: Executors, heart: Heart) -> None:
    executors.end("me")
    deadline = time.monotonic() + 60
    while not executors.live(60):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_who_stops_says_goodbye(executors: Executors) -> None:
    heart = Heart(executors, "me", "worker", dict, 5)
    heart.start()
    heart.stop()
    assert executors.live(60) == ()


def test_only_what_the_dead_held_is_freed(executors: Executors, heart: Heart) -> None:
    executors.begin("other", "worker", {})
    engine: Any = Held("me", "other", "dead")
    steady(heart, 0.6)
    assert Reaper(engine, executors, heart, "me", 1.0).reap() == {"dead"}
    assert engine.freed == ["dead"]


def test_nobody_is_taken_for_dead_right_after_a_pause(executors: Executors, heart: Heart) -> None:
    engine: Any = Held("dead")
    assert Reaper(engine, executors, heart, "me", 600.0).reap() == frozenset()
    assert engine.freed == []


def test_those_who_died_long_ago_are_forgotten(executors: Executors) -> None:
    executors.begin("old", "worker", {})
    executors.forget(-1)
    assert executors.live(1e9) == ()
