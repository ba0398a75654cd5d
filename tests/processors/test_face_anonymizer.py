from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import OptionError
from mien.faces.analyser import Observed
from mien.faces.fill import fill
from mien.options import build
from mien.processors.face_anonymizer import FaceAnonymizer, FaceAnonymizerOptions, Mode
from mien.processors.face_cover import FEATHER, UNSURE, Coverer, face_area
from mien.processors.face_region import Window, bounds, grown, outline, polygon_mask
from mien.types import Box, Face, Frame
from tests.processors.faces_made import frame_of, made_face, noise, run_of

MODES: tuple[Mode, ...] = get_args(Mode)


def anonymized(image: Frame, *faces: Face, **options: Any) -> Frame:
    frame = frame_of(image, *faces)
    state = Coverer(FaceAnonymizerOptions(**options))
    FaceAnonymizer().process(frame, state)
    return frame.image


def inside(face: Face, image: Frame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    height, width = image.shape[:2]
    return polygon_mask(outline(face), Window(0, 0, width, height), 0.01) == 1


def likeness(one: Frame, other: Frame, where: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    return float(np.corrcoef(one[where].ravel(), other[where].ravel())[0, 1])


@pytest.mark.parametrize("mode", MODES)
def test_what_is_covered_cannot_be_told_any_more(mode: Mode) -> None:
    image, face = noise(240, 240), made_face(120, 110, 150)
    where = inside(face, image)
    assert where.sum() > 8000
    covered = anonymized(image, face, mode=mode)
    if mode == "solid":
        assert not covered[where].any()
    else:
        # Of cells of 8 pixels in a face of 150, only the mean over many can be left.
        assert likeness(image, covered, where) < 0.35
        assert likeness(cv2.Laplacian(image, cv2.CV_32F), cv2.Laplacian(covered, cv2.CV_32F), where) < 0.1


def test_a_cover_reaches_beyond_the_face() -> None:
    image, face = noise(300, 300), made_face(150, 130, 120)
    changed = np.any(anonymized(image, face, mode="solid") != image, axis=2)
    rows, columns = np.nonzero(changed)
    box = bounds(outline(face))
    assert rows.max() - rows.min() >= 1.2 * box.height
    assert columns.max() - columns.min() >= 1.2 * box.width


def test_there_are_never_more_cells_than_asked_for() -> None:
    image, face = noise(300, 300), made_face(150, 130, 150)
    covered = anonymized(image, face, mode="pixelate", cells=10)
    column = covered[inside(face, image)[:, 150], 150].astype(int)
    assert len(column) > 140
    assert 3 < np.count_nonzero(np.abs(np.diff(column, axis=0)).sum(axis=1)) < 10


def test_cells_of_tiny_faces_are_not_finer_than_they_can_be_told() -> None:
    image, face = noise(40, 40, seed=3), made_face(20, 18, 14)
    where = inside(face, image)
    covered = anonymized(image, face, mode="pixelate", cells=10)
    assert len(np.unique(covered[where], axis=0)) <= 25


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    place=st.tuples(st.floats(-150, 250), st.floats(-150, 250)),
    height=st.floats(0.01, 400),
    roll=st.floats(-180, 180),
    mode=st.sampled_from(MODES),
)
def test_any_face_in_any_frame(
    size: tuple[int, int], place: tuple[float, float], height: float, roll: float, mode: Mode
) -> None:
    image, face = noise(*size), made_face(*place, height, roll=roll)
    covered = anonymized(image, face, mode=mode, color=(255, 0, 255))
    assert covered.shape == image.shape
    assert covered.dtype == np.uint8
    area = grown(outline(face), 0.25)
    feather = max(FEATHER[mode] * bounds(area).height, 1.0)
    touched = polygon_mask(area, Window(0, 0, size[1], size[0]), feather) > 0
    assert (covered[~touched] == image[~touched]).all()
    if mode == "solid":
        assert (covered[inside(face, image)] == (255, 0, 255)).all()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e30])
def test_broken_landmarks_leave_the_box_covered(broken: float) -> None:
    face = made_face(100, 90, 100)
    points = face.landmarks
    bad = replace(points, sixty_eight=points.sixty_eight * broken, mesh=np.full((474, 3), broken, np.float32))
    covered = anonymized(noise(), replace(face, landmarks=bad), mode="solid")
    x, y = face.box.center
    assert not covered[int(y), int(x)].any()
    nothing = replace(face, landmarks=bad, box=Box(broken, broken, broken, broken))
    assert (anonymized(noise(), nothing, mode="solid") == noise()).all()


def test_all_faces_or_those_selected() -> None:
    one, other = made_face(60, 60, 60), made_face(150, 60, 60)
    image = noise()
    for faces, covers_other in (("all", True), ("selected", False)):
        frame = frame_of(image, one, other, selected=(one,))
        FaceAnonymizer().process(frame, Coverer(FaceAnonymizerOptions(faces=faces, mode="solid")))
        assert not frame.image[60, 60].any()
        assert (not frame.image[60, 150].any()) == covers_other


def clip(faces: list[tuple[Face, ...]], cuts: tuple[int, ...] = (), **options: Any) -> list[Frame]:
    processor, state = FaceAnonymizer(), Coverer(FaceAnonymizerOptions(mode="solid", **options))
    images = []
    for index, found in enumerate(faces):
        frame = frame_of(noise(), *found, time=index / 25, cut=index in cuts)
        processor.process(frame, state)
        images.append(frame.image)
    return images


def test_a_face_that_is_lost_stays_covered_where_it_was_heading() -> None:
    moving = [(made_face(60 + 4 * index, 90, 60, track=1),) for index in range(10)]
    images = clip([*moving, *[()] * 60])
    for gone in range(1, 12):
        x = 60 + 4 * (9 + gone)
        assert not images[9 + gone][75:120:9, x - 10 : x + 11 : 5].any(), gone
    assert (images[-1] == noise()).all()
    assert (clip([*moving, *[()] * 20], hold=0)[11] == noise()).all()


@settings(max_examples=15, deadline=None)
@given(
    found=st.lists(st.booleans(), min_size=12, max_size=40).filter(any),
    speed=st.floats(-3, 3),
    start=st.floats(60, 140),
)
def test_no_frame_of_a_clip_leaks_however_often_the_face_is_lost(
    found: list[bool], speed: float, start: float
) -> None:
    faces = [made_face(start + speed * index, 90, 60, track=1) for index in range(len(found))]
    seen = [
        Observed((face,) if there else (), index=index)
        for index, (face, there) in enumerate(zip(faces, found, strict=True))
    ]
    ahead = FaceAnonymizer.lookahead
    # Only up to the hold after the last sighting: whether the face is still there then, nobody can know.
    last = max(index for index, there in enumerate(found) if there) + 12
    images = clip([fill(seen, index, hold=ahead) for index in range(len(seen))])
    gaps = [index for index in range(len(found)) if not any(found[max(index - ahead, 0) : index + ahead])]
    for index, (face, image) in enumerate(zip(faces[:last], images, strict=False)):
        between = any(found[:index]) or abs(speed) < 1
        if index not in gaps and between:
            core = inside(face, image) & inside(made_face(start + speed * index, 90, 42), image)
            assert not image[core].any(), index


def test_a_new_scene_forgets_the_faces_of_the_last() -> None:
    images = clip([(made_face(track=1),), (), ()], cuts=(2,))
    assert not images[1][90, 100].any()
    assert (images[2] == noise()).all()


@pytest.mark.parametrize("track", [1, None])
def test_a_face_that_goes_on_is_covered_once(track: int | None) -> None:
    face, moved = made_face(80, 90, 60, track=track), made_face(90, 90, 60, track=track)
    assert (clip([(face,), (moved,)])[1] == clip([(), (moved,)])[1]).all()


def test_another_face_does_not_take_the_cover_of_one_that_is_lost() -> None:
    images = clip([(made_face(60, 90, 60, track=1),), (made_face(150, 90, 60, track=2),)])
    assert not images[1][90, 60].any()
    assert not images[1][90, 150].any()


def test_a_face_that_was_filled_in_gets_a_larger_cover() -> None:
    seen, filled = bounds(face_area(made_face(), 0.25)), bounds(face_area(made_face(observed=False), 0.25))
    assert filled.width / seen.width == pytest.approx((1.25 + UNSURE) / 1.25, rel=1e-3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cells", 11),
        ("cells", 1),
        ("strength", 0.05),
        ("margin", 0.0),
        ("color", (1, 2)),
        ("color", (0, 0, 256)),
    ],
)
def test_settings_too_weak_or_wrong_are_refused(key: str, value: object) -> None:
    with pytest.raises(OptionError, match=f"face_anonymizer_{key}"):
        build(FaceAnonymizerOptions, {f"face_anonymizer_{key}": value})


def test_preparing_needs_nothing() -> None:
    options = FaceAnonymizerOptions()
    assert FaceAnonymizer().models(options) == ()
    assert FaceAnonymizer().prepare(run_of(), options).options is options
    assert FaceAnonymizer.sequential
    assert FaceAnonymizer.lookahead > 0


def test_options_can_be_read_without_heavy_libraries() -> None:
    names = ("face_anonymizer", "face_debugger", "face_editor", "background_remover")
    modules = ", ".join(f"mien.processors.{name}" for name in names)
    code = f"import sys, {modules}; sys.exit(any(name in sys.modules for name in ('numpy', 'cv2', 'av')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_part_of_a_video_begins_early_enough_to_know_whose_place_is_still_covered() -> None:
    assert FaceAnonymizer().warm_up(FaceAnonymizerOptions(), 25.0) == 50
    assert FaceAnonymizer().warm_up(FaceAnonymizerOptions(hold=0.5), 29.97) == 15
