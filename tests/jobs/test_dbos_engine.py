from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from mien.db import Database
from mien.errors import JobError
from mien.jobs.dbos_engine import DbosEngine
from mien.jobs.engine import Lane, Outcome, Task

LANES = (Lane("quick", 2, 0.02), Lane("slow", 1, 0.02))


def task(id: str, *arguments: object, queue: str = "quick", priority: int = 0) -> Task:
    return Task(id, "add", queue, arguments, priority)


@pytest.fixture
def engine(database: Database) -> Iterator[DbosEngine]:
    made = DbosEngine(database)
    yield made
    made.close()


def wait(engine: DbosEngine, id: str) -> Outcome:
    deadline = time.monotonic() + 60
    while True:
        outcome = engine.outcomes([id]).get(id)
        if outcome is not None and outcome.state not in ("waiting", "running"):
            return outcome
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_tasks_are_run_once_and_what_they_return_is_kept(engine: DbosEngine) -> None:
    calls: list[tuple[object, ...]] = []

    def add(*numbers: int) -> dict[str, int]:
        calls.append(numbers)
        return {"sum": sum(numbers)}

    engine.put([task("a", 1, 2), task("a", 1, 2)])
    assert engine.outcomes(["a", "unknown"]) == {"a": Outcome("waiting")}
    engine.start("worker", LANES, {"add": add})
    assert wait(engine, "a") == Outcome("done", {"sum": 3})
    engine.put([task("a", 5, 5)])
    engine.put([task("b", 2, 2)])
    assert wait(engine, "b").value == {"sum": 4}
    assert calls == [(1, 2), (2, 2)]
    assert engine.owners() == frozenset()
    assert engine.prune(-60) == 2
    assert engine.outcomes(["a", "b"]) == {}


def test_a_task_that_fails_says_why(engine: DbosEngine) -> None:
    def add() -> None:
        raise ValueError("no numbers")

    engine.start("worker", LANES, {"add": add})
    engine.put([task("a")])
    outcome = wait(engine, "a")
    assert (outcome.state, "no numbers" in outcome.reason) == ("failed", True)


def test_queues_have_limits_of_their_own_and_priorities(engine: DbosEngine) -> None:
    begun: list[str] = []
    gate = threading.Event()

    def add(name: str) -> None:
        begun.append(name)
        gate.wait(60)

    engine.put(
        [task(f"s{number}", f"s{9 - number}", queue="slow", priority=9 - number) for number in range(3)]
    )
    engine.put([task("q", "q")])
    engine.start("worker", LANES, {"add": add})
    deadline = time.monotonic() + 60
    while len(begun) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    gate.set()
    for number in range(3):
        wait(engine, f"s{number}")
    assert [name for name in begun if name != "q"] == ["s7", "s8", "s9"]


def test_what_is_canceled_is_not_begun(engine: DbosEngine) -> None:
    begun: list[str] = []
    engine.put([task("a", "a"), task("b", "b")])
    engine.cancel(["a"])
    engine.start("worker", LANES, {"add": begun.append})
    wait(engine, "b")
    assert (begun, engine.outcomes(["a"])["a"].state) == (["b"], "canceled")


def test_a_worker_finds_what_it_was_doing_under_its_name(engine: DbosEngine, database: Database) -> None:
    """The first worker is gone without a word; the task is still its own."""
    begun = threading.Event()
    first = DbosEngine(database)
    end = threading.Event()
    first.put([task("a")])
    first.start("me", LANES, {"add": lambda: begun.set() or end.wait(60)})
    assert begun.wait(60)
    first.stop()
    assert engine.owners() == {"me"}
    engine.start("me", LANES, {"add": lambda: "again"})
    assert wait(engine, "a").value == "again"
    end.set()
    first.close()


def test_what_a_dead_worker_held_is_given_to_another(engine: DbosEngine, database: Database) -> None:
    begun, end = threading.Event(), threading.Event()
    dead = DbosEngine(database)
    dead.put([task("a")])
    dead.start("dead", LANES, {"add": lambda: begun.set() or end.wait(60)})
    assert begun.wait(60)
    dead.stop()
    engine.start("alive", LANES, {"add": lambda: "by the other"})
    engine.recover(["somebody else"])
    assert engine.owners() == {"dead"}
    engine.recover(["dead"])
    assert wait(engine, "a").value == "by the other"
    end.set()
    dead.close()


def test_there_is_one_worker_in_a_process(engine: DbosEngine, database: Database) -> None:
    engine.start("one", LANES, {})
    other = DbosEngine(database)
    with pytest.raises(JobError, match="process of its own"):
        other.start("two", LANES, {})
    other.put([task("a")])
    assert engine.outcomes(["a"])["a"].state == "waiting"
    other.close()


def test_nothing_is_said_that_nobody_asked_for(
    engine: DbosEngine, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        engine.start("worker", LANES, {"add": lambda: None})
        engine.put([task("a")])
        wait(engine, "a")
        engine.stop()
    assert [record for record in caplog.records if record.name == "dbos"] == []
    assert "dbos" not in "".join(capfd.readouterr()).lower()
