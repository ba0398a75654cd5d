from __future__ import annotations

from dataclasses import replace
from typing import Any, cast, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import OptionError
from mien.faces.masks import Masker
from mien.faces.options import MaskOptions
from mien.options import build
from mien.processors.face_debugger import FaceDebugger, FaceDebuggerOptions, Item
from mien.processors.face_drawing import CYAN, GREEN, LIGHT_RED, ORANGE, RED, Drawing, outline_masker, stroke
from mien.types import Box, Face, Frame, Landmarks, Pose
from tests.processors.faces_made import frame_of, made_face, noise, run_of

ITEMS: tuple[Item, ...] = get_args(Item)


def blank(height: int = 300, width: int = 300) -> Frame:
    return np.zeros((height, width, 3), np.uint8)


def drawn(image: Frame, *faces: Face, items: tuple[Item, ...], masks: MaskOptions | None = None) -> Frame:
    frame = frame_of(image, *faces)
    run = run_of(groups=(masks,) if masks else ())
    FaceDebugger().process(frame, FaceDebugger().prepare(run, FaceDebuggerOptions(items=items)))
    return frame.image


def colors(image: Frame) -> set[tuple[int, ...]]:
    return {tuple(color) for color in np.unique(image.reshape(-1, 3), axis=0).tolist()} - {(0, 0, 0)}


def detector_face(**changes: Any) -> Face:
    """A face whose five points are the detector's own, so that no set equals another."""
    face = replace(made_face(150, 130, 150, track=7), pose=Pose(10, -5, 3))
    points = face.landmarks
    return replace(
        face,
        landmarks=Landmarks(
            points.five_of_68 + 1, points.five_of_68, points.sixty_eight, points.sixty_eight + 1, points.mesh
        ),
        **changes,
    )


@pytest.mark.parametrize("item", ITEMS)
def test_each_item_draws_near_the_face_and_nothing_else(item: Item) -> None:
    face = detector_face()
    image = drawn(blank(), face, items=(item,))
    rows, columns = np.nonzero(image.any(axis=2))
    assert len(rows) > 4
    near = face.box.expanded(0.8)
    assert rows.min() >= near.y1
    assert rows.max() <= near.y2
    assert columns.min() >= near.x1 - 60
    assert columns.max() <= near.x2 + 60


@pytest.mark.parametrize(
    ("item", "color"),
    [
        ("bounding-box", {RED, LIGHT_RED}),
        ("face-mask", {GREEN}),
        ("face-landmark-5", {RED}),
        ("face-landmark-5/68", {GREEN}),
        ("face-landmark-68", {GREEN}),
        ("face-landmark-68/5", {CYAN}),
    ],
)
def test_colours_tell_what_is_drawn(item: Item, color: set[tuple[int, ...]]) -> None:
    assert colors(drawn(blank(), detector_face(), items=(item,))) == color
    if item != "bounding-box":
        assert colors(drawn(blank(), detector_face(observed=False), items=(item,))) == {ORANGE}


def test_points_that_are_only_derived_are_cyan() -> None:
    face = detector_face()
    points = face.landmarks
    same = Landmarks(
        points.five_of_68, points.five_of_68, points.sixty_eight, points.sixty_eight, points.mesh
    )
    for item in ("face-landmark-5/68", "face-landmark-68", "face-mask"):
        assert colors(drawn(blank(), replace(face, landmarks=same), items=(item,))) == {CYAN}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("angle", "place"), [(0, (0, 0.5)), (90, (0.5, 1)), (180, (1, 0.5)), (270, (0.5, 0))]
)
def test_a_line_marks_the_top_of_the_head(angle: int, place: tuple[float, float]) -> None:
    face = replace(detector_face(), box=Box(50, 60, 150, 200), angle=angle)
    image = drawn(blank(), face, items=("bounding-box",))
    assert tuple(image[round(60 + 140 * place[0]), round(50 + 100 * place[1])].tolist()) == LIGHT_RED


@pytest.mark.parametrize(("height", "width"), [(1, 1), (270, 1), (405, 2), (1080, 4), (9000, 10)])
def test_strokes_grow_with_the_frame(height: int, width: int) -> None:
    assert stroke(np.zeros((height, 2, 3), np.uint8)) == width


def test_the_mask_follows_padding_and_areas() -> None:
    def extent(masks: MaskOptions) -> tuple[int, int]:
        rows, columns = np.nonzero(
            drawn(blank(), detector_face(), items=("face-mask",), masks=masks).any(axis=2)
        )
        return int(np.ptp(rows)), int(np.ptp(columns))

    whole = extent(MaskOptions())
    padded = extent(MaskOptions(padding=(0, 25, 0, 25)))
    mouth = extent(MaskOptions(types=("box", "area"), areas=("mouth",)))
    assert padded[1] == pytest.approx(0.5 * whole[1], abs=4)
    assert padded[0] == pytest.approx(whole[0], abs=3)
    assert mouth[0] < 0.4 * whole[0]


def test_masks_of_networks_are_drawn_too() -> None:
    """An occluder that sees the left half, and a parser that finds skin in the upper half of the crop."""

    class Left:
        def visible(self, crop: Frame) -> Any:
            mask = np.zeros(crop.shape[:2], np.float32)
            mask[:, : crop.shape[1] // 2] = 1
            return mask

    class Upper:
        def inside(self, crop: Frame, classes: Any) -> Any:
            mask = np.zeros((512, 512), bool)
            mask[:256] = True
            return mask

    def extent(*types: str) -> tuple[int, int]:
        masker = Masker(
            types=types, blur=0.0, occluders=lambda: (cast(Any, Left()),), parser=cast(Any, Upper)
        )
        frame = frame_of(blank(), detector_face())
        FaceDebugger().process(frame, Drawing(("face-mask",), masker))
        rows, columns = np.nonzero(frame.image.any(axis=2))
        return int(np.ptp(rows)), int(np.ptp(columns))

    whole, left, upper = extent("box"), extent("occlusion"), extent("region")
    assert left[1] < 0.6 * whole[1]
    assert left[0] > 0.9 * whole[0]
    assert upper[0] < 0.6 * whole[0]
    assert upper[1] > 0.9 * whole[1]


def test_faces_are_drawn_where_they_are_in_a_frame_of_another_size() -> None:
    frame = frame_of(blank(), detector_face())
    frame.image = blank(600, 600)
    FaceDebugger().process(frame, Drawing(("face-landmark-5",), outline_masker(MaskOptions())))
    small = drawn(blank(), detector_face(), items=("face-landmark-5",))
    centers = [np.argwhere(image.any(axis=2)).mean(axis=0) for image in (frame.image, small)]
    assert centers[0] == pytest.approx(centers[1] * 2, abs=2)


def test_numbers_stay_inside_the_frame() -> None:
    high = replace(detector_face(), box=Box(-40, -30, 60, 90))
    image = drawn(blank(), high, items=("track-id", "presence", "head-pose"))
    assert image.max() > 200
    low = replace(high, box=Box(250, 250, 400, 400))
    assert drawn(blank(), low, items=("presence",))[230:].max() > 200


def test_what_is_not_known_is_left_out() -> None:
    face = detector_face()
    bare = replace(face, landmarks=replace(face.landmarks, mesh=None), pose=None, track=None)
    assert not drawn(blank(), bare, items=("face-mesh", "iris", "head-pose", "track-id")).any()


def test_only_selected_faces_are_drawn() -> None:
    frame = frame_of(blank(), detector_face(), selected=())
    FaceDebugger().process(frame, Drawing(ITEMS, outline_masker(MaskOptions())))
    assert not frame.image.any()


@settings(max_examples=50, deadline=None)
@given(
    size=st.tuples(st.integers(1, 100), st.integers(1, 100)),
    place=st.tuples(st.floats(-300, 300), st.floats(-300, 300)),
    height=st.floats(0, 500),
    roll=st.floats(-180, 180),
    yaw=st.floats(-90, 90),
)
def test_any_face_in_any_frame(
    size: tuple[int, int], place: tuple[float, float], height: float, roll: float, yaw: float
) -> None:
    image = drawn(noise(*size), made_face(*place, height, roll=roll, yaw=yaw, track=3), items=ITEMS)
    assert image.shape == (*size, 3)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -1e30, 0.0])
def test_broken_measurements_are_not_drawn(broken: float) -> None:
    points = {name: np.full((count, 2), broken, np.float32) for name, count in (
        ("five", 5), ("five_of_68", 5), ("sixty_eight", 68), ("sixty_eight_of_five", 68))}  # fmt: skip
    landmarks = Landmarks(**points, mesh=np.full((474, 3), broken, np.float32))
    face = Face(Box(broken, broken, broken, broken), 0.5, landmarks)
    image = drawn(blank(), face, items=tuple(item for item in ITEMS if "landmark" in item or "mask" in item))
    assert not image.any()
    assert drawn(blank(), face, items=ITEMS).shape == (300, 300, 3)


def test_unknown_items_are_refused() -> None:
    with pytest.raises(OptionError, match="face_debugger_items"):
        build(FaceDebuggerOptions, {"face_debugger_items": ("nose",)})
    assert FaceDebuggerOptions().items == ("face-landmark-5/68", "face-mask")
