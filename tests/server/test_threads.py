from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI

from mien.errors import NoFace, NotReady
from mien.server.threads import LOOKS, QUERIES, WAITING, Threads, threads_of


class Gate:
    """Work that takes until the gate is opened, at the latest behind the block; tells how much goes on at once."""

    def __init__(self) -> None:
        self.begun, self.most, self.now = 0, 0, 0
        self._open = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            self.begun += 1
            self.now += 1
            self.most = max(self.most, self.now)
        assert self._open.wait(120)
        with self._lock:
            self.now -= 1
        return "done"

    def open(self) -> None:
        self._open.set()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *error: object) -> None:
        self.open()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.005)


def run(test: Callable[[Threads], Awaitable[Any]]) -> None:
    async def begin() -> None:
        await test(Threads())

    asyncio.run(begin())


def test_few_use_the_face_engine_and_only_so_many_wait_for_it() -> None:
    async def test(threads: Threads) -> None:
        with Gate() as gate:
            looks = [asyncio.create_task(threads.look(gate)) for _ in range(LOOKS + WAITING)]
            await until(lambda: threads._looks.statistics().tasks_waiting == WAITING and gate.begun == LOOKS)
            with pytest.raises(NotReady, match="Too many pictures are being looked at") as caught:
                await asyncio.wait_for(threads.look(gate), 60)
            assert caught.value.retry_after == 2
            gate.open()
            assert await asyncio.gather(*looks) == ["done"] * (LOOKS + WAITING)
            assert (gate.begun, gate.most) == (LOOKS + WAITING, LOOKS)
        assert await threads.look(lambda: 5) == 5

    run(test)


def test_whoever_goes_away_makes_room_for_another() -> None:
    async def test(threads: Threads) -> None:
        with Gate() as gate:
            looks = [asyncio.create_task(threads.look(gate)) for _ in range(LOOKS + WAITING)]
            await until(lambda: threads._looks.statistics().tasks_waiting == WAITING and gate.begun == LOOKS)
            looks.pop().cancel()
            await until(lambda: threads._looks.statistics().tasks_waiting == WAITING - 1)
            looks.append(asyncio.create_task(threads.look(gate)))
            gate.open()
            assert await asyncio.gather(*looks) == ["done"] * (LOOKS + WAITING)

    run(test)


def test_nothing_else_waits_for_the_face_engine() -> None:
    async def test(threads: Threads) -> None:
        with Gate() as looks, Gate() as questions:
            tasks = [asyncio.create_task(threads.look(looks)) for _ in range(LOOKS)]
            tasks += [asyncio.create_task(threads.ask(questions)) for _ in range(3 * QUERIES)]
            await until(lambda: (looks.begun, questions.begun) == (LOOKS, QUERIES))
            assert await asyncio.wait_for(threads.work(lambda: "beside"), 60) == "beside"
            looks.open()
            questions.open()
            await asyncio.gather(*tasks)
            assert (questions.begun, questions.most) == (3 * QUERIES, QUERIES)

    run(test)


def test_errors_of_the_work_come_back() -> None:
    def fail() -> None:
        raise NoFace("There is none.")

    async def test(threads: Threads) -> None:
        for act in (threads.look, threads.work, threads.ask):
            with pytest.raises(NoFace, match="There is none"):
                await act(fail)

    run(test)


def test_an_app_has_threads_of_its_own() -> None:
    async def test(_: Threads) -> None:
        one, two = FastAPI(), FastAPI()
        assert threads_of(one) is threads_of(one)
        assert threads_of(one) is not threads_of(two)

    run(test)
