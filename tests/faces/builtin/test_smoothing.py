from __future__ import annotations

import math

import numpy as np
import pytest

from mien.faces.builtin.smoothing import MeshSmoother, OneEuro
from mien.faces.canonical import canonical
from mien.types import Points

RATE = 30.0


def moved(time: float) -> Points:
    """The mean face, moving, growing and turning smoothly."""
    scale = 0.1 * (1 + 0.3 * math.sin(time * 2))
    angle, c, s = 0.2 * math.sin(time * 3), 0.0, 0.0
    c, s = math.cos(angle), math.sin(angle)
    flat = canonical().points_full[:, :2] @ np.array([[c, s], [-s, c]]) * scale
    flat += [300 + 60 * math.sin(time * 3), 200 + 30 * math.cos(time * 2)]
    return np.column_stack([flat, canonical().points_full[:, 2] * scale]).astype(np.float32)


def test_one_euro_follows_the_published_recurrence() -> None:
    """Two steps by hand: cutoff 1 Hz, beta 0.5, derivative cutoff 1 Hz, steps of 0.1 s."""
    one = OneEuro(1.0, 0.5)
    share = 1 / (1 + 1 / (2 * math.pi * 0.1))
    assert one.update(np.array([[0.0]]), 0.1)[0, 0] == 0
    speed = share * 10.0
    cutoff = 1 + 0.5 * speed
    first = 1 / (1 + 1 / (2 * math.pi * cutoff * 0.1))
    assert one.update(np.array([[1.0]]), 0.1)[0, 0] == pytest.approx(first)
    speed += share * (0.0 - speed)
    second = 1 / (1 + 1 / (2 * math.pi * (1 + 0.5 * speed) * 0.1))
    assert one.update(np.array([[1.0]]), 0.1)[0, 0] == pytest.approx(first + second * (1 - first))


def test_one_euro_counts_speed_in_its_unit() -> None:
    near, far = OneEuro(1.0, 5.0), OneEuro(1.0, 5.0)
    for value in (0.0, 1.0, 3.0, 2.0):
        a = near.update(np.array([[value, 0]]), 0.04, unit=1.0)
        b = far.update(np.array([[value * 50, 0]]), 0.04, unit=50.0)
    np.testing.assert_allclose(a * 50, b)


def test_the_first_mesh_and_a_still_mesh_pass_unchanged() -> None:
    smoother = MeshSmoother()
    for _ in range(3):
        np.testing.assert_allclose(smoother.update(moved(0), 1 / RATE), moved(0), atol=1e-3)


def test_tremble_goes_and_motion_stays() -> None:
    """Noise of a quarter per cent of the eye distance on a head that moves by almost two of them a second."""
    noise = np.random.default_rng(4)
    smoother, plain = MeshSmoother(), OneEuro(1.0, 10.0)
    raw, smooth, naive = [], [], []
    for index in range(90):
        true = moved(index / RATE)
        seen = true + noise.normal(0, 0.25, true.shape).astype(np.float32)
        raw.append((seen - true)[:, :2])
        smooth.append((smoother.update(seen, 1 / RATE) - true)[:, :2])
        naive.append((plain.update(seen.astype(np.float64), 1 / RATE, 100.0) - true)[:, :2])
    trembles = [np.linalg.norm(np.diff(errors[5:], axis=0), axis=2).mean() for errors in (raw, smooth)]
    errors = [np.linalg.norm(errors[5:], axis=2).mean() for errors in (raw, smooth, naive)]
    assert trembles[1] < 0.6 * trembles[0]
    assert errors[1] < 0.8
    assert errors[1] < 0.5 * errors[2], "filtering the points themselves lags"


def test_lids_stay_quick() -> None:
    """A blink within three frames is followed at once, while the cheek beside it would be held back."""
    eye = canonical().groups["eye_left"]
    cheek = [50, 101, 36]
    smoother = MeshSmoother()
    for index in range(20):
        seen = moved(0)
        step = 6.0 * min(max(index - 16, 0), 3)
        seen[eye, 1] += step / 3
        seen[cheek, 1] += step / 3
        out = smoother.update(seen, 1 / RATE)
    left = (seen - out)[:, 1]
    assert np.abs(left[eye]).mean() < 0.5 * np.abs(left[cheek]).mean()
    assert np.abs(left[eye]).mean() < 1.0


def test_turning_past_half_a_circle_is_no_jump() -> None:
    smoother = MeshSmoother()
    for index in range(80):
        angle = index * 0.1
        c, s = math.cos(angle), math.sin(angle)
        points = moved(0)
        points[:, :2] = (points[:, :2] - [300, 230]) @ np.array([[c, s], [-s, c]]) + [300, 230]
        out = smoother.update(points.astype(np.float32), 1 / RATE)
        assert np.abs(out - points).max() < 8


def test_a_gap_in_time_counts() -> None:
    outs = []
    for seconds in (1 / RATE, 1.0):
        smoother = MeshSmoother()
        smoother.update(moved(0), 1 / RATE)
        target = moved(0)
        target[50] += 2
        outs.append(float(np.abs(smoother.update(target, seconds) - target)[50].max()))
    assert outs[1] < 0.5 * outs[0]
