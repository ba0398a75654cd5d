from __future__ import annotations

import asyncio

import pytest

from mien.db import Database
from mien.errors import RateLimited
from mien.server.watcher import MOST_OF_ONE, Watcher
from mien.service.events import Events


def test_who_watches_a_job_is_told_of_it_alone(database: Database) -> None:
    events = Events(database)

    async def watch() -> None:
        watcher = Watcher(events)
        with watcher.open("", "job_1") as one, watcher.open("") as board:
            assert await one.changed(0.5) == set()  # the watcher has begun to look
            await asyncio.to_thread(events.append, "job_2", "status", {"status": "queued"})
            assert await board.changed(30) == {"job_2"}
            await asyncio.to_thread(events.append, "job_1", "status", {"status": "queued"})
            assert await one.changed(30) == {"job_1"}
        assert watcher.count == 0

    asyncio.run(watch())


def test_nobody_has_all_streams(database: Database) -> None:
    async def open_many() -> None:
        watcher = Watcher(Events(database))
        opened = [watcher.open("one") for _ in range(MOST_OF_ONE)]
        with pytest.raises(RateLimited):
            watcher.open("one")
        opened.pop().__exit__(None, None, None)
        watcher.open("one")
        watcher.open("other")

    asyncio.run(open_many())
