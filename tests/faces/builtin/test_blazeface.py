from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mien.faces.builtin.blazeface import (
    BlazeFace,
    anchors,
    decode,
    detections_of,
    letterbox,
    merge,
    tile_boxes,
    turned,
    turned_back,
)
from mien.inference.runtime import Runtime
from mien.models.store import ModelStore
from mien.types import Frame
from tests.faces.conftest import StubSession


def rows(*items: tuple[float, float, float, float, float]) -> np.ndarray:
    """x1, y1, x2, y2, score with points all at the box's corner."""
    return np.asarray([[*box, *(box[:2] * 6), score] for *box, score in map(list, items)], np.float32)


def answer(index: int, numbers: list[float], logit: float = 4.0) -> StubSession:
    """A full-range network that sees one face, at one anchor."""
    boxes = np.zeros((1, 2304, 16), np.float32)
    boxes[0, index, : len(numbers)] = numbers
    logits = np.full((1, 2304, 1), -9.0, np.float32)
    logits[0, index] = logit
    return StubSession(boxes, logits)


def test_anchors() -> None:
    short, full = anchors("short"), anchors("full")
    assert short.shape == (896, 2)
    assert full.shape == (2304, 2)
    np.testing.assert_allclose(
        short[[0, 1, 2, 512, 518]], np.array([[1, 1], [1, 1], [3, 1], [2, 2], [6, 2]]) / 32
    )
    np.testing.assert_allclose(full[[0, 1, 48]] * 96, [[1, 1], [3, 1], [1, 3]], rtol=1e-6)


def test_letterbox_centres_the_picture_and_swaps_to_rgb() -> None:
    image = np.zeros((50, 100, 3), np.uint8)
    image[:] = (255, 0, 51)
    square, scale, left, top = letterbox(image, 192)
    assert (square.shape, scale, left, top) == ((192, 192, 3), (1.92, 1.92), 0, 48)
    np.testing.assert_allclose(square[96, 96], [-0.6, -1, 1], atol=1e-6)
    assert (square[:48] == -1).all()
    assert (square[144:] == -1).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_letterbox_of_very_small_pictures(size: tuple[int, int]) -> None:
    assert letterbox(np.full((*size, 3), 9, np.uint8), 128)[0].shape == (128, 128, 3)


def test_decoding() -> None:
    box = np.asarray([[2, -2, 20, 40, *([5] * 12)]], np.float32)
    decoded = decode(box, np.asarray([[0.5, 0.25]], np.float32), 192)[0]
    np.testing.assert_allclose(decoded, [88, 26, 108, 66, *([101, 53] * 6)])


def test_a_detection_is_put_back_into_the_frame() -> None:
    index = 24 * 48 + 24  # the anchor at the pixel (98, 98) of 192
    session = answer(index, [0, 0, 20, 40, 1, 2])
    found = BlazeFace(session).detect(np.zeros((96, 384, 3), np.uint8))
    assert len(found) == 1
    assert found[0].box.as_tuple() == pytest.approx((176, 12, 216, 92))
    assert found[0].points[0] == pytest.approx((198, 56))
    assert found[0].score == pytest.approx(1 / (1 + np.exp(-4)))


def test_the_order_of_the_outputs_does_not_matter() -> None:
    session = answer(1000, [0, 0, 20, 40])
    image = np.zeros((192, 192, 3), np.uint8)
    expected = BlazeFace(session).detect(image)[0].box
    assert BlazeFace(StubSession(*session.outputs[::-1])).detect(image)[0].box == expected


def test_the_threshold() -> None:
    image = np.zeros((192, 192, 3), np.uint8)
    sure = answer(1000, [0, 0, 20, 40], logit=0.45)  # .611
    unsure = answer(1000, [0, 0, 20, 40], logit=0.35)  # .587
    assert len(BlazeFace(sure).detect(image)) == 1
    assert not BlazeFace(unsure).detect(image)
    assert len(BlazeFace(unsure).detect(image, threshold=0.5)) == 1
    assert not BlazeFace(sure).detect(image, threshold=1.0)
    huge = answer(1000, [0, 0, 20, 40], logit=1e6)
    assert BlazeFace(huge).detect(image)[0].score == 1.0


def test_a_face_in_the_padding_is_none() -> None:
    assert not BlazeFace(answer(0, [0, 0, 9, 9])).detect(np.zeros((50, 192, 3), np.uint8))


def test_overlapping_boxes_become_their_weighted_mean() -> None:
    found = merge(rows((2, 0, 12, 10, 0.6), (0, 0, 10, 10, 0.9), (50, 50, 60, 60, 0.7)))
    assert [round(item.score, 3) for item in found] == [0.9, 0.7]
    assert found[0].box.x1 == pytest.approx(2 * 0.6 / 1.5)
    assert found[0].points[3] == pytest.approx((2 * 0.6 / 1.5, 0))
    assert merge(rows((0, 0, 10, 10, 0.9), (6, 0, 16, 10, 0.8)))[1].box.x1 == 6, "little overlap stays apart"
    assert merge(np.zeros((0, 17), np.float32)) == ()


@pytest.mark.parametrize("size", [(1280, 720), (512, 512), (300, 900), (1, 1), (4000, 10)])
def test_tiles_cover_the_frame_and_overlap(size: tuple[int, int]) -> None:
    width, height = size
    covered = np.zeros((height, width), np.uint8)
    tiles = tile_boxes(width, height)
    for x1, y1, x2, y2 in tiles:
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        assert max(x2 - x1, y2 - y1) <= max(round(0.6 * max(size)), 1)
        covered[y1:y2, x1:x2] += 1
    assert covered.min() >= 1
    lines = sorted({tile[::2] for tile in tiles})
    for (_, end), (start, stop) in pairwise(lines):
        assert end - start >= 0.24 * (stop - start)


def test_boxes_cut_by_an_inner_border_of_a_tile_are_dropped() -> None:
    image = np.zeros((200, 200, 3), np.uint8)  # tiles of 120: x and y from 0 and 80
    near_left = answer(24 * 48 + 2, [0, 0, 20, 20])  # touches the left border of whatever it is shown
    found = BlazeFace(near_left).detect(image, tiles=True)
    assert {round(item.box.x1) for item in found} == {0}, "kept at the frame's own border, dropped inside"
    assert len(near_left.fed) == 5


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_turning_back(angle: int) -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:14, 20:26] = 200
    small = turned(image, angle)
    ys, xs = np.nonzero(small[:, :, 0])
    found = merge(rows((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, 0.9)))
    (back,) = turned_back(found, angle, 60, 40)
    assert back.box.as_tuple() == (20, 10, 26, 14)
    corner = {0: (20, 10), 90: (26, 10), 180: (26, 14), 270: (20, 14)}[angle]
    assert back.points[0].tolist() == list(corner)


def test_several_passes_are_merged() -> None:
    first, second = merge(rows((0, 0, 10, 10, 0.9))), merge(rows((0, 0, 10, 10, 0.8), (40, 0, 50, 10, 0.7)))
    assert [round(item.score, 2) for item in detections_of([first, second])] == [0.9, 0.7]
    assert detections_of([(), ()]) == ()


@pytest.mark.parametrize(("reach", "model"), [("full", "blazeface_full"), ("short", "blazeface_short")])
def test_both_networks_find_the_portraits(
    reach: str, model: str, builtin_store: ModelStore, runtime: Runtime, astronaut: Frame, hopper: Frame
) -> None:
    detector = BlazeFace(runtime.load(builtin_store.path(model)), reach)  # type: ignore[arg-type]
    for picture, nose in ((astronaut, (223, 127)), (hopper, (268, 238))):
        (face,) = detector.detect(picture)
        assert face.score > 0.85
        assert face.points[2] == pytest.approx(nose, abs=0.08 * face.box.width)
        assert face.points[0, 0] < face.points[1, 0]
