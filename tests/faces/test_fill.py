from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.faces.analyser import Observed
from mien.faces.canonical import canonical
from mien.faces.fill import between, fill
from mien.faces.views import landmarks_of_mesh
from mien.types import Face, Pose
from tests.faces.conftest import make_face


def clip(*tracks: tuple[float | None, ...], cut: int | None = None) -> list[Observed | None]:
    """One observation a frame; a track is a row of x positions, None where the face was not seen."""
    frames: list[Observed | None] = []
    for index, row in enumerate(zip(*tracks, strict=True)):
        faces = [
            make_face((x, 0, x + 10, 10), track=number) for number, x in enumerate(row, 1) if x is not None
        ]
        frames.append(Observed(tuple(faces), cut=index == cut, index=index))
    return frames


def places(faces: tuple[Face, ...]) -> list[tuple[int | None, float, bool]]:
    return [(face.track, face.box.x1, face.observed) for face in faces]


def test_seen_faces_stay_as_they_are() -> None:
    frames = clip((0, 1, 2))
    assert frames[1] is not None
    assert fill(frames, 1) == frames[1].faces


def test_a_gap_is_bridged_in_a_straight_line() -> None:
    frames = clip((0, None, None, None, 40))
    assert [places(fill(frames, index)) for index in (1, 2, 3)] == [
        [(1, 10, False)],
        [(1, 20, False)],
        [(1, 30, False)],
    ]


def test_other_faces_come_first() -> None:
    frames = clip((0, None, 20), (100, 100, 100))
    assert places(fill(frames, 1)) == [(2, 100, True), (1, 10, False)]


def test_the_ends_of_a_track_are_held_for_a_while_only() -> None:
    frames = clip((None, None, None, 5, None, None, None))
    held = [bool(fill(frames, index, hold=2)) for index in range(7)]
    assert held == [False, True, True, True, True, True, False]
    assert not any(fill(frames, index) for index in (2, 4))
    assert places(fill(frames, 2, hold=2)) == [(1, 5, False)]


@pytest.mark.parametrize("cut", [2, 3])
def test_nothing_is_filled_in_across_a_cut(cut: int) -> None:
    frames = clip((0, None, None, None, 40), cut=cut)
    assert places(fill(frames, cut - 1, hold=1)) == ([(1, 0, False)] if cut == 2 else [])
    assert places(fill(frames, cut, hold=1)) == ([] if cut == 2 else [(1, 40, False)])


def test_frames_beyond_the_clip_are_empty() -> None:
    frames: list[Observed | None] = [None, *clip((0, None)), None]
    assert places(fill(frames, 2, hold=1)) == [(1, 0, False)]
    assert fill([None, None, None], 1, hold=1) == ()


def test_a_held_face_gives_way_to_a_seen_one_at_its_place() -> None:
    frames = clip((0, None), (None, 1))
    assert places(fill(frames, 1, hold=5)) == [(2, 1, True)]


def test_filled_faces_are_not_filled_from() -> None:
    frames = clip((0, None, None))
    ghost = replace(make_face((50, 0, 60, 10), track=1), observed=False)
    frames[2] = Observed((ghost,))
    assert fill(frames, 1) == ()


def test_everything_about_a_face_is_interpolated() -> None:
    mesh = canonical().points_full
    first = replace(
        make_face((0, 0, 10, 10)), landmarks=landmarks_of_mesh(mesh), pose=Pose(10, 0, 170), score=0.9
    )
    second = replace(
        make_face((10, 20, 30, 40)),
        landmarks=landmarks_of_mesh(mesh + 100),
        pose=Pose(20, 4, -150),
        score=0.6,
    )
    face = between(first, second, 0.75)
    assert face.box.as_tuple() == (7.5, 15, 25, 32.5)
    assert face.pose is not None
    assert (face.pose.yaw, face.pose.pitch, face.pose.roll) == (17.5, 3, -160)
    assert face.angle == 180
    assert face.score == 0.6
    assert not face.observed
    assert face.landmarks.mesh is not None
    np.testing.assert_allclose(face.landmarks.mesh, mesh + 75, atol=1e-3)
    np.testing.assert_allclose(face.landmarks.five, first.landmarks.five + 75, atol=1e-3)
    assert between(first, second, 0.25).score == 0.9
    assert between(replace(first, pose=None), second, 0.5).pose is None
