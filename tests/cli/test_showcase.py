from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mien.cli.showcase import CHORD, SAMPLE_RATE, SECONDS, SIZE, contact_sheet, through, views, write_chord
from mien.types import Box


@pytest.mark.parametrize(("width", "height"), [(512, 512), (512, 600), (900, 300)])
def test_views_go_from_wide_to_close_and_stay_inside(width: int, height: int) -> None:
    face = Box(180, 70, 280, 200)
    found = list(views(width, height, face, 50))
    assert len(found) == 50
    for view in found:
        assert view.width / view.height == pytest.approx(4 / 3)
        assert view.x1 >= 0
        assert view.y1 >= 0
        assert view.x2 <= width + 1e-6
        assert view.y2 <= height + 1e-6
    assert found[0].width == pytest.approx(min(width, height * 4 / 3))
    assert all(before.width > after.width for before, after in pairwise(found))
    last = found[-1]
    assert last.x1 < face.x1 < face.x2 < last.x2
    assert last.y1 < face.y1 < face.y2 < last.y2


def test_a_frame_shows_what_the_view_covers() -> None:
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[100:300, 200:400] = 255
    whole = through(picture, Box(0, 0, 640, 480))
    assert np.array_equal(whole, picture)
    close = through(picture, Box(240, 140, 320, 200))
    assert close.shape == (SIZE[1], SIZE[0], 3)
    assert close.min() == 255


def test_the_chord_lasts_as_long_as_the_clip_and_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "chord.wav"
    write_chord(path)
    data = path.read_bytes()
    assert len(data) == 8 + int.from_bytes(data[4:8], "little")
    samples = np.frombuffer(data[data.index(b"data") + 8 :], "<i2").astype(float)
    assert len(samples) == SECONDS * SAMPLE_RATE
    assert 3000 < np.abs(samples).max() < 9000
    assert abs(samples[0]) < 5
    spectrum = np.abs(np.fft.rfft(samples))
    loudest = np.sort(np.argsort(spectrum)[-12:]) / SECONDS
    assert all(np.abs(loudest - pitch).min() < 0.3 for pitch in CHORD)


def test_the_contact_sheet_holds_every_picture() -> None:
    red = np.full((100, 200, 3), (0, 0, 255), np.uint8)
    blue = np.full((400, 200, 3), (255, 0, 0), np.uint8)
    sheet = contact_sheet([[("red", red), ("blue", blue)], [("red", red)]])
    flat = sheet.reshape(-1, 3)
    assert np.count_nonzero((flat == (0, 0, 255)).all(axis=1)) == 2 * 300 * 150
    assert np.count_nonzero((flat == (255, 0, 0)).all(axis=1)) == 300 * 600
