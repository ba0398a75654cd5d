from __future__ import annotations

import numpy as np
import pytest

from mien.faces.builtin.analyser import BuiltinAnalyser
from mien.faces.canonical import canonical
from mien.faces.views import (
    BETWEEN,
    MIRROR_68,
    box_of_mesh,
    five_of_68,
    landmarks_of_mesh,
    quarter_turn,
    sixty_eight,
)
from mien.types import Frame


def test_the_68_points_are_symmetric_on_the_mean_face() -> None:
    points = sixty_eight(canonical().points)
    assert points.shape == (68, 2)
    np.testing.assert_allclose(points[list(MIRROR_68)] * [-1, 1], points, atol=1e-3)
    assert sorted(MIRROR_68) == list(range(68))
    assert set(BETWEEN) | {MIRROR_68[index] for index in BETWEEN} == set(range(68))


def test_the_68_points_come_in_the_order_of_ibug() -> None:
    points = sixty_eight(canonical().points)
    x, y = points.T
    for rising in (x[0:17], x[17:27], y[27:31], x[31:36], x[36:40], x[42:46], x[48:55], x[60:65]):
        assert (np.diff(rising) > 0).all()
    for falling in (x[54:60], x[64:68], y[8:17]):
        assert (np.diff(falling) < 0).all()
    assert y[8] == y.max()
    assert (y[37:39] < y[36]).all()
    assert (y[40:42] > y[37:39]).all()
    assert y[51] < y[62] <= y[66] < y[57]


def test_jaw_points_are_about_equally_far_apart() -> None:
    data = canonical().points
    pairs = [BETWEEN[index] for index in range(9)]
    jaw = np.stack([data[i] * (1 - w) + data[j] * w for i, j, w in pairs])
    steps = np.linalg.norm(np.diff(jaw, axis=0), axis=1)
    assert steps.max() / steps.min() < 1.7


def test_five_points() -> None:
    points = sixty_eight(canonical().points)
    five = five_of_68(points)
    assert five[0, 0] == pytest.approx(-five[1, 0], abs=0.01)
    assert abs(five[0, 0]) == pytest.approx(500, abs=25)
    np.testing.assert_array_equal(five[2:], points[[30, 48, 54]])


def test_a_mesh_gives_all_landmark_sets() -> None:
    mesh = canonical().points_full
    landmarks = landmarks_of_mesh(mesh)
    assert landmarks.mesh is mesh
    assert landmarks.five.dtype == landmarks.sixty_eight.dtype == np.float32
    np.testing.assert_array_equal(landmarks.five_of_68, five_of_68(landmarks.sixty_eight))
    box = box_of_mesh(mesh)
    assert box.as_tuple() == (-1075, -766, 1075, 1655)


@pytest.mark.parametrize(
    ("roll", "turn"),
    [(0, 0), (45, 0), (45.1, 90), (90, 90), (-90, 270), (180, 180), (-179, 180), (-10, 0), (320, 0)],
)
def test_quarter_turn(roll: float, turn: int) -> None:
    assert quarter_turn(roll) == turn


def test_points_lie_where_they_were_seen_to_lie(
    analyser: BuiltinAnalyser, astronaut: Frame, hopper: Frame
) -> None:
    """Places read off the portraits by eye: eye centres, nose tip, mouth corners and chin."""
    seen = [
        (astronaut, [(202.5, 101), (246, 103.5), (223, 127), (202, 140), (245, 140.5), (222, 178)]),
        (hopper, [(222, 190), (303, 187.5), (268, 238), (227, 281), (308, 278), (270, 331)]),
    ]
    for picture, places in seen:
        points = analyser.faces(picture)[0].landmarks.sixty_eight
        five = five_of_68(points)
        measured = np.concatenate([five, points[8:9]])
        distance = np.linalg.norm(five[1] - five[0])
        assert np.linalg.norm(measured - places, axis=1).max() < 0.08 * distance
