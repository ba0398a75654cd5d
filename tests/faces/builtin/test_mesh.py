from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from mien.faces.builtin.analyser import BuiltinAnalyser
from mien.faces.builtin.blazeface import Detection
from mien.faces.builtin.iris import EyeModel, eye_region, far_eye_trust, iris_points
from mien.faces.builtin.mesh import MeshModel, region_of_detection, region_of_mesh
from mien.faces.builtin.region import Region, crop, place, region_of_points
from mien.faces.canonical import EYE_CORNERS, IRIS_POINTS, canonical
from mien.types import Box, Frame, Points
from tests.faces.conftest import StubSession


def front(scale: float = 0.1, at: tuple[float, float] = (200, 150)) -> Points:
    """The mean face, drawn into a frame."""
    return (canonical().points * scale + [*at, 0]).astype(np.float32)


def picture(width: int = 400, height: int = 300) -> Frame:
    """Smooth waves, different in each channel."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [np.sin(x / 23 + k) + np.cos(y / 31 - k) for k in range(3)]
    return np.clip(np.stack(waves, axis=-1) * 60 + 128, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, -3.0])
def test_points_of_a_crop_go_back_to_where_their_pixels_came_from(angle: float, mirrored: bool) -> None:
    image, region = picture(), Region(190, 160, 120, angle, mirrored)
    patch = crop(image, region, 64)
    spots = np.asarray([[10, 12], [32, 40], [60, 5]], np.float32)
    for (x, y), (u, v) in zip(place(spots, region, 64), spots.astype(int), strict=True):
        there = cv2.getRectSubPix(image, (1, 1), (float(x), float(y)))[0, 0, ::-1] / 255
        np.testing.assert_allclose(patch[v, u], there, atol=0.02)


def test_a_crop_is_rgb_between_0_and_1_and_repeats_the_rim() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    image[:] = (255, 0, 51)
    patch = crop(image, Region(0, 0, 60, 0), 32)
    np.testing.assert_allclose(patch, np.broadcast_to([0.2, 0, 1], (32, 32, 3)), atol=1e-6)


def test_large_regions_are_averaged_down_without_moving() -> None:
    """A fine checkerboard turns grey instead of flickering, and a smooth picture looks the same."""
    image = np.indices((1200, 1200)).sum(0) % 2 * 255
    noisy = np.repeat(image[:, :, None], 3, axis=2).astype(np.uint8)
    patch = crop(noisy, Region(600, 600, 1000, 0.1), 192)
    np.testing.assert_allclose(patch, 0.5, atol=0.15)
    smooth = cv2.resize(picture(), (1200, 900), interpolation=cv2.INTER_CUBIC)
    region = Region(610, 430, 800, 0.3)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    plain = cv2.warpAffine(
        smooth, region.matrix(192), (192, 192), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    assert np.abs(crop(smooth, region, 192) - plain[:, :, ::-1] / 255).mean() < 0.002


@pytest.mark.parametrize("place_", [(-900, -900), (5000, 10), (0, 0)])
def test_regions_beyond_the_frame_can_be_cropped(place_: tuple[float, float]) -> None:
    for shape in ((1, 1, 3), (40, 60, 3)):
        patch = crop(np.full(shape, 80, np.uint8), Region(*place_, 700, 0.2), 192)
        np.testing.assert_allclose(patch, 80 / 255, atol=1e-6)


def test_z_is_scaled_like_x() -> None:
    moved = place(np.asarray([[96, 96, 10]], np.float32), Region(50, 60, 384, 1.0), 192)
    np.testing.assert_allclose(moved, [[50, 60, 20]], atol=1e-4)


def test_region_of_points_turns_with_them() -> None:
    square = np.asarray([[0, 0], [10, 0], [10, 4], [0, 4]], np.float32)
    c, s = math.cos(0.5), math.sin(0.5)
    region = region_of_points(square @ np.array([[c, s], [-s, c]], np.float32), 0.5, 1.5)
    assert (region.x, region.y) == pytest.approx((c * 5 - s * 2, s * 5 + c * 2), abs=1e-5)
    assert region.side == pytest.approx(15, abs=1e-4)


def test_regions_of_detections_and_meshes() -> None:
    points = np.asarray([[10, 10], [20, 20], *([[0, 0]] * 4)], np.float32)
    region = region_of_detection(Detection(Box(0, 0, 40, 20), 0.9, points))
    assert (region.x, region.y, region.side) == (20, 10, 60)
    assert region.angle == pytest.approx(math.pi / 4)
    mesh = region_of_mesh(front())
    assert mesh.side == pytest.approx(1.5 * 242.1, abs=0.01)
    assert (mesh.x, mesh.angle) == pytest.approx((200, 0), abs=1e-3)


def test_a_look_reads_points_and_presence_in_either_order() -> None:
    raw = np.arange(1404, dtype=np.float32).reshape(1, 1, 1, 1404) % 192
    for outputs in ((raw, np.full((1, 1, 1, 1), 2.0)), (np.full((1, 1, 1, 1), 2.0), raw)):
        session = StubSession(*outputs)
        points, presence = MeshModel(session, None).look(picture(), Region(100, 100, 192, 0))
        assert session.fed[0].shape == (1, 192, 192, 3)
        assert session.fed[0].dtype == np.float32
        assert presence == pytest.approx(1 / (1 + math.exp(-2)))
        np.testing.assert_allclose(points, raw.reshape(468, 3) + [4, 4, 0], atol=1e-3)


@pytest.mark.parametrize(("points", "logit"), [(front(0.05, (96, 96)), -1.0), (np.zeros((468, 3)), 9.0)])
def test_no_face_is_no_mesh(points: Points, logit: float) -> None:
    model = MeshModel(StubSession(points.reshape(1, -1), np.full((1, 1), logit)), None)
    detection = Detection(Box(50, 50, 150, 150), 0.9, np.zeros((6, 2), np.float32))
    assert model.still(picture(), detection) is None
    assert model.follow(picture(), Region(100, 100, 192, 0)) is None


def test_without_the_eye_network_eyes_look_ahead() -> None:
    session = StubSession(front(0.05, (96, 96)).reshape(1, -1), np.full((1, 1), 9.0))
    mesh = MeshModel(session, None).follow(picture(), Region(96, 96, 192, 0))
    assert mesh is not None
    assert mesh.points.shape == (474, 3)
    assert mesh.pose.yaw == pytest.approx(0, abs=0.01)
    assert len(session.fed) == 1


@pytest.mark.parametrize(
    ("side", "yaw", "trust"),
    [
        ("left", 20, 1),
        ("left", 40, 0.5),
        ("left", 50, 0),
        ("left", -60, 1),
        ("right", -40, 0.5),
        ("right", 60, 1),
    ],
)
def test_the_far_eye_is_trusted_less(side: str, yaw: float, trust: float) -> None:
    assert far_eye_trust(side, yaw) == pytest.approx(trust)


def test_eye_regions() -> None:
    left, right = eye_region(front(), "left"), eye_region(front(), "right")
    width = np.linalg.norm(front()[33, :2] - front()[133, :2])
    assert (left.side, right.side) == pytest.approx((2.3 * width, 2.3 * width), rel=1e-5)
    assert (left.mirrored, right.mirrored) == (False, True)
    assert left.angle == pytest.approx(-right.angle, abs=1e-5)


def eye_answer(lift: float) -> StubSession:
    """An eye network that sees the mean face's own eye points, lifted by some crop pixels, and a centred iris."""
    data = canonical()
    region = eye_region(front(), "left")
    inverse = np.linalg.inv(np.vstack([region.matrix(64), [0, 0, 1]]))[:2]
    lids = front()[data.groups["eye71"], :2] @ inverse[:, :2].T + inverse[:, 2] - [0, lift]
    iris = np.asarray([[32, 32], [38, 32], [32, 26], [26, 32], [32, 38]])
    flat = [np.column_stack([part, np.zeros(len(part))]).reshape(1, -1) for part in (lids, iris)]
    return StubSession(*flat)


@pytest.mark.parametrize(("yaw", "left", "right"), [(0, 1, 1), (40, 0.5, 1), (-40, 1, 0.5), (60, 0, 1)])
def test_refined_points_move_by_the_trust_on_both_sides(yaw: float, left: float, right: float) -> None:
    data, lift = canonical(), 3.0
    session = eye_answer(lift)
    mesh = EyeModel(session).refine(picture(), front(), yaw)
    step = lift * eye_region(front(), "left").side / 64
    moved = front()[:, 1] - mesh[:468, 1]
    eye71 = data.groups["eye71"]
    np.testing.assert_allclose(moved[eye71].mean(), left * step, atol=0.05)
    np.testing.assert_allclose(moved[data.mirror[eye71]].mean(), right * step, atol=0.05)
    others = np.setdiff1d(np.arange(468), [*eye71, *data.mirror[eye71]])
    np.testing.assert_array_equal(mesh[others], front()[others])
    np.testing.assert_array_equal(mesh[:468, 2], front()[:, 2])
    assert len(session.fed) == (left > 0) + (right > 0)


@pytest.mark.parametrize("side", ["left", "right"])
def test_iris_points_stay_inside_the_opening(side: str) -> None:
    mesh = front()
    outer, inner = (mesh[index, :2] for index in EYE_CORNERS[side])
    width = np.linalg.norm(inner - outer)
    axis = (inner - outer) / width
    for centre, radius in (((0.5, 0.0), 0.2), ((-3.0, 0.0), 0.2), ((4.0, 2.0), 0.9), ((0.5, -2.0), 0.0)):
        middle = outer + axis * width * centre[0] + np.array([-axis[1], axis[0]]) * width * centre[1]
        around = [
            middle + radius * width * np.array([math.cos(a), math.sin(a)]) for a in np.arange(4) * math.pi / 2
        ]
        rim, mid, far = iris_points(mesh, side, np.asarray([middle, *around], np.float32))
        along = [float((point[:2] - outer) @ axis) / width for point in (rim, mid, far)]
        assert along[0] < along[1] < along[2]
        assert 0.219 <= along[1] <= 0.781
        assert along[0] > 0
        assert along[2] < 1
        assert 0.099 <= along[1] - along[0] <= 0.261
        contour = np.ascontiguousarray(mesh[canonical().groups[f"eye_{side}"], :2])
        for point in (rim, mid, far):
            spot = (float(point[0]), float(point[1]))
            assert cv2.pointPolygonTest(contour, spot, True) > -0.01
        assert mid[2] == pytest.approx(mesh[canonical().groups[f"eye_{side}"], 2].mean())


def test_a_closed_eye_keeps_its_iris_on_the_lid_line() -> None:
    mesh = front()
    contour = canonical().groups["eye_left"]
    upper, lower = contour[9:], contour[1:8][::-1]
    mesh[upper, :2] = mesh[lower, :2]
    points = iris_points(mesh, "left", np.tile(mesh[159, :2] - [0, 20], (5, 1)).astype(np.float32))
    for point in points:
        nearest = np.interp(point[0], *mesh[contour[:9], :2].T)
        assert point[1] == pytest.approx(nearest, abs=0.2)


def test_the_iris_lies_on_the_pupil(analyser: BuiltinAnalyser, astronaut: Frame) -> None:
    """Pupils of the portrait, read off by eye."""
    mesh = analyser.faces(astronaut)[0].landmarks.mesh
    assert mesh is not None
    centres = mesh[[IRIS_POINTS["left"][1], IRIS_POINTS["right"][1]], :2]
    assert np.abs(centres - [(203, 101), (246, 103.5)]).max() < 2.5
