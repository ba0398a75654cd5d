from __future__ import annotations

import io
import json
import threading

from mien.errors import DatabaseUnavailable
from mien.service.logs import open_log
from mien.service.periodic import Periodic
from mien.service.settings import ServiceSettings
from tests.service.clocks import Clock


def _periodic(clock: Clock | None = None) -> tuple[Periodic, io.StringIO]:
    stream = io.StringIO()
    log = open_log(ServiceSettings(), stream)
    return (Periodic(log) if clock is None else Periodic(log, clock)), stream


def test_chores_are_done_when_they_are_due() -> None:
    clock = Clock()
    periodic, _ = _periodic(clock)
    done: list[str] = []
    periodic.add("often", 5, lambda: done.append("often"))
    periodic.add("seldom", 12, lambda: done.append("seldom"))
    waits = []
    for _ in range(4):
        waits.append(periodic.run_due())
        clock.pass_time(waits[-1])
    assert waits == [5, 5, 2, 3]
    assert done == ["often", "often", "seldom"]


def test_a_chore_that_fails_is_logged_and_holds_up_no_other() -> None:
    clock = Clock()
    periodic, stream = _periodic(clock)
    done: list[str] = []

    def away() -> None:
        raise DatabaseUnavailable("The database is away.")

    def broken() -> None:
        raise RuntimeError("broken")

    for name, work in (("away", away), ("broken", broken), ("good", lambda: done.append("good"))):
        periodic.add(name, 1, work)
    clock.pass_time(1)
    periodic.run_due()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["chore"], line["level"]) for line in lines] == [("away", "warning"), ("broken", "error")]
    assert done == ["good"]


def test_the_thread_ends() -> None:
    periodic, _ = _periodic()
    seen = threading.Event()
    periodic.add("now", 0, seen.set)
    periodic.start()
    assert seen.wait(30)
    periodic.stop()
    periodic.stop()
    assert "mien-chores" not in {thread.name for thread in threading.enumerate()}
