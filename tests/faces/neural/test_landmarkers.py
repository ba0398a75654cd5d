from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import ModelCorrupt
from mien.faces.align import merge
from mien.faces.neural.landmarkers import (
    Estimator,
    Landmarker,
    angle_of_68,
    angle_of_five,
    five_of_68,
    landmark_crop,
    measure,
    quarter_turn,
)
from mien.types import Box
from tests.standins.face_analysis import shape_68


class Fixed:
    def __init__(self, *outputs: NDArray[Any]) -> None:
        self.outputs = list(outputs)
        self.fed: list[NDArray[Any]] = []

    def run(self, feeds: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        self.fed.append(feeds[0])
        return self.outputs


FRAME = np.random.default_rng(0).integers(80, 200, (400, 600, 3), np.uint8)
BOX = Box(100, 100, 230, 300)


def fan(certainty: float, x: float = 32.0) -> Landmarker:
    points = np.full((1, 68, 3), x, np.float32)
    heat = np.zeros((1, 68, 64, 64), np.float32)
    heat[:, :, 3, 4] = certainty
    return Landmarker("2dfan4", Fixed(points, heat), "heatmaps")


def peppa(certainty: float) -> Landmarker:
    rows = np.concatenate([np.full((68, 2), 16.0), np.full((68, 1), certainty)], axis=1)
    return Landmarker("peppa_wutz", Fixed(rows.reshape(1, 204)), "triples")


@pytest.mark.parametrize(
    ("degrees", "turn"),
    [(44.9, 0), (45, 0), (45.1, 90), (134, 90), (225.5, 270), (314, 270), (316, 0), (180, 180)],
)
def test_the_nearest_quarter_turn(degrees: float, turn: int) -> None:
    direction = (np.cos(np.radians(degrees)), np.sin(np.radians(degrees)))
    assert quarter_turn(direction) == turn


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_jaw_and_five_points_tell_the_same_turn(turn: int) -> None:
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    points = shape_68() @ np.array([[cos, sin], [-sin, cos]])
    assert angle_of_68(points) == angle_of_five(five_of_68(points)) == turn


def test_five_of_68() -> None:
    points = np.arange(136, dtype=np.float64).reshape(68, 2)
    expected = [[77, 78], [89, 90], [60, 61], [96, 97], [108, 109]]
    assert five_of_68(points).tolist() == expected


@pytest.mark.parametrize("compat", [False, True])
def test_the_crop_holds_the_box_in_its_middle(compat: bool) -> None:
    frame = np.zeros((900, 1600, 3), np.uint8)
    _, matrices = landmark_crop(frame, Box(580, 330, 760, 590), 0, compat=compat)
    np.testing.assert_allclose(merge(*matrices), [[0.75, 0, -374.5], [0, 0.75, -217]], atol=1e-9)


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_landmarks_come_back_to_the_frame(angle: int, compat: bool) -> None:
    found = measure(FRAME, BOX, angle, [fan(0.9, 32.0)], compat=compat)
    assert found is not None
    # The middle of the crop (128, 128) is the middle of the box, up to half a pixel of the crop when turned.
    np.testing.assert_allclose(found.points, np.full((68, 2), (165, 200)), atol=1.03)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_turned_crop_shows_a_turned_picture(angle: int) -> None:
    upright, _ = landmark_crop(FRAME, BOX, 0)
    turned, _ = landmark_crop(FRAME, BOX, angle)
    difference = np.abs(turned.astype(int) - np.rot90(upright, angle // 90))
    assert difference.mean() < 0.6


def test_scores_are_stretched() -> None:
    for landmarker, expected in ((fan(0.45), 0.5), (fan(1.2), 1.0), (peppa(0.475), 0.5)):
        found = measure(FRAME, BOX, 0, [landmarker])
        assert found is not None
        assert found.score == pytest.approx(expected, abs=1e-6)


def test_2dfan4_has_the_benefit_of_the_doubt() -> None:
    first = measure(FRAME, BOX, 0, [fan(0.6), peppa(0.8)])
    second = measure(FRAME, BOX, 0, [fan(0.3), peppa(0.8)])
    assert first is not None
    assert second is not None
    assert np.ptp(first.points[:, 0] - 165) < 1e-6
    assert abs(first.points[0, 0] - 165) < 1 < abs(second.points[0, 0] - 165)


def test_a_doubtful_peppa_counts_unless_compat() -> None:
    assert measure(FRAME, BOX, 0, [peppa(0.1)]) is not None
    assert measure(FRAME, BOX, 0, [peppa(0.1)], compat=True) is None
    assert measure(FRAME, BOX, 0, []) is None


def test_a_dark_crop_gets_more_contrast() -> None:
    dark = (FRAME // 8).astype(np.uint8)
    for compat in (False, True):
        crop, _ = landmark_crop(dark, BOX, 0, compat=compat)
        plain, _ = landmark_crop(FRAME, BOX, 0, compat=compat)
        assert crop[64:192, 64:192].std() > 1.3 * plain[64:192, 64:192].std() / 8


def test_only_the_reference_sends_a_bright_crop_through_lab() -> None:
    ours, theirs = (landmark_crop(FRAME, BOX, 0, compat=compat)[0].astype(int) for compat in (False, True))
    assert 0 < np.abs(ours - theirs).mean() < 1.5


def test_the_landmarker_is_fed_bgr() -> None:
    blue = np.zeros((400, 600, 3), np.uint8)
    blue[:, :, 0] = 255
    model = fan(0.9)
    measure(blue, BOX, 0, [model])
    session: Any = model.session
    means = session.fed[0].mean(axis=(0, 2, 3))
    assert means[0] > 0.9
    assert means[1:].max() == 0


def test_estimated_landmarks_follow_the_five_points() -> None:
    five = np.array([[610, 402], [731.5, 398.25], [668, 471], [622.75, 541.5], [724, 538]])
    session = Fixed(np.full((1, 68, 2), 0.5, np.float32))
    points = Estimator("fan_68_5", session).estimate(five)
    assert points.shape == (68, 2)
    assert session.fed[0].shape == (1, 5, 2)
    assert session.fed[0].dtype == np.float32
    assert 0 <= session.fed[0].min() < session.fed[0].max() <= 1
    assert abs(points[0, 0] - 667) < 15


def test_another_model_is_refused() -> None:
    for layout in ("heatmaps", "triples"):
        model = Landmarker("x", Fixed(np.zeros((1, 5, 2))), layout)  # type: ignore[arg-type]
        with pytest.raises(ModelCorrupt, match="x is not that model"):
            measure(FRAME, BOX, 0, [model])
    with pytest.raises(ModelCorrupt):
        Estimator("y", Fixed(np.zeros((1, 5, 2)))).estimate(np.arange(10).reshape(5, 2))
