from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import ModelCorrupt
from mien.faces.neural.detectors import (
    Detector,
    anchors,
    candidates,
    detect,
    letterbox,
    margin_pixels,
    restricted_size,
)
from mien.faces.neural.networks import Networks
from tests.standins.face_analysis import BOX, FIVE, draw_face

LAYOUTS = ("retinaface", "scrfd", "yolo_face", "yunet")


@pytest.mark.parametrize(
    ("size", "limit", "expected", "ratios"),
    [
        ((1920, 1080), 640, (640, 360), (3, 3)),
        ((1080, 1920), 640, (360, 640), (3, 3)),
        ((4096, 2160), 640, (640, 337), (6.4, 6.40949555)),
        ((641, 480), 640, (640, 479), (1.0015625, 1.00208768)),
        ((1366, 768), 640, (640, 359), (2.134375, 2.13927577)),
        ((720, 576), 640, (640, 512), (1.125, 1.125)),
        ((500, 333), 640, (500, 333), (1, 1)),
        ((1920, 1080), 320, (320, 180), (6, 6)),
        ((1280, 720), 512, (512, 288), (2.5, 2.5)),
    ],
)
def test_frames_shrink_to_the_detector(
    size: tuple[int, int], limit: int, expected: tuple[int, int], ratios: tuple[float, float]
) -> None:
    assert restricted_size(*size, (limit, limit)) == expected
    canvas, x, y = letterbox(np.full((size[1], size[0], 3), 9, np.uint8), limit)
    assert (x, y) == pytest.approx(ratios)
    assert canvas.shape == (limit, limit, 3)
    assert canvas.any(axis=(0, 2)).sum() == expected[0]
    assert canvas.any(axis=(1, 2)).sum() == expected[1]


def test_anchors_are_corners_of_cells() -> None:
    first = [(0, 0), (0, 0), (8, 0), (8, 0), (16, 0), (16, 0), (0, 8), (0, 8)]
    assert anchors(8, 24, 2)[:8].tolist() == [list(point) for point in first]


def test_margins_are_shares_of_half_the_frame() -> None:
    assert margin_pixels(np.zeros((1080, 1920, 3), np.uint8), (10, 0, 100, 50)) == (54, 0, 540, 480)


def picture(*centers: tuple[int, int]) -> NDArray[np.uint8]:
    image = np.full((640, 640, 3), 40, np.uint8)
    for center in centers:
        draw_face(image, center)
    return image


@pytest.mark.parametrize("model", LAYOUTS)
def test_every_layout_is_read(standins: Networks, model: str) -> None:
    found = detect(picture((176, 208), (464, 432)), standins.detectors(model))
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    assert len(found) == 2
    for point in ((176, 208), (464, 432)):
        near = np.abs(centres - point).max(axis=1).argmin()
        assert np.abs(centres[near] - point).max() <= 32
        np.testing.assert_allclose(found.boxes[near, 2:] - found.boxes[near, :2], BOX, rtol=1e-5)
        np.testing.assert_allclose(found.points[near] - centres[near], FIVE * BOX, atol=1e-3)


def test_many_detectors_agree_on_one_face(standins: Networks) -> None:
    detectors = standins.detectors("many")
    assert [detector.name for detector in detectors] == ["retinaface", "scrfd", "yolo_face"]
    image = picture((176, 208))
    assert len(candidates(image, detectors, score=0.5)) > len(detect(image, detectors)) == 1


@pytest.mark.parametrize("size", [160, 320, 480, 512])
def test_smaller_inputs(standins: Networks, size: int) -> None:
    image = np.full((size * 2, size * 2, 3), 40, np.uint8)
    image[size - 128 : size + 128, size - 128 : size + 128] = (0, 255, 0)
    found = detect(image, standins.detectors("retinaface", size))
    assert len(found) == 1
    centre = (found.boxes[0, :2] + found.boxes[0, 2:]) / 2
    assert np.abs(centre - size).max() <= 80


@pytest.mark.parametrize("compat", [False, True])
def test_margins_and_shrinking_are_undone(standins: Networks, compat: bool) -> None:
    image = np.full((1280, 1280, 3), 40, np.uint8)
    image[400:720, 560:880] = (0, 255, 0)
    for margin in ((0, 0, 0, 0), (10, 0, 0, 40)):
        found = detect(image, standins.detectors("yolo_face"), margin=margin, compat=compat)
        centre = (found.boxes[0, :2] + found.boxes[0, 2:]) / 2
        assert np.abs(centre - (720, 560)).max() <= 100


@pytest.mark.parametrize("angle", [90, 180, 270])
@pytest.mark.parametrize("compat", [False, True])
def test_turned_pictures_are_turned_back(standins: Networks, angle: int, compat: bool) -> None:
    image = picture((176, 208))
    found = detect(image, standins.detectors("yolo_face"), angles=(angle,), compat=compat)
    centre = (found.boxes[0, :2] + found.boxes[0, 2:]) / 2
    assert np.abs(centre - (176, 208)).max() <= 33
    size = found.boxes[0, 2:] - found.boxes[0, :2]
    np.testing.assert_allclose(size, BOX if angle == 180 else BOX[::-1], rtol=1e-4)
    eyes = found.points[0, 1] - found.points[0, 0]
    down = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[angle]
    np.testing.assert_allclose(eyes / np.linalg.norm(eyes), down, atol=1e-3)


def test_four_angles_give_one_face(standins: Networks) -> None:
    found = detect(picture((320, 320)), standins.detectors("yolo_face"), angles=(0, 90, 180, 270))
    assert len(found) == 1


def test_a_score_of_nothing_finds_nothing(standins: Networks) -> None:
    assert len(detect(picture((320, 320)), standins.detectors("yolo_face"), score=0)) == 0
    assert len(detect(picture(), standins.detectors("yolo_face"))) == 0


class Fixed:
    def __init__(self, *outputs: NDArray[Any]) -> None:
        self.outputs = list(outputs)

    def run(self, feeds: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        return self.outputs


def test_the_reference_overlooks_a_lone_first_row() -> None:
    table = np.zeros((1, 20, 8400), np.float32)
    table[0, :5, 0] = (50, 60, 20, 30, 0.9)
    detector = Detector("yolo_face", Fixed(table), "yolo", std=255.0)
    blank = np.zeros((640, 640, 3), np.uint8)
    assert detect(blank, [detector]).boxes.tolist() == [[40, 45, 60, 75]]
    assert len(detect(blank, [detector], compat=True)) == 0


@pytest.mark.parametrize("layout", ["yolo", "distances", "yunet"])
@pytest.mark.parametrize("outputs", [(), (np.zeros((1, 20, 100)),), (np.zeros((1, 2)),) * 12])
def test_another_model_is_refused(layout: Any, outputs: tuple[NDArray[Any], ...]) -> None:
    detector = Detector("thing", Fixed(*outputs), layout)
    with pytest.raises(ModelCorrupt, match="thing is not that model"):
        detect(np.zeros((640, 640, 3), np.uint8), [detector])
