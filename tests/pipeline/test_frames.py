"""Single frames by number."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.errors import InputMissing
from mien.media.probe import MAX_PIXELS
from mien.pipeline.frames import Frames, read_frame
from tests.pipeline.clips import RATE, make_clip, picture


@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 25, 39])
def test_a_frame_that_is_sought_is_the_one_that_is_counted(tmp_path: Path, number: int) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 40, gop=10, sound=False)
    sought = Frames(clip, MAX_PIXELS).read(number)
    assert np.array_equal(sought.image, read_frame(clip, number, MAX_PIXELS))
    assert (sought.number, sought.time) == (number, pytest.approx(number / RATE))


def test_behind_the_end_lies_the_last_frame(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 12, sound=False)
    sought = Frames(clip, MAX_PIXELS).read(1000)
    assert sought.number == 11
    assert np.array_equal(sought.image, read_frame(clip, 11, MAX_PIXELS))


def test_a_damaged_place_shows_something(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "clip.ts", 60, sound=False)
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    torn = tmp_path / "torn.ts"
    torn.write_bytes(data)
    frames = Frames(torn, MAX_PIXELS)
    for number in range(0, len(frames.index.times), 7):
        assert frames.read(number).image.shape == picture(0).shape


def test_a_picture_is_its_own_only_frame(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), picture(3))
    sought = Frames(path, MAX_PIXELS).read(5)
    assert sought.number == 0
    assert np.array_equal(sought.image, picture(3))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"gone\.mp4"):
        Frames(tmp_path / "gone.mp4", MAX_PIXELS)
