from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.errors import CorruptMedia, OptionError, UnsupportedMedia
from mien.service.thumbnails import LARGEST, SMALLEST, draw
from tests.media.clips import frame_number
from tests.media.pictures import png

FRAMES = 12


def asset(kind: str = "image", frames: int = 1) -> Any:
    return SimpleNamespace(kind=kind, name=f"my {kind}", media=SimpleNamespace(frames=frames))


def shown(content: bytes) -> NDArray[np.uint8]:
    assert content.startswith(b"\xff\xd8\xff")
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return np.asarray(found, np.uint8)


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / "a.png"
    path.write_bytes(content)
    return path


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(SMALLEST, 320))
@example(2000, 1, SMALLEST)
@example(1, 2000, SMALLEST)
@example(64, 64, 64)
def test_a_picture_fits_keeps_its_shape_and_is_never_made_larger(width: int, height: int, size: int) -> None:
    rows = (b"\0" + bytes((10, 20, 30)) * width) * height
    with tempfile.TemporaryDirectory() as folder:
        found = shown(draw(file_of(Path(folder), png(width, height, 2, 8, rows)), asset(), size, 0))
    tall, wide = found.shape[:2]
    share = min(1.0, size / max(width, height))
    assert max(tall, wide) == min(size, max(width, height))
    assert abs(wide - max(1, width * share)) <= 0.5
    assert abs(tall - max(1, height * share)) <= 0.5
    assert np.abs(found.reshape(-1, 3).astype(int) - (30, 20, 10)).max() <= 4


@pytest.mark.parametrize("size", [SMALLEST - 1, LARGEST + 1, 0, -64])
def test_a_size_that_cannot_be_had_is_refused_before_the_file_is_opened(tmp_path: Path, size: int) -> None:
    with pytest.raises(OptionError) as caught:
        draw(tmp_path / "none.png", asset(), size, 0)
    assert str(caught.value) == f"The size of a thumbnail is 16 to 2048 pixels, not {size}."


@pytest.mark.parametrize("size", [64, 200])
def test_what_is_transparent_is_white(tmp_path: Path, size: int) -> None:
    clear = png(100, 100, 6, 8, (b"\0" + b"\x10\x20\x30\0" * 100) * 100)
    assert shown(draw(file_of(tmp_path, clear), asset(), size, 0)).min() > 250


@pytest.mark.parametrize("frame", [0, 7, FRAMES - 1])
def test_a_frame_of_a_video_is_the_one_that_is_asked_for(clip: Path, frame: int) -> None:
    whole = shown(draw(clip, asset("video", FRAMES), 512, frame))
    assert frame_number(whole) == frame  # type: ignore[arg-type]
    assert shown(draw(clip, asset("video", FRAMES), 64, frame)).shape == (48, 64, 3)


@pytest.mark.parametrize("frame", [FRAMES, -1])
def test_a_frame_that_there_is_not_is_refused(clip: Path, frame: int) -> None:
    with pytest.raises(OptionError) as caught:
        draw(clip, asset("video", FRAMES), 64, frame)
    assert str(caught.value) == f"my video has 12 frames, counted from 0; there is no {frame}."


def test_a_video_that_says_it_has_more_frames_shows_its_last_one(clip: Path) -> None:
    found = shown(draw(clip, asset("video", 100), 512, 50))
    assert frame_number(found) == FRAMES - 1  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["audio", "file"])
def test_what_has_no_picture_has_no_thumbnail(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UnsupportedMedia, match=f"my {kind} has no picture"):
        draw(tmp_path / "none", asset(kind), 64, 0)


def test_a_picture_that_breaks_off_is_told_as_such(tmp_path: Path) -> None:
    torn = png(100, 100, 2, 8, (b"\0" + bytes(300)) * 100)[:80]
    with pytest.raises(CorruptMedia):
        draw(file_of(tmp_path, torn), asset(), 64, 0)
