from __future__ import annotations

import numpy as np
import pytest

from mien.processors.face_editor import FaceEditorOptions
from mien.processors.live_portrait.motion import HIGHEST, LOWEST
from mien.processors.live_portrait.sliders import (
    MOVES,
    edited_angles,
    edited_expression,
    eye_numbers,
    lip_numbers,
    ratio,
)
from tests.standins.face_analysis import shape_68

MIDDLE = (LOWEST + HIGHEST) / 2


def moved(**sliders: float) -> np.ndarray:
    return edited_expression(MIDDLE, FaceEditorOptions(**sliders)) - MIDDLE


def test_without_sliders_nothing_moves() -> None:
    assert (moved() == 0).all()
    assert edited_angles((1.0, 2.0, 3.0), FaceEditorOptions()) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("value", [0.1, -0.1])
def test_a_slider_moves_its_key_points_by_its_coefficients(name: str, value: float) -> None:
    expected = np.zeros((21, 3))
    for point, axis, share in MOVES[name].above if value > 0 else MOVES[name].below:
        expected[point, axis] = share * value
    expected = np.clip(MIDDLE + expected, LOWEST, HIGHEST) - MIDDLE
    assert moved(**{name: value}) == pytest.approx(expected, abs=1e-6)
    assert np.abs(expected).max() > 0


def test_some_movements_are_not_their_own_reverse() -> None:
    smile, frown = moved(mouth_smile=1.0), moved(mouth_smile=-1.0)
    assert smile[14, 1] < 0 < frown[14, 1]
    assert smile[20, 1] < 0 == frown[20, 1]
    raised, lowered = moved(eyebrow_direction=0.5), moved(eyebrow_direction=-0.5)
    assert raised[1, 0] == 0 < lowered[1, 0]


def test_sliders_add_up_before_the_limits() -> None:
    both = moved(mouth_position_horizontal=0.1, mouth_pout=0.1)
    assert both == pytest.approx(moved(mouth_position_horizontal=0.1) + moved(mouth_pout=0.1), abs=1e-6)
    far = edited_expression(HIGHEST, FaceEditorOptions(mouth_position_horizontal=1.0))
    assert (far == HIGHEST).all()


def test_heads_turn_by_the_sliders() -> None:
    options = FaceEditorOptions(head_pitch=0.5, head_yaw=-0.5, head_roll=1.0)
    assert edited_angles((0.0, 0.0, 0.0), options) == pytest.approx((-10.0, 30.0, 15.0))


def test_openings_are_height_over_width() -> None:
    points = np.zeros((68, 2), np.float32)
    points[62], points[66], points[54], points[48] = (5, 0), (5, 4), (10, 2), (0, 2)
    assert ratio(points, (62, 66, 54, 48)) == pytest.approx(0.4)
    assert ratio(np.zeros((68, 2), np.float32), (62, 66, 54, 48)) == 0
    assert lip_numbers(points, 0.3) == pytest.approx((0.4, 1.0))
    assert lip_numbers(points, -0.3) == pytest.approx((0.4, 0.0))


def test_a_shut_eye_counts_as_shut() -> None:
    """FaceFusion measures the lids crosswise, so that a shut eye is a third open."""
    shut = shape_68().astype(np.float32) * 200
    shut[36:48, 1] = shut[36, 1]
    left, right, goal = eye_numbers(shut, -1.0, compat=False)
    assert (left, right, goal) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)
    assert eye_numbers(shut, 0.5, compat=True)[0] > 0.3
    assert eye_numbers(shut, 0.5, compat=True)[2] == 0.6
