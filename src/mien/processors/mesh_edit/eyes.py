"""What is inside the eyes: the lids slide over it, so it does not follow them as skin does.

All lengths are in the old eye's own frame: u along the line from its left to its right corner (as seen in the
image), v across it downwards, both in pixels from the middle between the corners.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mien.faces.canonical import EYE_CORNERS, IRIS_POINTS, Floats, canonical, smoothstep
from mien.processors.mesh_edit.sliders import lid_pairs
from mien.processors.mesh_swap.ops import gaussian, remap
from mien.types import Frame, Points

GAZE_ACROSS = 0.17
"""Share of the eye's width by which the iris moves at full scale."""
GAZE_UP = 0.24
"""Share of the eye's opening."""
STRETCH = 1.75
"""Up to this widening of the lids the iris stays round; what lies beyond is drawn out from its rim."""
IRIS_RANGE = (0.10, 0.26)
"""Radius of the iris, as a share of the eye's width."""
SMALLEST = 4.0
"""Eyes less than this many pixels wide are left to the skin."""


@dataclass(frozen=True, slots=True)
class _Axes:
    """The frame of an eye in the crop."""

    origin: Floats
    along: Floats
    across: Floats
    width: float

    def to_eye(self, points: Points) -> Floats:
        return np.stack([(points - self.origin) @ self.along, (points - self.origin) @ self.across], axis=-1)

    def from_eye(self, u: Floats, v: Floats) -> tuple[Floats, Floats]:
        x = self.origin[0] + u * self.along[0] + v * self.across[0]
        y = self.origin[1] + u * self.along[1] + v * self.across[1]
        return x.astype(np.float32), y.astype(np.float32)


def draw(result: Frame, crop: Frame, old: Points, new: Points, gaze: tuple[float, float]) -> Frame:
    """Draw the inside of both eyes of ``crop`` into ``result`` (both height×width×3).

    ``old`` and ``new``: the mesh (474×2, pixels of the crop) before and after. ``gaze``: (right, down), -1 to 1.
    """
    for side in EYE_CORNERS:
        before, after = _axes(old, side), _axes(new, side)
        if before.width >= SMALLEST and after.width >= SMALLEST:
            _draw_eye(result, crop, (old, before), (new, after), side, gaze)
    return result


def _axes(mesh: Points, side: str) -> _Axes:
    ends = mesh[list(EYE_CORNERS[side])]
    left, right = ends[np.argsort(ends[:, 0])]
    width = float(np.hypot(*(right - left)))
    along = ((right - left) / max(width, 1e-3)).astype(np.float32)
    across = np.array([-along[1], along[0]], np.float32)
    return _Axes(((left + right) / 2).astype(np.float32), along, across, width)


def _lids(mesh: Points, axes: _Axes, side: str, scale: float) -> tuple[Floats, Floats, Floats]:
    """Lids as (u, v of the upper, v of the lower) at 33 places between the corners."""
    corners = mesh[list(EYE_CORNERS[side])]
    u = np.linspace(-0.5, 0.5, 33, dtype=np.float32) * axes.width * scale
    curves = []
    for chain in lid_pairs(side):
        points = axes.to_eye(np.concatenate([corners, mesh[chain]])) * scale
        points = points[np.argsort(points[:, 0])]
        curves.append(np.interp(u, points[:, 0], points[:, 1]).astype(np.float32))
    return u, np.minimum(*curves), np.maximum(*curves)


def _draw_eye(
    result: Frame,
    crop: Frame,
    before: tuple[Points, _Axes],
    after: tuple[Points, _Axes],
    side: str,
    gaze: tuple[float, float],
) -> None:
    contour = after[0][canonical().groups[f"eye_{side}"]]
    left, top = np.maximum(np.floor(contour.min(0)).astype(int) - 3, 0)
    right, bottom = np.ceil(contour.max(0)).astype(int) + 4
    part = result[top:bottom, left:right]
    if part.size == 0:
        return
    rows, columns = np.indices(part.shape[:2], dtype=np.float32)
    places = np.stack([columns + left, rows + top], axis=-1)
    scale = before[1].width / after[1].width
    inside = after[1].to_eye(places) * scale
    u, v = _source(inside, before, after, side, gaze, scale)
    x, y = before[1].from_eye(u, v)
    pixels = remap(crop, x, y, cv2.INTER_CUBIC)
    mask = np.zeros(part.shape[:2], np.float32)
    cv2.fillPoly(mask, [np.round((contour - [left, top]) * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    # A polygon without height would still be drawn as a line.
    left_open = _openness(after, side) / max(_openness(before, side), 1e-3)
    mask = gaussian(mask * smoothstep(0.02, 0.12, left_open), max(0.6, 0.012 * after[1].width))
    result[top:bottom, left:right] = cv2.blendLinear(pixels, np.ascontiguousarray(part), mask, 1 - mask)


def _openness(eye: tuple[Points, _Axes], side: str) -> float:
    """Widest distance of the lids as a share of the eye's width."""
    _, upper, lower = _lids(*eye, side, 1.0)
    return float((lower - upper).max()) / eye[1].width


def _source(
    inside: Floats,
    before: tuple[Points, _Axes],
    after: tuple[Points, _Axes],
    side: str,
    gaze: tuple[float, float],
    scale: float,
) -> tuple[Floats, Floats]:
    """Where the pixels inside the new eye come from, in the old eye's frame."""
    u, v = inside[..., 0], inside[..., 1]
    places, old_upper, old_lower = _lids(*before, side, 1.0)
    _, new_upper, new_lower = _lids(*after, side, scale)
    curves = (old_upper, old_lower, new_upper, new_lower)
    at = [np.interp(u, places, curve).astype(np.float32) for curve in curves]
    middle = np.asarray((at[0] + at[1]) / 2, np.float32)
    above = _drawn_out(v - middle, at[2] - middle, at[0] - middle)
    below = _drawn_out(v - middle, at[3] - middle, at[1] - middle)
    v = middle + above + below
    u, v = _looking(u, v, before, side, gaze, float((old_lower - old_upper).max()))
    shrink = np.float32(0.06) * (at[1] - at[0])
    return u, np.clip(v, at[0] + shrink, at[1] - shrink)


def _drawn_out(v: Floats, new: Floats, old: Floats) -> Floats:
    """The part of ``v`` on the side of the lid ``new``, pulled in so that it ends at the lid ``old``."""
    sign = np.sign(old)
    reach, limit = np.maximum(sign * new, 1e-3), np.maximum(sign * old, 1e-3)
    share = np.clip(sign * v / reach, 0, 1)
    slope = np.minimum(reach / limit, STRETCH)
    pulled = limit * (slope * share + (1 - slope) * share * share)
    return np.asarray(sign * np.where(reach > limit, pulled, np.clip(sign * v, 0, None)), np.float32)


def _looking(
    u: Floats, v: Floats, before: tuple[Points, _Axes], side: str, gaze: tuple[float, float], opening: float
) -> tuple[Floats, Floats]:
    """Shift the iris as a whole; the white around it stretches on one side and shrinks on the other."""
    mesh, axes = before
    shift_u, shift_v = gaze[0] * GAZE_ACROSS * axes.width, gaze[1] * GAZE_UP * opening
    length = float(np.hypot(shift_u, shift_v))
    if length < 1e-3:
        return u, v
    rim, centre, other = axes.to_eye(mesh[list(IRIS_POINTS[side])])
    smallest, largest = (share * axes.width for share in IRIS_RANGE)
    radius = float(np.clip(np.hypot(*(rim - other)) / 2, smallest, largest))
    away = np.hypot(u - (centre[0] + shift_u), v - (centre[1] + shift_v))
    # Smoothstep's steepest slope is 1.5 over its width: wider than 1.5 times the shift, nothing folds over.
    weight = smoothstep(1.1 * radius + 1.8 * length, 1.1 * radius, away)
    return u - shift_u * weight, v - shift_v * weight
