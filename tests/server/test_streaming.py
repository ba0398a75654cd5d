from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from mien.db import open_database
from mien.errors import StorageMissing
from mien.server.streaming import Content, asset_file, ranged
from mien.service.assets import Assets
from mien.service.settings import ServiceSettings
from mien.storage import Opened, StorageSettings, open_storage
from tests.server.served import face_png

DATA = bytes(range(256)) * 3
CONTENT = Content(len(DATA), "video/mp4", "holiday.mp4", "tag")


class Source:
    """Opens ranges of a content in pieces, and tells what was opened and what is still open."""

    def __init__(self, data: bytes = DATA, piece: int = 100, breaks_at: int | None = None) -> None:
        self.data, self.piece, self.breaks_at = data, piece, breaks_at
        self.asked: list[tuple[int, int | None]] = []
        self.open = 0

    def __call__(self, start: int, end: int | None) -> Opened:
        self.asked.append((start, end))
        self.open += 1
        return Opened(len(self.data), "video/mp4", self._pieces(self.data[start:end]), self._release)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), self.piece):
            if self.breaks_at is not None and at >= self.breaks_at:
                raise StorageMissing("It has gone.")
            yield data[at : at + self.piece]

    def _release(self) -> None:
        self.open -= 1


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw})


def sent(answer: Any, *, gone: bool = False) -> bytes:
    """The body as a client gets it; ``gone``: the client has gone away meanwhile."""
    pieces: list[bytes] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            if gone:
                raise OSError("The client has gone.")
            pieces.append(message["body"])

    async def receive() -> Any:
        await asyncio.sleep(60)

    scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}
    asyncio.run(answer(scope, receive, send))
    return b"".join(pieces)


def test_a_file_is_sent_whole_with_what_browsers_need() -> None:
    source = Source()
    answer = ranged(request(), CONTENT, source)
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in answer.headers} == {
        "content-type": "video/mp4",
        "content-disposition": 'inline; filename="holiday.mp4"',
        "etag": '"tag"',
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=3600",
        "content-length": str(len(DATA)),
    }
    assert sent(answer) == DATA
    assert (source.asked, source.open) == ([(0, None)], 0)


@pytest.mark.parametrize(
    ("content_type", "download", "kind"),
    [("image/png", False, "inline"), ("image/png", True, "attachment"), ("text/html", False, "attachment"),
     ("application/zip", False, "attachment")],
)  # fmt: skip
def test_browsers_show_media_and_save_all_else(content_type: str, download: bool, kind: str) -> None:
    content = Content(3, content_type, "Zoë.bin", "tag")
    answer = ranged(request(), content, Source(b"abc"), download=download)
    found, _, names = answer.headers["content-disposition"].partition(";")
    assert found == kind
    assert "Zo%C3%AB.bin" in names


def expected(first: int | None, last: int | None, size: int) -> tuple[int, int] | int | None:
    """What a range of one part means: start and end, 416, or None for all."""
    if first is None and last is None:
        return None
    if first is None:
        return (max(0, size - (last or 0)), size) if last and size else 416
    if last is not None and last < first:
        return None
    return (first, min(size, size if last is None else last + 1)) if first < size else 416


@settings(deadline=None, max_examples=40)
@given(
    st.binary(max_size=300),
    st.one_of(st.none(), st.integers(0, 320)),
    st.one_of(st.none(), st.integers(0, 320)),
    st.sampled_from(("bytes=", "bytes = ", "BYTES=")),
)
def test_a_range_is_answered_with_exactly_its_bytes(
    data: bytes, first: int | None, last: int | None, unit: str
) -> None:
    header = f"{unit}{'' if first is None else first}-{'' if last is None else last}"
    source, wanted = Source(data, 64), expected(first, last, len(data))
    content = Content(len(data), "image/png", "a.png", "tag")
    if wanted == 416:
        with pytest.raises(HTTPException) as caught:
            ranged(request(range=header), content, source)
        assert (caught.value.status_code, caught.value.headers) == (
            416,
            {"Content-Range": f"bytes */{len(data)}"},
        )
        assert source.asked == []
        return
    start, end = wanted if isinstance(wanted, tuple) else (0, len(data))
    answer = ranged(request(range=header), content, source)
    assert answer.status_code == (200 if wanted is None else 206)
    assert answer.headers["content-length"] == str(end - start)
    given_range = answer.headers.get("content-range")
    assert given_range == (None if wanted is None else f"bytes {start}-{end - 1}/{len(data)}")
    assert sent(answer) == data[start:end]
    assert source.open == 0


@pytest.mark.parametrize(
    "header",
    [
        "bytes=0-1,3-4",
        "bytes=a-b",
        "items=0-1",
        "bytes 0-1",
        "bytes=-",
        "",
        "bytes=" + "9" * 30 + "-",
        "bytes=-1-2",
    ],
)
def test_other_ranges_are_answered_with_the_whole_file(header: str) -> None:
    answer = ranged(request(range=header), CONTENT, Source())
    assert (answer.status_code, sent(answer)) == (200, DATA)


@settings(deadline=None, max_examples=40)
@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40))
def test_no_header_makes_an_answer_that_is_neither_all_nor_a_part(header: str) -> None:
    source, status = Source(DATA[:50]), 416
    with suppress(HTTPException):
        answer = ranged(request(range=header, if_range=header), Content(50, "image/png", "a", "t"), source)
        status = answer.status_code
        assert sent(answer) in DATA[:50]
    assert status in (200, 206, 416)


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ('"tag"', True),
        ('W/"tag"', True),
        ('"a", "tag" , "b"', True),
        ('"other"', False),
        ("tag", False),
        ("*", False),
    ],
)
def test_a_client_that_has_the_file_gets_no_other_copy(header: str, known: bool) -> None:
    source = Source()
    answer = ranged(request(if_none_match=header, range="bytes=0-1"), CONTENT, source)
    assert answer.status_code == (304 if known else 206)
    if known:
        assert source.asked == []
        assert "content-type" not in answer.headers
        assert answer.headers["etag"] == '"tag"'


@pytest.mark.parametrize(
    ("condition", "status"), [('"tag"', 206), ('W/"tag"', 200), ('"old"', 200), ("tag", 200)]
)
def test_a_part_of_another_content_is_not_taken_for_a_part_of_this_one(condition: str, status: int) -> None:
    assert ranged(request(range="bytes=0-1", if_range=condition), CONTENT, Source()).status_code == status


@pytest.mark.parametrize("gone", [True, False])
def test_what_was_opened_is_closed_however_the_sending_ends(gone: bool) -> None:
    source = Source(breaks_at=None if gone else 200)
    answer = ranged(request(), CONTENT, source)
    assert source.open == 1
    with pytest.raises(ClientDisconnect if gone else StorageMissing):
        sent(answer, gone=gone)
    assert source.open == 0


def test_a_file_that_cannot_be_opened_is_an_error_before_anything_is_sent() -> None:
    def missing(start: int, end: int | None) -> Opened:
        raise StorageMissing("It has gone.")

    with pytest.raises(StorageMissing):
        ranged(request(), CONTENT, missing)


def test_an_empty_file_is_sent_whole() -> None:
    content = Content(0, "application/octet-stream", "empty", "tag")
    answer = ranged(request(), content, Source(b""))
    assert (answer.status_code, answer.headers["content-length"], sent(answer)) == (200, "0", b"")


def test_an_asset_is_sent_as_what_it_is(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/mien.db")
    storage = open_storage(StorageSettings(local_path=tmp_path / "storage"))
    assets = Assets(database, storage, ServiceSettings(data_dir=tmp_path))
    asset = assets.add_stream([face_png()], "ann", "face.png")
    answer = asset_file(request(range="bytes=1-3"), assets, asset, download=True)
    assert (answer.status_code, answer.headers["etag"]) == (206, f'"{asset.id}"')
    assert answer.headers["content-disposition"] == 'attachment; filename="face.png"'
    assert sent(answer) == b"PNG"
    assert sent(asset_file(request(), assets, asset)) == face_png()
    database.close()
