"""The openings of a face: mouth and eyes.

An open mouth shows the target's own teeth and tongue. A shut mouth or eye is a line: there the map would run over
the source's teeth or eyeball, so it is filled with what lies around it, and takes the shade of the target's line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from mien.faces.canonical import EYE_CORNERS, Floats, Indices, canonical, smoothstep
from mien.processors.mesh_swap.geometry import GRID
from mien.processors.mesh_swap.ops import soften
from mien.types import Frame

Part: TypeAlias = tuple[slice, slice]
"""Rows and columns of a part of the crop."""

_LIP_CORNERS = (78, 308)


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """What both openings work on: crops (BGR) and, in their pixels, the moved and the target's own mesh."""

    result: Frame
    """Changed in place."""
    target: Frame
    placed: Floats
    original: Floats
    size: float
    """Longer side of the face, pixels."""

    @property
    def softness(self) -> float:
        """Sigma of edges, pixels."""
        return max(0.6, 0.006 * self.size)


def restore_mouth(crops: Crops, shut: float) -> None:
    """Put the target's mouth opening into the result; ``shut`` 0…1."""
    groups = canonical().groups
    lips, outline = (crops.placed[groups[name], :2] for name in ("lips_inner", "lips_outer"))
    sigma = crops.softness
    part = _part(outline, 3.0 * sigma + 2.0, crops.result.shape)
    if part is None:
        return
    origin, shape = _frame(part)
    half = max(0.8, 0.03 * _width(crops.placed, _LIP_CORNERS))
    # A shut mouth has no edge to keep: a softer one lets its line taper into the corners.
    soft = soften(polygon(_widened(lips - origin, half * shut), shape), sigma + 0.6 * half * shut)
    weight = smoothstep(0.15, 0.75 + 0.15 * shut, soft) * (1.0 - 0.25 * shut)
    swapped = crops.result[part].astype(np.float32)
    inside = _shifted(crops, groups["lips_inner"], part)
    if shut > 0:
        seam = soften(polygon(lips - origin, shape, max(half, crops.size / GRID)), 0.5 * sigma)
        around = polygon(outline - origin, shape) * (1.0 - np.maximum(weight, seam))
        swapped += (_filled(swapped, around, half) - swapped) * (shut * seam)[..., None]
        inside += shut * (_line_shade(inside, swapped, around) - inside)
    swapped += (inside - swapped) * weight[..., None]
    crops.result[part] = np.clip(swapped + 0.5, 0, 255).astype(np.uint8)


def close_eye(crops: Crops, side: str, shut: float) -> None:
    """Close the line between the lids of one eye; ``shut`` 0…1, nothing happens at 0."""
    eye = canonical().groups[f"eye_{side}"]
    contour = crops.placed[eye, :2]
    width = _width(crops.placed, EYE_CORNERS[side])
    part = _part(contour, 0.25 * width + 2.0, crops.result.shape) if shut > 0 else None
    if part is None:
        return
    origin, shape = _frame(part)
    reach = max(0.8, 0.05 * width, crops.size / GRID)
    seam = soften(polygon(contour - origin, shape, 0.7 * reach), 0.5 * reach)
    around = polygon(contour - origin, shape, 0.2 * width) * (1.0 - seam)
    swapped = crops.result[part].astype(np.float32)
    swapped += (_filled(swapped, around, reach) - swapped) * (shut * seam)[..., None]
    inside = _line_shade(_shifted(crops, eye, part), swapped, around)
    swapped += (np.minimum(inside, swapped) - swapped) * (0.7 * shut * seam)[..., None]
    crops.result[part] = np.clip(swapped + 0.5, 0, 255).astype(np.uint8)


def polygon(contour: Floats, shape: tuple[int, int], grown: float = 0.0) -> Floats:
    """Filled contour, 0 or 1, drawn to a sixteenth of a pixel and grown by about ``grown`` pixels on all sides."""
    canvas = np.zeros(shape, np.uint8)
    corners = np.rint(np.clip(contour, -2000, 30000) * 16).astype(np.int32)
    cv2.fillPoly(canvas, [corners], 255, cv2.LINE_AA, 4)
    if grown > 0:
        cv2.polylines(canvas, [corners], True, 255, max(1, round(2 * min(grown, 500.0))), cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255.0


def _filled(swapped: Floats, around: Floats, reach: float) -> Floats:
    """The colour of the nearest pixels of ``around``, smoothly."""
    weighted = np.dstack([swapped * around[..., None], around])
    mean = weighted.sum((0, 1))
    near = soften(weighted, 1.5 * reach)
    near += 1e-4 * mean / max(float(mean[3]), 1e-3)
    return np.asarray(near[..., :3] / np.maximum(near[..., 3:], 1e-6), np.float32)


def _line_shade(inside: Floats, swapped: Floats, around: Floats) -> Floats:
    """The swapped surroundings' mean colour with the target's shading: its line without its make-up."""
    share = max(float(around.sum()), 1e-3)
    mean = (swapped * around[..., None]).sum((0, 1)) / share
    grey = cv2.cvtColor(inside, cv2.COLOR_BGR2GRAY)
    shade = grey - float((grey * around).sum()) / share
    return np.asarray(mean + shade[..., None], np.float32)


def _widened(contour: Floats, by: float) -> Floats:
    """Move the lower half (first 11 points, corner to corner) and the upper half of the opening apart."""
    if by <= 0:
        return contour
    along = contour[10] - contour[0]
    along = along / max(float(np.linalg.norm(along)), 1e-3)
    down = np.array([-along[1], along[0]], np.float32)
    side = np.ones((len(contour), 1), np.float32)
    side[11:] = -1.0
    side[[0, 10]] = 0.0
    return np.asarray(contour + side * by * down, np.float32)


def _width(points: Floats, corners: tuple[int, int]) -> float:
    return float(np.linalg.norm(points[corners[0], :2] - points[corners[1], :2]))


def _part(points: Floats, margin: float, shape: tuple[int, ...]) -> Part | None:
    """The part of the crop around points, or None if it is empty."""
    (x1, y1), (x2, y2) = points.min(0) - margin, points.max(0) + margin
    left, right = max(0, int(x1)), min(shape[1], int(x2) + 1)
    top, bottom = max(0, int(y1)), min(shape[0], int(y2) + 1)
    return (slice(top, bottom), slice(left, right)) if right - left >= 2 and bottom - top >= 2 else None


def _frame(part: Part) -> tuple[Floats, tuple[int, int]]:
    """(x, y) of the part's first pixel, and its (rows, columns)."""
    rows, columns = part
    origin = np.array([columns.start, rows.start], np.float32)
    return origin, (rows.stop - rows.start, columns.stop - columns.start)


def _shifted(crops: Crops, group: Indices, part: Part) -> Floats:
    """The target's pixels in ``part``, moved as the mean of a group of points moves."""
    shift = (crops.placed[group, :2] - crops.original[group, :2]).mean(0)
    (x, y), (height, width) = _frame(part)
    matrix = np.array([[1, 0, x - shift[0]], [0, 1, y - shift[1]]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(
        crops.target, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return moved.astype(np.float32)
