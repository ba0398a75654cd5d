"""The mouth opening: the target's own teeth and tongue or, when it is shut, the shade of its line."""

from __future__ import annotations

import cv2
import numpy as np

from mien.faces.canonical import Floats, canonical, smoothstep
from mien.processors.mesh_swap.geometry import GRID
from mien.processors.mesh_swap.ops import gaussian
from mien.types import Frame


def restore(result: Frame, target: Frame, placed: Floats, original: Floats, shut: float, size: float) -> None:
    """Put the target's mouth opening into ``result`` (BGR crop, changed in place).

    ``target`` the target's crop, ``placed`` and ``original`` the moved and the target's own mesh in pixels of
    the crop, ``shut`` 0…1, ``size`` of the face in pixels.
    """
    lips, outline = (placed[canonical().groups[name], :2] for name in ("lips_inner", "lips_outer"))
    sigma = max(0.6, 0.006 * size)
    box = _box(outline, 3.0 * sigma + 2.0, result.shape)
    if box is None:
        return
    rows, columns = box
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    origin = np.array([columns.start, rows.start], np.float32)
    half = max(0.8, 0.03 * float(np.linalg.norm(placed[78, :2] - placed[308, :2])))
    opening = _widened(lips - origin, half * shut)
    # A shut mouth has no edge to keep: a softer one lets its line taper into the corners.
    soft = gaussian(_polygon(opening, shape), sigma + 0.6 * half * shut)
    weight = smoothstep(0.15, 0.75 + 0.15 * shut, soft) * (1.0 - 0.25 * shut)
    swapped = result[box].astype(np.float32)
    inside = _shifted(target, (lips - original[canonical().groups["lips_inner"], :2]).mean(0), box)
    if shut > 0:
        seam = gaussian(_polygon(lips - origin, shape, max(half, size / GRID)), 0.5 * sigma)
        around = _polygon(outline - origin, shape) * (1.0 - np.maximum(weight, seam))
        swapped += (_filled(swapped, around, half) - swapped) * (shut * seam)[..., None]
        inside += shut * (_line_shade(inside, swapped, around) - inside)
    swapped += (inside - swapped) * weight[..., None]
    result[box] = np.clip(swapped + 0.5, 0, 255).astype(np.uint8)


def _filled(swapped: Floats, lips: Floats, reach: float) -> Floats:
    """The lips' colour near each pixel, for where the map of a shut mouth runs over the source's teeth."""
    weighted = swapped * lips[..., None]
    share = gaussian(lips, 2.0 * reach) + 0.01 * gaussian(lips, 8.0 * reach) + 1e-5
    near = gaussian(weighted, 2.0 * reach) + 0.01 * gaussian(weighted, 8.0 * reach)
    mean = weighted.sum((0, 1)) / max(float(lips.sum()), 1e-3)
    return np.asarray((near + 1e-5 * mean) / share[..., None], np.float32)


def _line_shade(inside: Floats, swapped: Floats, lips: Floats) -> Floats:
    """The swapped lips' mean colour with the target's shading: its mouth line without its lipstick."""
    share = max(float(lips.sum()), 1e-3)
    mean = (swapped * lips[..., None]).sum((0, 1)) / share
    grey = cv2.cvtColor(inside, cv2.COLOR_BGR2GRAY)
    shade = grey - float((grey * lips).sum()) / share
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


def _box(points: Floats, margin: float, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """The part of the crop around points, or None if it is empty."""
    (x1, y1), (x2, y2) = points.min(0) - margin, points.max(0) + margin
    left, right = max(0, int(x1)), min(shape[1], int(x2) + 1)
    top, bottom = max(0, int(y1)), min(shape[0], int(y2) + 1)
    return (slice(top, bottom), slice(left, right)) if right - left >= 2 and bottom - top >= 2 else None


def _polygon(contour: Floats, shape: tuple[int, int], grown: float = 0.0) -> Floats:
    """Filled contour, 0 or 1, drawn to a sixteenth of a pixel and grown by whole pixels on all sides."""
    canvas = np.zeros(shape, np.uint8)
    corners = np.rint(np.clip(contour, -2000, 30000) * 16).astype(np.int32)
    cv2.fillPoly(canvas, [corners], 255, cv2.LINE_AA, 4)
    if grown > 0:
        cv2.polylines(canvas, [corners], True, 255, max(1, round(2 * min(grown, 500.0))), cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255.0


def _shifted(target: Frame, shift: Floats, box: tuple[slice, slice]) -> Floats:
    """The target's pixels in ``box``, moved by ``shift``."""
    rows, columns = box
    matrix = np.array([[1, 0, columns.start - shift[0]], [0, 1, rows.start - shift[1]]], np.float64)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(target, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.float32)
