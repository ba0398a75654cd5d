from __future__ import annotations

import numpy as np
import pytest

from mien.faces.canonical import MESH_COUNT, canonical, fit_pose
from mien.processors.mesh_swap.harmonic import harmonic_fill, union
from mien.processors.mesh_swap.memory import Memory
from mien.processors.mesh_swap.shape import MOST, OPEN_EYE, eye_opening, lid_shares, mouth_opening, transfer

from . import faces

OPEN = (1.0, 1.0)
RELAXED = (OPEN_EYE, OPEN_EYE)


def shape(**how: float) -> np.ndarray:
    points = faces.mesh(**how)
    return fit_pose(points).pose_free(points)


@pytest.fixture
def other() -> np.ndarray:
    """A face with a longer nose, higher brows and thicker lips than the mean."""
    points = shape(mouth=10.0)
    groups = canonical().groups
    points[groups["nose"], 1] += 40.0
    points[groups["brow_left"], 1] -= 60.0
    points[groups["brow_right"], 1] -= 60.0
    return points


def test_no_amount_leaves_the_target(other: np.ndarray) -> None:
    target = shape(mouth=80.0)
    assert np.allclose(transfer(other, target, OPEN, 0.0), target)


def test_full_amount_gives_the_sources_nose(other: np.ndarray) -> None:
    nose = canonical().groups["nose"]
    assert np.allclose(transfer(other, shape(), OPEN, 1.0)[nose], other[nose], atol=0.1)


def test_outline_stays(other: np.ndarray) -> None:
    target = shape(mouth=80.0)
    oval = canonical().groups["oval"]
    assert np.allclose(transfer(other, target, OPEN, 1.0)[oval], target[oval], atol=1e-3)


def test_brows_take_half_of_the_height(other: np.ndarray) -> None:
    target = shape(mouth=10.0)
    brow = canonical().groups["brow_left"]
    rise = (target - transfer(other, target, OPEN, 1.0))[brow, 1].mean()
    assert rise == pytest.approx((target - other)[brow, 1].mean() / 2, abs=0.5)


@pytest.mark.parametrize("mouth", [5.0, 60.0, 200.0])
def test_opening_and_width_of_the_mouth_stay(other: np.ndarray, mouth: float) -> None:
    target = shape(mouth=mouth)
    moved = transfer(other, target, OPEN, 1.0)
    assert mouth_opening(moved) == pytest.approx(mouth_opening(target), abs=0.01)


def test_closed_eyes_stay_closed_and_open_ones_open(other: np.ndarray) -> None:
    closed, wide = shape(lids=0.05), shape(lids=1.0)
    assert max(eye_opening(transfer(other, closed, lid_shares(closed, RELAXED), 1.0))) < 0.06
    assert min(eye_opening(transfer(other, wide, lid_shares(wide, RELAXED), 1.0))) > 0.2


def test_irises_stay_between_the_lids(other: np.ndarray) -> None:
    moved = transfer(other, shape(lids=0.3), (0.3, 0.3), 1.0)
    for upper, lower, iris in ((159, 145, 469), (386, 374, 472)):
        assert moved[upper, 1] < moved[iris, 1] < moved[lower, 1]


def test_displacement_is_bounded() -> None:
    wild = shape() + np.random.default_rng(1).normal(0, 2000, (MESH_COUNT, 3)).astype(np.float32)
    target = shape()
    assert np.linalg.norm(transfer(wild, target, OPEN, 1.0) - target, axis=1).max() <= MOST + 0.1


def test_harmonic_fill_keeps_a_common_shift_and_stays_between_extremes() -> None:
    groups = canonical().groups
    controls = union([groups["oval"], groups["nose"]])
    free, matrix = harmonic_fill(controls)
    assert matrix.shape == (len(free), len(controls))
    assert np.allclose(matrix.sum(1), 1.0, atol=1e-3)
    assert matrix.min() >= -1e-5
    assert not matrix.flags.writeable
    assert harmonic_fill(controls)[1] is matrix


def test_open_eye_is_learnt_from_the_clip() -> None:
    memory = Memory()
    assert memory.see_eyes((0.3, 0.3)) == pytest.approx(RELAXED, abs=0.01)
    for _ in range(60):
        learnt = memory.see_eyes((0.34, 0.20))
    assert learnt == pytest.approx((0.34, 0.20), abs=0.01)
    for _ in range(90):
        learnt = memory.see_eyes((0.9, 0.01))
    assert learnt == pytest.approx((0.42, 0.16))
