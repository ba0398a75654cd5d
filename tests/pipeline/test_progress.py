from __future__ import annotations

import threading

import pytest

from mien.errors import Canceled
from mien.pipeline.progress import Cancel, Meter, Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_first_and_last_are_reported_and_few_between() -> None:
    clock, seen = Clock(), list[Progress]()
    meter = Meter(seen.append, clock=clock, interval=0.1)
    meter.start("process", 100)
    for _ in range(100):
        clock.now += 0.01
        meter.advance()
    assert (seen[0].done, seen[-1].done, seen[-1].total) == (0, 100, 100)
    assert 9 <= len(seen) <= 13


def test_rate_and_remaining_time() -> None:
    clock, seen = Clock(), list[Progress]()
    meter = Meter(seen.append, clock=clock)
    meter.start("process", 100)
    for _ in range(20):
        clock.now += 0.5
        meter.advance()
    assert seen[-1].rate == pytest.approx(2.0)
    assert seen[-1].remaining == pytest.approx(40.0)


def test_rate_follows_the_last_seconds_only() -> None:
    clock, seen = Clock(), list[Progress]()
    meter = Meter(seen.append, clock=clock, window=5.0)
    meter.start("process", 1000)
    for _ in range(100):
        clock.now += 0.1
        meter.advance()
    for _ in range(10):
        clock.now += 1.0
        meter.advance()
    assert seen[-1].rate == pytest.approx(1.0)


def test_frames_of_an_earlier_run_do_not_count_for_the_rate() -> None:
    clock, seen = Clock(), list[Progress]()
    meter = Meter(seen.append, clock=clock)
    meter.start("process", 100, done=50)
    clock.now += 1
    meter.advance(5)
    assert seen[-1].done == 55
    assert seen[-1].rate == pytest.approx(5.0)


def test_more_frames_than_expected_raise_the_total_and_fewer_end_it() -> None:
    seen = list[Progress]()
    meter = Meter(seen.append, interval=0.0)
    meter.start("process", 2)
    meter.advance(3)
    assert seen[-1].total == 3
    meter.start("process", 5)
    meter.advance(4)
    meter.finish()
    assert (seen[-1].done, seen[-1].total) == (4, 4)


def test_no_listener_is_fine() -> None:
    meter = Meter(None)
    meter.start("process", 1)
    meter.advance()
    assert meter.done == 1


def test_cancel_is_seen_from_another_thread_while_waiting() -> None:
    cancel = Cancel()
    threading.Timer(0.02, cancel.set).start()
    with pytest.raises(Canceled) as caught:
        cancel.wait(30)
    assert caught.value.exit_code == 130
    assert cancel.is_set


def test_cancel_is_quiet_until_set() -> None:
    Cancel().raise_if_set()
    assert not Cancel().is_set
