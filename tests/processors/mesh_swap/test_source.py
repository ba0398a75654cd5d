from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from mien.faces.canonical import canonical
from mien.processors.mesh_swap.source import CELLS, SourceFace, closest, prepare_source
from mien.types import Pose

from . import faces


def prepared(yaw: float = 0.0) -> tuple[SourceFace, SourceFace]:
    points = faces.mesh(yaw=yaw)
    pair = prepare_source(faces.picture(points), points)
    assert pair is not None
    return pair


def test_mirrored_source_is_the_mirror_image() -> None:
    straight, mirrored = prepared(20.0)
    assert mirrored.mirrored
    assert mirrored.pose.yaw == pytest.approx(-straight.pose.yaw, abs=0.5)
    assert mirrored.shape[:, 0] == pytest.approx(-straight.shape[canonical().mirror, 0], abs=3.0)
    point = mirrored.points[33, :2].round().astype(int)
    own = straight.points[263, :2].round().astype(int)
    colours = [
        face.versions[0].pixels[y - 2 : y + 3, x - 2 : x + 3]
        for face, (x, y) in ((mirrored, point), (straight, own))
    ]
    assert np.abs(colours[0].mean((0, 1)) - colours[1].mean((0, 1))).max() < 12


def test_versions_halve_down_to_64_and_double_up() -> None:
    face = prepared()[0]
    levels = sorted(face.versions)
    sizes = [min(face.versions[level].pixels.shape[:2]) for level in levels]
    assert levels[0] == -2
    assert sizes[-1] <= 64 < sizes[-2]
    assert all((a + 1) // 2 == b for a, b in pairwise(sizes))


def test_every_version_shows_the_same_place() -> None:
    face = prepared()[0]
    x, y = face.points[469, :2]
    for level, version in face.versions.items():
        if level < 2:
            column, row = ((place + 0.5) * version.scale - version.edge for place in (x, y))
            luma = version.pixels[..., 0].astype(np.float32)
            around = cv2.getRectSubPix(luma, (3, 3), (float(column), float(row)))
            assert around.mean() < 80, level


def test_far_side_is_not_seen() -> None:
    face = prepared(45.0)[0]
    oval = canonical().groups["oval"]
    far = oval[face.points[oval, 0] < face.points[oval, 0].mean() - 40]
    assert face.seen[far].mean() < 0.4 < face.seen[[4, 5, 195]].mean()


def test_hair_over_the_forehead_is_not_carried_over() -> None:
    points = faces.mesh()
    image = faces.picture(points)
    brow = int(points[canonical().groups["brow_left"], 1].min())
    image[: brow - 6] = (20, 30, 40)
    plain, fringe = prepared()[0], prepare_source(image, points)
    assert fringe is not None
    row = slice(int(0.08 * CELLS), int(0.14 * CELLS))
    middle = slice(CELLS // 3, 2 * CELLS // 3)
    assert fringe[0].alpha[row, middle].mean() < 0.2 < 0.8 < plain.alpha[row, middle].mean()


def test_points_that_the_picture_cuts_off_are_not_used() -> None:
    points = faces.mesh(center=(20.0, 150.0))
    pair = prepare_source(faces.picture(points), points)
    assert pair is not None
    assert (pair[0].seen[:474][points[:, 0] < -1] == 0).all()


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_no_source_from_a_broken_mesh(broken: float) -> None:
    points = faces.mesh()
    points[10, 1] = broken
    assert prepare_source(faces.picture(faces.mesh()), points) is None


def test_no_source_from_coinciding_points_or_outside() -> None:
    image = faces.picture(faces.mesh())
    assert prepare_source(image, np.full((474, 3), 100.0, np.float32)) is None
    assert prepare_source(image, faces.mesh(center=(-900.0, 0.0))) is None


def test_closest_head_pose_is_chosen_and_kept() -> None:
    frontal, _ = prepared()
    turned, turned_mirror = prepared(30.0)
    everything = (frontal, turned, turned_mirror)
    assert closest(everything, Pose(2, 0, 0)) is frontal
    assert closest(everything, Pose(28, 0, 0)) is turned
    assert closest(everything, Pose(-28, 0, 0)) is turned_mirror
    assert closest(everything, Pose(17, 0, 0), frontal) is frontal, "not enough nearer to change"
    assert closest(everything, Pose(24, 0, 0), frontal) is turned


def test_very_large_sources_are_made_smaller() -> None:
    points = faces.mesh(2600.0, (1300.0, 1250.0))
    pair = prepare_source(faces.picture(points, 2600, 2600, noise=0.0), points)
    assert pair is not None
    assert max(pair[0].size) == 2048
    x, y = pair[0].points[469, :2].round().astype(int)
    assert pair[0].versions[0].pixels[y, x, 0] < 60
    assert min(pair[0].versions) == 0
