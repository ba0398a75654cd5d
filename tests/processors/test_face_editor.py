from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import ModelMissing, OptionError
from mien.faces.canonical import canonical
from mien.options import build
from mien.processors.face_editor import FAMILIES, MESH_SLIDERS, FaceEditor, FaceEditorOptions
from mien.processors.mesh_edit.sliders import JAW_STRETCH, MOVES, Edit, displaced
from mien.processors.mesh_edit.warp import edit_face
from mien.types import Frame, Points
from tests.processors.faces_made import frame_of, made_face, made_mesh, noise, run_of

SHAPE = canonical().points_full
IRISES = ((468, 469, 470), (471, 472, 473))


def open_mouth(gap: float = 150.0) -> Points:
    shape = SHAPE.copy()
    shape[np.unique(canonical().lip_rows[1])] += [0, gap, 0]
    return shape


def moved(shape: Points = SHAPE, **edit: float) -> Points:
    return displaced(shape, Edit(**edit)) - shape


@pytest.mark.parametrize(
    ("slider", "points", "axis", "direction"),
    [
        ("brows", (105, 334), 1, -1),
        ("eye_open", (159, 386), 1, -1),
        ("eye_open", (145, 374), 1, 1),
        ("eye_size", (33, 362), 0, -1),
        ("eye_size", (133, 263), 0, 1),
        ("smile", (61, 291), 1, -1),
        ("pout", (0,), 1, -1),
        ("pout", (17,), 1, 1),
        ("purse", (61,), 0, 1),
        ("mouth_width", (291,), 0, 1),
        ("mouth_x", (13, 14), 0, 1),
        ("mouth_y", (13, 14), 1, -1),
        ("nose_width", (358,), 0, 1),
        ("nose_width", (129,), 0, -1),
    ],
)
def test_a_slider_moves_its_points_both_ways(
    slider: str, points: tuple[int, ...], axis: int, direction: int
) -> None:
    up, down = moved(**{slider: 1.0})[list(points), axis], moved(**{slider: -1.0})[list(points), axis]
    assert (up * direction > 8).all()
    assert (down * direction < -8).all()


@pytest.mark.parametrize("slider", sorted(MOVES))
def test_the_outline_of_the_face_and_far_features_stay(slider: str) -> None:
    change = moved(open_mouth(), **{slider: 1.0})
    assert not change[canonical().groups["oval"]].any()
    assert np.linalg.norm(change, axis=1).max() < 170
    far = (61, 291, 13) if slider in ("brows", "eye_open", "eye_size") else (105, 334, 159, 145)
    assert np.abs(change[list(far)]).max() < 15


def test_half_a_slider_moves_half_as_far() -> None:
    edit = {"smile": 0.5, "brows": 0.5, "eye_size": 0.5}
    assert moved(**edit) == pytest.approx(0.5 * moved(**dict.fromkeys(edit, 1.0)), abs=1e-2)


def test_a_shut_mouth_is_not_opened() -> None:
    shut = SHAPE.copy()
    upper, lower = canonical().lip_rows[:2]
    shut[lower[0]] = shut[upper[0]]
    assert np.abs(moved(shut, lip_open=1.0)).max() < 1e-3


def test_an_open_mouth_opens_no_further_than_its_teeth_bear() -> None:
    shape = open_mouth()
    gap = (shape[14] - shape[13])[1]
    wider = displaced(shape, Edit(lip_open=1.0))
    assert gap * 1.1 < (wider[14] - wider[13])[1] <= gap * (1 + JAW_STRETCH) + 1
    narrower = displaced(shape, Edit(lip_open=-1.0))
    assert 0 < (narrower[14] - narrower[13])[1] < gap * 0.5


def edited(image: Frame, mesh: Points, **edit: float) -> Frame:
    result = image.copy()
    edit_face(result, mesh, Edit(**edit))
    return result


def centroid(image: Frame) -> tuple[float, float]:
    weight = 255 - cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(float)
    rows, columns = np.indices(weight.shape)
    return float((columns * weight).sum() / weight.sum()), float((rows * weight).sum() / weight.sum())


def spot(x: float, y: float, radius: int) -> Frame:
    image = np.full((400, 400, 3), 255, np.uint8)
    cv2.circle(image, (round(x), round(y)), radius, (0, 0, 0), -1, cv2.LINE_AA)
    return image


@pytest.mark.parametrize(
    ("slider", "point", "expected"),
    [
        ("brows", 105, (0, -90)),
        ("mouth_x", 13, (60, 0)),
        ("mouth_y", 13, (0, -50)),
        ("smile", 291, (35, -70)),
    ],
)
def test_pixels_follow_their_points(slider: str, point: int, expected: tuple[int, int]) -> None:
    mesh = made_mesh(200, 170, 260)
    scale = 260 / np.ptp(SHAPE[:, 1])
    image = spot(*mesh[point, :2], 4)
    before, after = centroid(image), centroid(edited(image, mesh, **{slider: 1.0}))
    assert np.subtract(after, before) == pytest.approx(np.multiply(expected, scale), abs=2.5)


def eyes_picture(mesh: Points) -> Frame:
    """White eyes with black irises in a grey face."""
    image = np.full((400, 400, 3), 128, np.uint8)
    for side, (rim, centre, other) in zip(("left", "right"), IRISES, strict=True):
        white, iris = np.zeros((400, 400), np.uint8), np.zeros((400, 400), np.uint8)
        contour = mesh[canonical().groups[f"eye_{side}"], :2]
        cv2.fillPoly(white, [np.round(contour).astype(np.int32)], 255)
        radius = float(np.hypot(*(mesh[rim, :2] - mesh[other, :2]))) / 2
        cv2.circle(iris, tuple(np.round(mesh[centre, :2]).astype(int).tolist()), round(radius), 255, -1)
        image[white > 0] = 255
        image[(white > 0) & (iris > 0)] = 0
    return image


@pytest.fixture(scope="module")
def eyes_mesh() -> Points:
    mesh = made_mesh(200, 170, 330)
    for side, (rim, centre, other) in zip(("left", "right"), IRISES, strict=True):
        contour = mesh[canonical().groups[f"eye_{side}"]]
        middle, width = (contour.min(0) + contour.max(0)) / 2, np.ptp(contour[:, 0])
        sign = 1 if mesh[other, 0] > mesh[rim, 0] else -1
        mesh[[rim, centre, other], 1] = middle[1]
        mesh[[rim, centre, other], 0] = middle[0] + sign * np.array([-0.2, 0, 0.2]) * width
    return mesh


def iris_columns(image: Frame) -> float:
    return float(np.nonzero((image < 60).all(axis=2))[1].mean())


def test_the_gaze_moves_the_irises_and_nothing_else(eyes_mesh: Points) -> None:
    image = eyes_picture(eyes_mesh)
    right = edited(image, eyes_mesh, gaze_x=1.0)
    width = float(np.hypot(*(eyes_mesh[33, :2] - eyes_mesh[133, :2])))
    assert iris_columns(right) - iris_columns(image) == pytest.approx(0.17 * width, rel=0.35)
    assert iris_columns(edited(image, eyes_mesh, gaze_x=-1.0)) < iris_columns(image) - 0.1 * width
    contours = [
        np.round(eyes_mesh[canonical().groups[f"eye_{side}"], :2]).astype(np.int32)
        for side in ("left", "right")
    ]
    around = np.zeros((400, 400), np.uint8)
    cv2.fillPoly(around, contours, 255)
    outside = cv2.dilate(around, np.ones((9, 9), np.uint8)) == 0
    assert (right[outside] == image[outside]).all()


def test_lids_slide_over_the_iris(eyes_mesh: Points) -> None:
    image = eyes_picture(eyes_mesh)

    def dark(picture: Frame) -> tuple[int, int]:
        rows, columns = np.nonzero((picture < 60).all(axis=2))
        return len(rows), int(np.ptp(columns)) if len(rows) else 0

    area, width = dark(image)
    half_area, half_width = dark(edited(image, eyes_mesh, eye_open=-0.5))
    assert 0.3 * area < half_area < 0.8 * area
    assert half_width == pytest.approx(width, abs=4)
    # What stays is the line where the lids meet.
    assert dark(edited(image, eyes_mesh, eye_open=-1.0))[0] < 0.3 * area
    assert dark(edited(image, eyes_mesh, eye_open=1.0))[0] >= 0.98 * area


def test_no_edit_is_no_change() -> None:
    image = noise()
    frame = frame_of(image, made_face())
    FaceEditor().process(frame, FaceEditor().prepare(run_of(), FaceEditorOptions(model="mesh")))
    assert (frame.image == image).all()
    assert (edited(image, made_mesh(100, 90, 120)) == image).all()


def test_a_profile_is_left_alone() -> None:
    image = noise()
    assert (edited(image, made_mesh(100, 90, 120, yaw=65), smile=1.0) == image).all()
    assert (edited(image, made_mesh(100, 90, 120, yaw=20), smile=1.0) != image).any()


@settings(max_examples=50, deadline=None)
@given(
    size=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    place=st.tuples(st.floats(-100, 220), st.floats(-100, 220)),
    height=st.floats(0.1, 300),
    roll=st.floats(-180, 180),
    yaw=st.floats(-80, 80),
    values=st.lists(st.floats(-1, 1), min_size=13, max_size=13),
)
def test_any_edit_of_any_face_in_any_frame(
    size: tuple[int, int],
    place: tuple[float, float],
    height: float,
    roll: float,
    yaw: float,
    values: list[float],
) -> None:
    image, mesh = noise(*size), made_mesh(*place, height, roll=roll, yaw=yaw, mouth=100)
    result = edited(image, mesh, **dict(zip(MESH_SLIDERS.values(), values, strict=True)))
    assert result.shape == image.shape
    oval = cv2.convexHull(np.ascontiguousarray(mesh[:, :2]))
    reach = np.zeros((size[0] + 400, size[1] + 400), np.uint8)
    cv2.fillConvexPoly(reach, np.round(oval + 200).astype(np.int32), 255)
    margin = 2 * round(4 + 0.04 * height) + 1
    reach = cv2.dilate(reach, np.ones((margin, margin), np.uint8))[200:-200, 200:-200]
    assert (result[reach == 0] == image[reach == 0]).all()


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_broken_mesh_changes_nothing(broken: float) -> None:
    mesh = made_mesh(100, 90, 120)
    mesh[5] = broken
    assert (edited(noise(), mesh, smile=1.0) == noise()).all()
    assert (edited(noise(), np.full((474, 3), 50, np.float32), smile=1.0) == noise()).all()


def test_only_selected_faces_are_edited() -> None:
    one, other = made_face(60, 90, 80), made_face(150, 90, 80)
    frame = frame_of(noise(), one, other, selected=(one,))
    FaceEditor().process(
        frame, FaceEditor().prepare(run_of(), FaceEditorOptions(model="mesh", mouth_smile=1.0))
    )
    assert (frame.image[:, :100] != noise()[:, :100]).any()
    assert (frame.image[:, 110:] == noise()[:, 110:]).all()


def test_what_the_mesh_cannot_do_is_said_once() -> None:
    notices: list[str] = []
    options = FaceEditorOptions(model="mesh", head_yaw=0.5, mouth_grim=-0.2, mouth_smile=0.5)
    FaceEditor().prepare(run_of(notices), options)
    assert len(notices) == 1
    assert "face_editor_mouth_grim, face_editor_head_yaw" in notices[0]
    assert "smile" not in notices[0]
    notices.clear()
    FaceEditor().prepare(run_of(notices), FaceEditorOptions(model="mesh", mouth_smile=0.5))
    assert notices == []


def test_every_slider_is_in_range_and_every_family_is_a_choice() -> None:
    with pytest.raises(OptionError, match="from -1 to 1"):
        build(FaceEditorOptions, {"face_editor_mouth_smile": 1.2})
    assert FaceEditor().models(FaceEditorOptions(model="mesh")) == ()
    for model in ("live_portrait", "mesh"):
        options: Any = FaceEditorOptions(model=model)
        if model not in FAMILIES:
            with pytest.raises(ModelMissing, match="choose mesh"):
                FaceEditor().prepare(run_of(), options)
