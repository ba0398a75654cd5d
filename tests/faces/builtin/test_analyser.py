"""Still pictures on the real networks: turned, mirrored, many, small, none; and the choice of an analyser."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest

from mien.errors import OptionError
from mien.faces.analyser import make_analyser
from mien.faces.builtin.analyser import BuiltinAnalyser
from mien.faces.builtin.blazeface import turned
from mien.faces.options import DetectorOptions, LandmarkerOptions
from mien.options import Options
from mien.types import Box, Frame


def with_options(analyser: BuiltinAnalyser, **detector: object) -> BuiltinAnalyser:
    options = DetectorOptions.model_validate(detector)
    return BuiltinAnalyser(analyser.store, analyser.runtime, detector=options)


def collage(astronaut: Frame, hopper: Frame) -> Frame:
    """Six portraits, some mirrored."""
    a, h = cv2.resize(astronaut, (240, 240)), cv2.resize(hopper[:512], (240, 240))
    rows = [np.hstack([a, h, a[:, ::-1]]), np.hstack([h[:, ::-1], a, h])]
    return np.vstack(rows).astype(np.uint8)


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_portraits_in_all_quarter_turns(
    analyser: BuiltinAnalyser, astronaut: Frame, hopper: Frame, angle: int
) -> None:
    for portrait in (astronaut, hopper):
        height, width = portrait.shape[:2]
        upright = analyser.faces(portrait)[0]
        (face,) = analyser.faces(turned(portrait, angle))
        assert face.angle == (360 - angle) % 360
        assert face.pose is not None
        assert upright.pose is not None
        assert (face.pose.yaw, face.pose.pitch) == pytest.approx(
            (upright.pose.yaw, upright.pose.pitch), abs=2.5
        )
        x, y = face.landmarks.five_of_68.T
        back = {
            0: (x, y),
            90: (width - 1 - y, x),
            180: (width - 1 - x, height - 1 - y),
            270: (y, height - 1 - x),
        }
        distance = np.linalg.norm(np.stack(back[angle], 1) - upright.landmarks.five_of_68, axis=1)
        assert distance.max() < 0.04 * upright.box.height


def test_a_mirrored_portrait(analyser: BuiltinAnalyser, hopper: Frame) -> None:
    face, mirrored = analyser.faces(hopper)[0], analyser.faces(np.ascontiguousarray(hopper[:, ::-1]))[0]
    assert mirrored.pose is not None
    assert face.pose is not None
    assert mirrored.pose.roll == pytest.approx(-face.pose.roll, abs=1.5)
    width = hopper.shape[1]
    assert mirrored.box.x1 == pytest.approx(width - face.box.x2, abs=0.03 * face.box.width)


def test_six_faces(analyser: BuiltinAnalyser, astronaut: Frame, hopper: Frame) -> None:
    faces = analyser.faces(collage(astronaut, hopper))
    assert len(faces) == 6
    tiles = {(int(face.box.center[0] // 240), int(face.box.center[1] // 240)) for face in faces}
    assert len(tiles) == 6
    assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)
    assert all(face.track is None and face.observed and face.angle == 0 for face in faces)


@pytest.mark.parametrize("size", [70, 45])
def test_small_faces(analyser: BuiltinAnalyser, astronaut: Frame, size: int) -> None:
    """Faces of 5.4 % and 3.5 % of the long side."""
    scene = np.full((720, 1280, 3), 90, np.uint8)
    side = round(size / 0.213)
    scene[200 : 200 + side, 500 : 500 + side] = cv2.resize(
        astronaut, (side, side), interpolation=cv2.INTER_AREA
    )
    (face,) = analyser.faces(scene)
    expected = Box(500 + side * 0.35, 200 + side * 0.133, 500 + side * 0.534, 200 + side * 0.346)
    assert face.box.iou(expected) > 0.7


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (400, 600)])
def test_no_face(analyser: BuiltinAnalyser, shape: tuple[int, int]) -> None:
    assert analyser.faces(np.zeros((*shape, 3), np.uint8)) == ()
    noise = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    assert analyser.faces(noise) == ()


def test_all_named_turns_are_put_together(analyser: BuiltinAnalyser, astronaut: Frame, hopper: Frame) -> None:
    upright, lying = cv2.resize(astronaut, (300, 300)), turned(cv2.resize(hopper[:512], (300, 300)), 90)
    mixed = np.hstack([upright, lying]).astype(np.uint8)
    faces = with_options(analyser, angles=(0, 90, 180, 270)).faces(mixed)
    assert sorted((face.box.x1 > 300, face.angle) for face in faces) == [(False, 0), (True, 270)]


def test_a_margin_moves_nothing(analyser: BuiltinAnalyser, astronaut: Frame) -> None:
    plain = analyser.faces(astronaut)[0].box
    wide = with_options(analyser, margin=(10, 0, 0, 40)).faces(astronaut)[0].box
    assert wide.iou(plain) > 0.93


def test_the_scores_that_are_asked_for(analyser: BuiltinAnalyser, astronaut: Frame) -> None:
    assert with_options(analyser, score=1.0).faces(astronaut) == ()
    blurred = cv2.GaussianBlur(astronaut, (0, 0), 7)
    assert len(with_options(analyser, score=0.1).faces(blurred)) >= len(analyser.faces(blurred))


def test_many_threads_see_the_same(analyser: BuiltinAnalyser, astronaut: Frame, hopper: Frame) -> None:
    pictures = [astronaut, hopper] * 3
    expected = [analyser.faces(picture)[0].box for picture in pictures]
    with ThreadPoolExecutor(3) as pool:
        assert [faces[0].box for faces in pool.map(analyser.faces, pictures)] == expected


def choose(**groups: Options) -> Callable[[type[Options]], Any]:
    given = {type(group): group for group in groups.values()}
    return lambda group: given.get(group, group())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (DetectorOptions(model="retinaface"), "face_detector_model retinaface"),
        (LandmarkerOptions(model="peppa_wutz"), "face_landmarker_model peppa_wutz"),
    ],
)
def test_a_named_model_that_cannot_be_run_is_refused(
    analyser: BuiltinAnalyser, options: Options, named: str
) -> None:
    with pytest.raises(OptionError, match=named):
        make_analyser(analyser.store, analyser.runtime, choose(a=options))


def test_the_builtin_analyser_is_used_unless_another_is_named(analyser: BuiltinAnalyser) -> None:
    made = make_analyser(analyser.store, analyser.runtime, choose())
    assert made.models() == ("blazeface_full", "face_mesh", "iris")
    named = choose(a=DetectorOptions(model="blazeface", score=0.7), b=LandmarkerOptions(model="mesh"))
    made = make_analyser(analyser.store, analyser.runtime, named)
    assert isinstance(made, BuiltinAnalyser)
    assert made.detector_options.score == 0.7
