from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from mien.errors import CorruptMedia, DiskFull, UploadTooLarge
from mien.server import receiving
from mien.server.receiving import PIECE, pump, receive_file, scratch_folder
from mien.service.intake import Received
from mien.service.settings import ServiceSettings
from tests.server.conftest import left


def request(chunks: Sequence[bytes], *, cut: bool = False) -> Request:
    """A request whose body comes in these pieces; with ``cut`` the client goes away before the end."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
    ]
    messages.append(
        {"type": "http.disconnect"} if cut else {"type": "http.request", "body": b"", "more_body": False}
    )
    following = iter(messages)

    async def receive() -> Any:
        return next(following)

    return Request({"type": "http", "method": "PUT", "path": "/", "headers": []}, receive)


def receive(
    settings: ServiceSettings, chunks: Sequence[bytes], limit: int | None = None, *, cut: bool = False
) -> tuple[Received, bytes]:
    async def run() -> tuple[Received, bytes]:
        async with receive_file(request(chunks, cut=cut), settings, limit) as received:
            return received, received.path.read_bytes()

    return asyncio.run(run())


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 50))
def test_a_body_arrives_in_order_in_pieces_that_are_worth_a_thread(sizes: list[int], piece: int) -> None:
    chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
    fed: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(receiving, "PIECE", piece)
        asyncio.run(pump(request(chunks), fed.append))
    assert b"".join(fed) == b"".join(chunks)
    assert all(len(data) >= piece for data in fed[:-1])
    assert all(fed)


def test_the_event_loop_goes_on_while_a_thread_works() -> None:
    async def run() -> list[str]:
        told: list[str] = []
        go_on = threading.Event()

        def feed(data: bytes) -> None:
            told.append("begun")
            assert go_on.wait(60)
            told.append("done")

        pumping = asyncio.create_task(pump(request([b"x" * PIECE]), feed))
        async with asyncio.timeout(60):
            while not told:
                await asyncio.sleep(0.005)
        told.append("beside")
        go_on.set()
        await pumping
        return told

    assert asyncio.run(run()) == ["begun", "beside", "done"]


def test_errors_of_who_is_fed_end_the_reading() -> None:
    def feed(data: bytes) -> None:
        raise CorruptMedia("It is broken.")

    async def unread() -> Any:
        body = request([b"x" * PIECE, b"y" * PIECE])
        with pytest.raises(CorruptMedia, match="It is broken"):
            await pump(body, feed)
        return await body.receive()

    assert asyncio.run(unread())["body"] == b"y" * PIECE


@pytest.mark.parametrize("chunk", [1, 7_001, 1 << 20])
def test_a_body_that_is_a_file_is_counted_and_hashed(here: ServiceSettings, chunk: int) -> None:
    data = bytes(range(256)) * (5000 if chunk > 1 else 10)
    received, content = receive(here, [data[n : n + chunk] for n in range(0, len(data), chunk)])
    assert (received.size, received.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert content == data
    assert received.path.parent == scratch_folder(here)
    assert left(here) == []


def test_an_empty_body_is_an_empty_file(here: ServiceSettings) -> None:
    received, content = receive(here, [])
    assert (received.size, received.sha256, content) == (0, hashlib.sha256().hexdigest(), b"")


def test_a_file_may_be_as_large_as_the_limit_and_no_larger(here: ServiceSettings) -> None:
    small = here.model_copy(update={"max_upload_mb": 0.001})
    most = small.max_upload_bytes
    assert receive(small, [b"x" * most])[0].size == most
    with pytest.raises(
        UploadTooLarge, match=r"The file is larger than the limit of .* MB; send a smaller one\."
    ):
        receive(small, [b"x" * (most + 1)])
    assert receive(small, [b"x" * 5], 5)[0].size == 5
    assert receive(small, [b"x" * (most + 1)], most + 1)[0].size == most + 1
    with pytest.raises(UploadTooLarge):
        receive(small, [b"x" * 6], 5)
    assert left(small) == []


def test_what_is_too_large_is_not_read_to_its_end(here: ServiceSettings) -> None:
    asked = 0

    async def endless() -> Any:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * PIECE, "more_body": True}

    async def run() -> None:
        body = Request({"type": "http", "method": "PUT", "path": "/", "headers": []}, endless)
        async with receive_file(body, here, 3 * PIECE):
            pytest.fail("it was received")

    with pytest.raises(UploadTooLarge):
        asyncio.run(run())
    assert asked == 4
    assert left(here) == []


def test_a_client_that_goes_away_leaves_nothing(here: ServiceSettings) -> None:
    with pytest.raises(ClientDisconnect):
        receive(here, [b"x" * (PIECE + 1)], cut=True)
    assert left(here) == []


def test_work_that_fails_inside_the_block_leaves_nothing(here: ServiceSettings) -> None:
    async def run() -> None:
        async with receive_file(request([b"abc"]), here) as received:
            assert received.path.stat().st_size == 3
            raise CorruptMedia("It is broken.")

    with pytest.raises(CorruptMedia):
        asyncio.run(run())
    assert left(here) == []


def test_a_full_disk_is_told_as_one(here: ServiceSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None: ...

    monkeypatch.setattr(Path, "open", lambda *_: Full())
    with pytest.raises(DiskFull):
        receive(here, [b"abc"])


def test_only_this_user_may_read_what_comes_in(here: ServiceSettings) -> None:
    async def run() -> int:
        async with receive_file(request([b"abc"]), here) as received:
            return received.path.stat().st_mode & 0o777

    assert asyncio.run(run()) == 0o600
