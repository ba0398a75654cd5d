from __future__ import annotations

import math

import numpy as np
import pytest

from mien.faces.canonical import (
    EYE_CORNERS,
    canonical,
    fit_pose,
    similarity,
    smoothstep,
    vertex_normals,
    with_lip_copies,
    with_resting_eyes,
)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rz Ry Rx, by the textbook, in degrees."""
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    rx = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    ry = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    rz = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    return rz @ ry @ rx


def test_the_data_is_whole_and_cannot_be_changed() -> None:
    data = canonical()
    assert data.points.shape == (468, 3)
    assert data.points_full.shape == (474, 3)
    assert len(data.skin_triangles) == 852
    assert len(data.mouth_triangles) == 18
    assert len(data.eye_triangles) == 40
    assert canonical() is data
    with pytest.raises(ValueError, match="read-only"):
        data.points[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        data.groups["oval"][0] = 1
    with pytest.raises(ValueError, match="read-only"):
        data.lip_rows[0][0, 0] = 1


def test_eyes_are_a_thousand_apart_and_sides_are_those_of_the_image() -> None:
    data = canonical()
    left, right = (data.points[list(EYE_CORNERS[side])].mean(0) for side in ("left", "right"))
    assert right[0] - left[0] == pytest.approx(1000, abs=1)
    assert left[0] < 0 < right[0]
    assert (data.points[data.groups["eye_left"], 0] < 0).all()
    assert (data.points[data.groups["brow_right"], 0] > 0).all()


def test_the_mirror_map_swaps_sides_and_undoes_itself() -> None:
    data = canonical()
    assert (data.mirror[data.mirror] == np.arange(474)).all()
    np.testing.assert_allclose(data.points_full[data.mirror] * [-1, 1, 1], data.points_full, atol=1e-3)
    assert set(data.mirror[data.groups["eye_left"]]) == set(data.groups["eye_right"])


def test_triangles_face_the_camera_and_leave_no_hole() -> None:
    data = canonical()
    normals = vertex_normals(data.points_full)
    assert normals[:, 2].min() > 0.1
    edges = np.concatenate([np.sort(data.surface_triangles[:, pair], 1) for pair in ([0, 1], [1, 2], [2, 0])])
    names, counts = np.unique(edges, axis=0, return_counts=True)
    assert counts.max() == 2
    rim = set(map(frozenset, names[counts == 1].tolist()))
    loops = (data.groups["oval"], data.groups["lips_inner"])
    expected = {
        frozenset((int(a), int(b))) for loop in loops for a, b in zip(loop, np.roll(loop, -1), strict=True)
    }
    assert rim == expected
    assert len(data.edges) == len(names)


def test_eye_triangles_face_the_camera_on_both_sides() -> None:
    data = canonical()
    a, b, c = (data.points_full[data.eye_triangles[:, k], :2] for k in range(3))
    (ux, uy), (vx, vy) = (b - a).T, (c - a).T
    assert (ux * vy - uy * vx > 0).all()


def test_the_mouth_strip_has_its_own_copies_of_the_lip() -> None:
    data = canonical()
    assert data.mouth_triangles_copied.min() == 474
    assert data.mouth_triangles_copied.max() == 493
    full = with_lip_copies(data.points_full)
    assert full.shape == (494, 3)
    np.testing.assert_array_equal(full[data.mouth_triangles_copied], full[data.mouth_triangles])


def test_weights() -> None:
    data = canonical()
    for values in (data.skin, data.central, data.occ, data.fore):
        assert values.shape == (474,)
        assert values.min() >= 0
        assert values.max() <= 1
        assert (values[468:] == 0).all()
    assert data.dist[1] > 0.5
    assert (data.dist[data.groups["oval"]] < 0.002).all()
    assert (data.skin[data.groups["lips_outer"]] == 0).all()
    assert (data.central <= data.skin).all()
    assert data.occ[10] == 1  # top of the forehead
    assert data.fore[10] < 0.01
    assert data.fore[1] == 1


def test_central_skin_follows_its_rule() -> None:
    data = canonical()
    points = data.points
    rule = (
        (np.abs(points[:, 0]) < 800)
        & (points[:, 1] > -150)
        & (points[:, 1] < 1150)
        & (data.dist[:468] > 0.25)
    )
    assert np.count_nonzero((data.central[:468] == 1) != (rule & (data.skin[:468] == 1))) <= 2


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(0, 0, 0), (25, -10, 5), (-40, 20, -30), (10, 15, 90), (0, 10, 179)]
)
def test_a_pose_is_measured_as_it_was_made(yaw: float, pitch: float, roll: float) -> None:
    data = canonical()
    shape = data.points_full.astype(float)
    mesh = (0.21 * shape @ rotation(yaw, pitch, roll).T + [300, 200, 5]).astype(np.float32)
    fit = fit_pose(mesh)
    assert fit.scale == pytest.approx(0.21, rel=1e-4)
    assert (fit.pose.yaw, fit.pose.pitch, fit.pose.roll) == pytest.approx((yaw, pitch, roll), abs=0.01)
    np.testing.assert_allclose(fit.pose_free(mesh), shape, atol=0.05)
    np.testing.assert_allclose(fit.place(fit.pose_free(mesh)), mesh, atol=1e-2)


def test_positive_yaw_hides_the_left_of_the_image_and_positive_pitch_looks_down() -> None:
    shape = canonical().points_full.astype(float)
    turned = (shape @ rotation(30, 0, 0).T).astype(np.float32)
    assert turned[4, 0] < 0  # the nose points to the left
    normals = vertex_normals(turned)
    left, right = (normals[index, 2] for index in (234, 454))
    assert left < right
    assert (shape @ rotation(0, 20, 0).T)[4, 1] > shape[4, 1]


def test_points_that_coincide_have_no_pose() -> None:
    with pytest.raises(ValueError, match="coincide"):
        fit_pose(np.ones((474, 3), np.float32))


def test_a_reflection_is_never_fitted() -> None:
    model = np.random.default_rng(0).normal(size=(12, 3))
    fit = similarity(model, model * [-1, 1, 1])
    assert np.linalg.det(fit.rotation) == pytest.approx(1)


def test_resting_eyes_look_ahead() -> None:
    points = canonical().points
    eyes = with_resting_eyes(points)
    assert eyes[469, 0] == pytest.approx((points[33, 0] + points[133, 0]) / 2)
    assert points[33, 0] < eyes[468, 0] < eyes[469, 0] < eyes[470, 0] < points[133, 0]
    assert points[263, 0] > eyes[471, 0] > eyes[472, 0] > eyes[473, 0] > points[362, 0]


def test_smoothstep() -> None:
    np.testing.assert_allclose(smoothstep(0, 2, [-1, 0, 1, 2, 3]), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(smoothstep(2, 0, [-1, 0.5, 3]), [1, 0.84375, 0], atol=1e-6)
