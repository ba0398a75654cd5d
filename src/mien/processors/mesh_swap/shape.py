"""Shape transfer: the target's mesh moves towards the source's features and keeps its own expression.

All shapes are pose-free: units of the mean face (eye centres 1000 apart), seen from the front.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from mien.faces.canonical import EYE_CORNERS, IRIS_POINTS, MESH_COUNT, Floats, Indices, canonical
from mien.processors.mesh_swap.harmonic import harmonic_fill, union

OPEN_EYE = 0.26
"""Opening of a relaxed open eye: lid distance over eye width (measured on portraits)."""
MOST = 300.0
"""Longest displacement, mean-face units."""

_LID_PAIRS = ((246, 7), (161, 163), (160, 144), (159, 145), (158, 153), (157, 154), (173, 155))
_LID_MIDDLE = {"left": (159, 145), "right": (386, 374)}
_LIP_PAIRS = (
    *((37, 82), (0, 13), (267, 312), (39, 81), (269, 311), (40, 80), (270, 310)),
    *((84, 87), (17, 14), (314, 317), (181, 178), (405, 402), (91, 88), (321, 318)),
)
_LIP_THICKNESS = 0.7
_CLOSING_LINE = 0.25
"""Where lids meet: this share of the way from the lower lid to the upper one."""


def eye_opening(shape: Floats) -> tuple[float, float]:
    """Opening of the image-left and the image-right eye: lid distance over eye width."""
    return _eye_opening(shape, "left"), _eye_opening(shape, "right")


def _eye_opening(shape: Floats, side: str) -> float:
    return _opening(shape, *_LID_MIDDLE[side], EYE_CORNERS[side])


def mouth_opening(shape: Floats) -> float:
    """Opening of the mouth: lip distance over mouth width."""
    return _opening(shape, 13, 14, (78, 308))


def lid_shares(shape: Floats, open_eye: tuple[float, float]) -> tuple[float, float]:
    """How far the lids of both eyes are open, relative to ``open_eye``: 0 closed, 1 open, 1.15 at most."""
    left, right = (
        float(np.clip((opening / opened - 0.1) / 0.75, 0.0, 1.15))
        for opening, opened in zip(eye_opening(shape), open_eye, strict=True)
    )
    return left, right


def transfer(source: Floats, target: Floats, lids: tuple[float, float], amount: float) -> Floats:
    """Move the target's pose-free shape (474×3) towards the source's; returns 474×3.

    ``lids`` are the target's ``lid_shares``: the source's lids open as far. ``amount`` 0 leaves the target's
    shape, 1 takes over all of what is identity.
    """
    moved = np.zeros((MESH_COUNT, 3), np.float32)
    for side, share in zip(EYE_CORNERS, lids, strict=True):
        _move_eye(moved, source, target, side, share)
    _move_lips(moved, source, target)
    nose = canonical().groups["nose"]
    moved[nose] = source[nose] - target[nose]
    controls = _controls()
    free, matrix = harmonic_fill(controls)
    moved[free] = matrix @ moved[np.asarray(controls)]
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    moved *= np.minimum(1.0, MOST / np.maximum(length, 1e-3))
    return target + amount * moved


@cache
def _controls() -> tuple[int, ...]:
    data = canonical()
    names = ("oval", "nose", "eye_left", "eye_right", "brow_left", "brow_right")
    irises = np.asarray(sum(IRIS_POINTS.values(), ()))
    lips = [rows.ravel() for rows in data.lip_rows]
    return union([*(data.groups[name] for name in names), *lips, irises])


@cache
def _lid_pairs(side: str) -> tuple[Indices, Indices]:
    """Upper and lower lid points, outer to inner."""
    upper, lower = np.asarray(_LID_PAIRS, np.int32).T
    mirror = canonical().mirror
    return (upper, lower) if side == "left" else (mirror[upper], mirror[lower])


def _move_eye(moved: Floats, source: Floats, target: Floats, side: str, share: float) -> None:
    corners = np.asarray(EYE_CORNERS[side])
    upper, lower = _lid_pairs(side)
    meeting = source[lower] + _CLOSING_LINE * (source[upper] - source[lower])
    moved[upper] = meeting + share * (source[upper] - meeting) - target[upper]
    moved[lower] = meeting + share * (source[lower] - meeting) - target[lower]
    moved[corners] = source[corners] - target[corners]
    iris = np.asarray(IRIS_POINTS[side])
    seated = _seat(source[corners], target[corners], target[iris])
    top, bottom = (target[point, 1] + moved[point, 1] for point in _LID_MIDDLE[side])
    # An iris beyond a lid would fold the eye over it; the middle half of the opening is where it is measured too.
    seated[:, 1] = np.clip(seated[:, 1], *sorted((0.75 * top + 0.25 * bottom, 0.25 * top + 0.75 * bottom)))
    moved[iris] = seated - target[iris]
    brow = canonical().groups[f"brow_{side}"]
    difference = source[brow] - target[brow]
    difference[:, 1] -= 0.5 * difference[:, 1].mean()
    moved[brow] = difference


def _seat(source_corners: Floats, target_corners: Floats, points: Floats) -> Floats:
    """Carry points of the target's eye into the source's: by the corners' place, width and tilt."""
    old, new = ((ends[1, :2] - ends[0, :2]).astype(np.float64) for ends in (target_corners, source_corners))
    width = float(np.clip(np.hypot(*new) / max(np.hypot(*old), 1e-3), 0.8, 1.25))
    turn = np.arctan2(new[1], new[0]) - np.arctan2(old[1], old[0])
    cos, sin = width * np.cos(turn), width * np.sin(turn)
    turned: NDArray[np.float64] = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, width]])
    middle = target_corners.mean(0)
    return np.asarray((points - middle) @ turned.T + source_corners.mean(0), np.float32)


def _move_lips(moved: Floats, source: Floats, target: Floats) -> None:
    """Shift the lips with the face and take over their thickness; width and opening are expression."""
    data = canonical()
    shift = source[0] - target[0]
    shift[0] = 0.0
    for rows in data.lip_rows:
        moved[rows] = shift
    outer, inner = np.asarray(_LIP_PAIRS).T
    thickness = (source[outer, 1] - source[inner, 1]) - (target[outer, 1] - target[inner, 1])
    grown = np.zeros(MESH_COUNT, np.float32)
    grown[outer] = _LIP_THICKNESS * thickness
    for rows in data.lip_rows[:2]:
        # Rows run from the inner to the outer lip; those between take their share of the growth.
        moved[rows, 1] += np.linspace(0.0, 1.0, len(rows), dtype=np.float32)[:, None] * grown[rows[-1]]


def _opening(points: Floats, upper: int, lower: int, corners: tuple[int, int]) -> float:
    """Distance of two points across the line between two corners, over the length of that line.

    Seen from the front, for depths of lids and lips are uncertain; and only across, for the middles of the two lids
    of a closed eye still lie side by side.
    """
    first, second = (points[corner, :2] for corner in corners)
    (along_x, along_y), (gap_x, gap_y) = second - first, points[upper, :2] - points[lower, :2]
    return abs(float(along_x * gap_y - along_y * gap_x)) / max(float(along_x**2 + along_y**2), 1e-3)
