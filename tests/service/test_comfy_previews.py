from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest

from mien.comfyui import ComfyProgress
from mien.service.comfy_previews import EVERY, LARGEST, MOST_PIXELS, PreviewFeed, jpeg_of


def picture(width: int, height: int, ending: str) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode(ending, noise)[1].tobytes()


def claims(width: int, height: int) -> bytes:
    """A small PNG whose header says that it is so large."""
    data = picture(8, 8, ".png")
    head = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]


@pytest.mark.parametrize(
    ("width", "height", "ending"),
    [(64, 48, ".jpg"), (64, 48, ".png"), (2000, 1500, ".jpg"), (900, 20, ".png"), (1, 1, ".png")],
)
def test_previews_are_small_jpegs(width: int, height: int, ending: str) -> None:
    text = jpeg_of(picture(width, height, ending))
    assert text is not None
    assert len(text) <= LARGEST
    content = base64.b64decode(text)
    assert content.startswith(b"\xff\xd8\xff")
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[1] / image.shape[0] == pytest.approx(width / height, rel=0.2)
    assert max(image.shape[:2]) <= max(width, height)  # nothing is made larger


def test_a_small_jpeg_is_handed_on_as_it_is() -> None:
    data = picture(64, 48, ".jpg")
    assert jpeg_of(data) == base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        b"\xff\xd8\xff",
        picture(64, 48, ".png")[:40],
        claims(0, 5),
        claims(MOST_PIXELS, 2),
    ],
)
def test_broken_previews_are_left_out(data: bytes) -> None:
    assert jpeg_of(data) is None


def test_pictures_without_end_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(cv2, "imdecode", lambda *words: asked.append(words))
    assert jpeg_of(claims(4001, 4000)) is None
    assert asked == []
    assert jpeg_of(claims(4000, 4000)) is None
    assert len(asked) == 1


class Feed:
    """A feed, its clock, and what it told."""

    def __init__(self) -> None:
        self.moment = 0.0
        self.told: list[Any] = []
        self.feed = PreviewFeed(self.told.append, clock=lambda: self.moment)

    def show(self, moment: float, data: bytes | None, node: str = "KSampler") -> int:
        self.moment = moment
        self.feed.show(ComfyProgress(node, 1, 2, data, "image/jpeg"))
        return len(self.told)


def test_previews_come_at_most_once_a_second() -> None:
    feed = Feed()
    moments = (0.0, 0.4, EVERY - 0.01, EVERY + 0.1, 1.2, 2.3)
    assert [feed.show(moment, picture(8, 8, ".jpg")) for moment in moments] == [1, 1, 1, 2, 2, 3]
    assert feed.show(9.0, None) == 3
    assert feed.told[0] == {
        "content_type": "image/jpeg",
        "data": base64.b64encode(picture(8, 8, ".jpg")).decode(),
        "node": "KSampler",
    }


def test_the_same_picture_is_told_once() -> None:
    feed, data = Feed(), picture(8, 8, ".jpg")
    assert [feed.show(moment, data) for moment in (0.0, 5.0, 10.0)] == [1, 1, 1]
    assert feed.show(20.0, picture(8, 9, ".jpg"), "VAEDecode") == 2
    assert feed.told[1]["node"] == "VAEDecode"


def test_after_a_broken_one_the_next_is_shown() -> None:
    feed = Feed()
    assert feed.show(0.0, b"nonsense") == 0
    assert feed.show(1.0, picture(8, 8, ".jpg")) == 1
