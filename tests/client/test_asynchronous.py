from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import httpx2
import pytest

from mien.client import AsyncClient, Client, asynchronous
from mien.errors import NoFace, RemoteFailed
from tests.client.service import Canned, answer, events, job, refusal


def client(*answers: object) -> tuple[AsyncClient, Canned]:
    canned = Canned(*answers)  # type: ignore[arg-type]
    return AsyncClient("http://service", transport=httpx2.MockTransport(canned)), canned


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asynchronous.asyncio, "sleep", sleep)
    return slept


def test_it_has_the_methods_of_the_other_client() -> None:
    def surface(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert surface(AsyncClient) == surface(Client)


def test_run_does_it_all(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1")
    seen = []
    made, canned = client(
        refusal("rate_limited", 429, **{"retry-after": "1"}),
        answer(job("queued"), 202),
        answer(job("running")),
        events(("snapshot", job("running")), ("progress", {"done": 3}), ("status", {"status": "completed"})),
        answer(job("completed")),
        httpx2.Response(200, content=b"r"),
    )

    async def go() -> None:
        async with made:
            await made.run([], tmp_path / "a.jpg", tmp_path / "o.png", on_progress=seen.append)

    asyncio.run(go())
    assert (tmp_path / "o.png").read_bytes() == b"r"
    assert [progress.done for progress in seen] == [3]
    assert len(canned.asked) == 6


def test_errors_and_pages() -> None:
    page = {"jobs": [job("queued")], "next_cursor": None}
    made, _ = client(refusal("no_face", 422), httpx2.ReadError("cut"), answer(page))

    async def go() -> None:
        with pytest.raises(NoFace):
            await made.job("x")
        with pytest.raises(RemoteFailed):
            await made.cancel("x")
        assert [found.id async for found in made.every_job()] == ["job_1"]

    asyncio.run(go())
