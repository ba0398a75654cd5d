"""The motion of a face from one frame to the next."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from mien.faces.align import transform
from mien.faces.neural.motion import motion, moved_box
from mien.types import Box, Frame

BOX = Box(200, 120, 320, 270)


def texture(seed: int = 3) -> Frame:
    small = np.random.default_rng(seed).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC), np.uint8)


def moved(image: Frame, angle: float, scale: float, shift: tuple[float, float]) -> tuple[Frame, np.ndarray]:
    matrix = cv2.getRotationMatrix2D(BOX.center, angle, scale)
    matrix[:, 2] += shift
    height, width = image.shape[:2]
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)), matrix


@pytest.mark.parametrize(
    ("angle", "scale", "shift"),
    [(0, 1, (0, 0)), (0, 1, (7.3, -4.1)), (5, 1, (0, 3)), (-3, 1.06, (2, 2)), (0, 0.95, (-12, 6))],
)
def test_turns_shifts_and_sizes_are_found(angle: float, scale: float, shift: tuple[float, float]) -> None:
    after, truth = moved(texture(), angle, scale, shift)
    found = motion(texture(), after, BOX)
    assert found is not None
    corners = [(BOX.x1, BOX.y1), (BOX.x2, BOX.y1), (BOX.x2, BOX.y2), (BOX.x1, BOX.y2)]
    away = np.linalg.norm(transform(corners, found) - transform(corners, truth), axis=1)
    assert away.max() < 0.01 * BOX.width


@pytest.mark.parametrize("after", [texture(8), np.full((480, 640, 3), 90, np.uint8)])
def test_another_picture_loses_the_face(after: Frame) -> None:
    assert motion(texture(), after, BOX) is None


@pytest.mark.parametrize("box", [Box(-300, 100, -200, 200), Box(10, 10, 14, 14)])
def test_nothing_to_look_at_loses_the_face(box: Box) -> None:
    assert motion(texture(), texture(), box) is None


def test_a_turned_box_keeps_its_size() -> None:
    turn = math.radians(90)
    matrix = 2 * np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0]])
    box = moved_box(Box(0, 0, 10, 20), matrix)
    assert box.as_tuple() == pytest.approx((-30, -10, -10, 30))
