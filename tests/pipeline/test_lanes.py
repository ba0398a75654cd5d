from __future__ import annotations

import threading
import time

import pytest

from mien.pipeline.lanes import Broken, Channel, Crew


def mien_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("mien-")]


def test_items_arrive_in_order_and_the_channel_ends() -> None:
    channel: Channel[int] = Channel(2)

    def write() -> None:
        with channel:
            for number in range(50):
                channel.put(number)

    writer = threading.Thread(target=write)
    writer.start()
    assert list(channel) == list(range(50))
    writer.join()


def test_the_channel_is_bounded() -> None:
    channel: Channel[int] = Channel(3)
    count = 0

    def write() -> None:
        nonlocal count
        with channel:
            for number in range(10):
                channel.put(number)
                count += 1

    writer = threading.Thread(target=write)
    writer.start()
    deadline = time.monotonic() + 5
    while count < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert count == 3
    assert len(list(channel)) == 10
    writer.join()


def test_a_broken_channel_stops_both_sides() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    channel.break_off()
    with pytest.raises(Broken):
        channel.put(2)
    with pytest.raises(Broken):
        next(iter(channel))


def test_an_error_in_the_first_stage_is_raised_once_and_all_threads_end() -> None:
    def fail(out: Channel[int]) -> None:
        with out:
            out.put(1)
            raise ValueError("the first one")

    def pass_on(inbox: Channel[int], out: Channel[int]) -> None:
        with out:
            for item in inbox:
                out.put(item)

    def run() -> None:
        with Crew(stages=2, workers=1) as crew:
            first, second = crew.channel(1), crew.channel(1)
            crew.start(fail, first)
            crew.start(pass_on, first, second)
            for _ in second:
                pass

    with pytest.raises(ValueError, match="the first one"):
        run()
    assert mien_threads() == []


def test_an_error_of_the_caller_stops_a_stage_that_waits() -> None:
    def produce(out: Channel[int]) -> None:
        with out:
            for number in range(1_000_000):
                out.put(number)

    def run() -> None:
        with Crew(stages=1, workers=1) as crew:
            channel = crew.channel(1)
            crew.start(produce, channel)
            for _ in channel:
                raise KeyError("the caller's")

    with pytest.raises(KeyError, match="the caller's"):
        run()
    assert mien_threads() == []


def test_an_error_of_a_stage_after_the_caller_is_done_is_not_lost() -> None:
    def late(out: Channel[int]) -> None:
        out.close()
        raise ValueError("late")

    def run() -> None:
        with Crew(stages=1, workers=1) as crew:
            channel = crew.channel(1)
            crew.start(late, channel)
            assert list(channel) == []

    with pytest.raises(ValueError, match="late"):
        run()


def test_one_worker_keeps_the_order_of_tasks() -> None:
    done: list[int] = []
    with Crew(stages=1, workers=1) as crew:
        futures = [crew.submit(done.append, number) for number in range(100)]
        for future in futures:
            future.result()
    assert done == list(range(100))
