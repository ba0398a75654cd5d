"""How each slider moves the points of a face: in its pose-free shape, units of the mean face (eyes 1000 apart).

The full-scale amounts are what portraits bear before they look pulled. All sliders run from -1 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from mien.faces.canonical import EYE_CORNERS, IRIS_POINTS, MESH_COUNT, Floats, Indices, canonical, smoothstep
from mien.processors.mesh_swap.harmonic import harmonic_fill, union

BROW_UP, BROW_DOWN = 90.0, 55.0
LIDS_OPEN = 0.4
"""Share of the opening by which lids part at most; they close fully."""
LIDS_CLOSE = 1.1
"""Lids that met exactly would leave no triangle between them."""
UPPER_LID = 0.75
"""The upper lid's part in opening and closing."""
EYE_SIZE = 0.3
EYE_SIZE_DOWN = 0.2
NOSE_WIDTH = 0.3
CORNERS_UP, CORNERS_OUT = 70.0, 35.0
MOUTH_WIDTH = 70.0
MOUTH_ACROSS, MOUTH_UP = 60.0, 50.0
PURSE = 60.0
POUT, POUT_THIN = 0.45, 0.3
LIPS_CLOSE = 0.75
"""Share of the opening: the contour of the teeth is not known well enough to close lips over them."""
JAW = 160.0
JAW_STRETCH = 0.35
"""Teeth and tongue that a picture does not show cannot be drawn: the opening grows by this share at most."""
MOUTH_CORNERS = (61, 291)

LID_PAIRS = ((246, 7), (161, 163), (160, 144), (159, 145), (158, 153), (157, 154), (173, 155))
"""Upper and lower lid point of the image-left eye, outer to inner corner."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What to change; 0 leaves a thing as it is."""

    brows: float = 0.0
    """Up is positive."""
    eye_open: float = 0.0
    eye_size: float = 0.0
    gaze_x: float = 0.0
    """Towards the image's right is positive."""
    gaze_y: float = 0.0
    """Up is positive."""
    lip_open: float = 0.0
    smile: float = 0.0
    pout: float = 0.0
    purse: float = 0.0
    mouth_x: float = 0.0
    mouth_y: float = 0.0
    """Up is positive."""
    mouth_width: float = 0.0
    nose_width: float = 0.0

    @property
    def moves_eyes(self) -> bool:
        """True if anything inside the eyes changes its place."""
        return any((self.eye_open, self.eye_size, self.gaze_x, self.gaze_y))


def displaced(shape: Floats, edit: Edit) -> Floats:
    """Apply an edit to a pose-free shape (474×3); returns the new shape."""
    moved = np.zeros((MESH_COUNT, 3), np.float32)
    for slider, move in MOVES.items():
        if amount := float(getattr(edit, slider)):
            move(moved, shape, float(np.clip(amount, -1, 1)))
    controls = _controls()
    free, matrix = harmonic_fill(controls)
    moved[free] = matrix @ moved[np.asarray(controls)]
    return np.asarray(shape + moved, np.float32)


@cache
def _controls() -> tuple[int, ...]:
    data = canonical()
    names = ("oval", "nose", "eye_left", "eye_right", "brow_left", "brow_right", "lips_outer", "lips_inner")
    irises = np.asarray(sum(IRIS_POINTS.values(), ()))
    return union([*(data.groups[name] for name in names), *(rows.ravel() for rows in data.lip_rows), irises])


@cache
def lips() -> Indices:
    """All points of the lips, inner to outer contour."""
    data = canonical()
    rows = [rows.ravel() for rows in data.lip_rows]
    return np.asarray(union([*rows, data.groups["lips_outer"], data.groups["lips_inner"]]), np.int32)


def lid_pairs(side: str) -> tuple[Indices, Indices]:
    """Upper and lower lid points of one eye, outer to inner corner."""
    upper, lower = np.asarray(LID_PAIRS, np.int32).T
    mirror = canonical().mirror
    return (upper, lower) if side == "left" else (mirror[upper], mirror[lower])


def _brows(moved: Floats, shape: Floats, amount: float) -> None:
    for side in EYE_CORNERS:
        moved[canonical().groups[f"brow_{side}"], 1] -= amount * (BROW_UP if amount > 0 else BROW_DOWN)


def _eye_open(moved: Floats, shape: Floats, amount: float) -> None:
    for side in EYE_CORNERS:
        upper, lower = lid_pairs(side)
        gap = shape[lower] - shape[upper]
        share = LIDS_OPEN * amount if amount > 0 else LIDS_CLOSE * amount
        moved[upper] -= share * UPPER_LID * gap
        moved[lower] += share * (1 - UPPER_LID) * gap


def _eye_size(moved: Floats, shape: Floats, amount: float) -> None:
    share = amount * (EYE_SIZE if amount > 0 else EYE_SIZE_DOWN)
    for side, corners in EYE_CORNERS.items():
        points = np.append(canonical().groups[f"eye_{side}"], IRIS_POINTS[side])
        moved[points] += share * (shape[points] - shape[list(corners)].mean(0))


def _nose_width(moved: Floats, shape: Floats, amount: float) -> None:
    data = canonical()
    nose = data.groups["nose"]
    # Only the wings: the bridge belongs to the eyes' distance.
    low = smoothstep(120, 420, data.points[nose, 1])
    moved[nose, 0] += amount * NOSE_WIDTH * low * (shape[nose, 0] - shape[4, 0])


def _across(shape: Floats) -> Floats:
    """Place of each lip point between the corners of the mouth: -1 at the image's left, 1 at the right."""
    left, right = shape[MOUTH_CORNERS[0]], shape[MOUTH_CORNERS[1]]
    half = max(float(right[0] - left[0]) / 2, 1.0)
    across = (shape[lips(), 0] - (left[0] + right[0]) / 2) / half
    return np.asarray(np.clip(across, -1.2, 1.2), np.float32)


def _smile(moved: Floats, shape: Floats, amount: float) -> None:
    across = _across(shape)
    moved[lips(), 1] -= amount * CORNERS_UP * np.abs(across) ** 1.7
    moved[lips(), 0] += amount * CORNERS_OUT * across * (1.0 if amount > 0 else 0.3)


def _mouth_width(moved: Floats, shape: Floats, amount: float) -> None:
    moved[lips(), 0] += amount * MOUTH_WIDTH * _across(shape)


def _mouth_x(moved: Floats, shape: Floats, amount: float) -> None:
    moved[lips(), 0] += amount * MOUTH_ACROSS


def _mouth_y(moved: Floats, shape: Floats, amount: float) -> None:
    moved[lips(), 1] -= amount * MOUTH_UP


def _thicken(moved: Floats, shape: Floats, share: float) -> None:
    """Move the outer contour from the inner, with the rows between, by a share of the lips' thickness."""
    for rows in canonical().lip_rows[:2]:
        inner, outer = rows[0], rows[-1]
        steps = np.linspace(0, 1, len(rows), dtype=np.float32)[:, None]
        moved[rows, 1] += share * steps * (shape[outer, 1] - shape[inner, 1])


def _pout(moved: Floats, shape: Floats, amount: float) -> None:
    _thicken(moved, shape, amount * (POUT if amount > 0 else POUT_THIN))
    moved[lips(), 0] -= max(amount, 0.0) * 0.4 * PURSE * _across(shape)


def _purse(moved: Floats, shape: Floats, amount: float) -> None:
    moved[lips(), 0] -= amount * PURSE * _across(shape)
    _thicken(moved, shape, 0.2 * amount)


def _lip_open(moved: Floats, shape: Floats, amount: float) -> None:
    upper, lower = canonical().lip_rows[:2]
    gap = np.maximum(shape[lower[0], 1] - shape[upper[0], 1], 0.0)
    if amount < 0:
        moved[lower, 1] += 0.7 * LIPS_CLOSE * amount * gap
        moved[upper, 1] -= 0.3 * LIPS_CLOSE * amount * gap
        return
    drop = amount * min(JAW, JAW_STRETCH * float(gap.max())) * opened(shape)
    middle = 1 - 0.8 * np.clip(_row_across(shape, lower[0]), -1, 1) ** 2
    moved[lower, 1] += drop * middle


def opened(shape: Floats) -> float:
    """0 while the mouth is shut, 1 from an opening of .14 of its width."""
    opening = np.linalg.norm(shape[13] - shape[14]) / max(float(np.linalg.norm(shape[78] - shape[308])), 1e-3)
    return float(smoothstep(0.05, 0.14, opening))


def _row_across(shape: Floats, row: Indices) -> Floats:
    left, right = shape[MOUTH_CORNERS[0], 0], shape[MOUTH_CORNERS[1], 0]
    return np.asarray((shape[row, 0] - (left + right) / 2) / max(float(right - left) / 2, 1.0), np.float32)


MOVES: Mapping[str, Callable[[Floats, Floats, float], None]] = {
    "brows": _brows,
    "eye_open": _eye_open,
    "eye_size": _eye_size,
    "lip_open": _lip_open,
    "smile": _smile,
    "pout": _pout,
    "purse": _purse,
    "mouth_x": _mouth_x,
    "mouth_y": _mouth_y,
    "mouth_width": _mouth_width,
    "nose_width": _nose_width,
}
