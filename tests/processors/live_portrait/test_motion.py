from __future__ import annotations

import numpy as np
import pytest

from mien.processors.live_portrait.motion import (
    ANGLE_RANGES,
    HIGHEST,
    LOWEST,
    Motion,
    limited,
    limited_angles,
    rotation,
)


def motion(angles: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Motion:
    rng = np.random.default_rng(3)
    points, expression = rng.normal(size=(2, 21, 3)).astype(np.float32)
    return Motion(angles, 2.0, np.array([1, 2, 3], np.float32), expression, points)


@pytest.mark.parametrize(
    ("angles", "goes", "to"),
    [
        ((90.0, 0.0, 0.0), (0, 1, 0), (0, 0, 1)),
        ((0.0, 90.0, 0.0), (0, 0, 1), (1, 0, 0)),
        ((0.0, 0.0, 90.0), (1, 0, 0), (0, 1, 0)),
        # About x first, about z last.
        ((90.0, 0.0, 90.0), (0, 1, 0), (0, 0, 1)),
        ((90.0, 90.0, 0.0), (0, 1, 0), (1, 0, 0)),
    ],
)
def test_rotations_are_right_handed_and_in_order(
    angles: tuple[float, float, float], goes: tuple[int, ...], to: tuple[int, ...]
) -> None:
    assert rotation(angles) @ np.array(goes) == pytest.approx(np.array(to), abs=1e-6)


def test_key_points_are_turned_shaped_scaled_and_moved() -> None:
    face = motion()
    assert face.key_points() == pytest.approx(2 * (face.points + face.expression) + [1, 2, 3])
    turned = motion((0.0, 0.0, 90.0)).key_points()
    along_x = 2 * (-face.points[:, 1] + face.expression[:, 0]) + 1
    assert turned[:, 0] == pytest.approx(along_x, abs=1e-5)
    assert face.key_points(angles=(0.0, 0.0, 90.0)) == pytest.approx(turned)
    still = face.key_points(expression=np.zeros((21, 3), np.float32))
    assert still == pytest.approx(2 * face.points + [1, 2, 3])


def test_expressions_are_kept_within_their_limits() -> None:
    assert (LOWEST < HIGHEST).all()
    assert (limited(np.full((21, 3), 9, np.float32)) == HIGHEST).all()
    assert (limited(np.full((21, 3), -9, np.float32)) == LOWEST).all()
    inside = (LOWEST + HIGHEST) / 2
    assert (limited(inside) == inside).all()


def test_heads_are_turned_no_further_than_the_ranges() -> None:
    lows, highs = zip(*ANGLE_RANGES, strict=True)
    assert limited_angles((-99.0, -99.0, -99.0), (0.0, 0.0, 0.0)) == lows
    assert limited_angles((99.0, 99.0, 99.0), (0.0, 0.0, 0.0)) == highs


def test_a_head_beyond_the_ranges_is_not_turned_back() -> None:
    beyond = (45.0, -80.0, 33.0)
    assert limited_angles(beyond, beyond) == beyond
    assert limited_angles((50.0, -85.0, -99.0), beyond) == (45.0, -80.0, -20.0)
