"""The mouth opening: the target's own teeth and tongue, or, when it is shut, the shade of its line between the lips."""

from __future__ import annotations

import cv2
import numpy as np

from mien.faces.canonical import Floats, canonical, smoothstep
from mien.processors.mesh_swap.geometry import gaussian
from mien.types import Frame


def restore(result: Frame, target: Frame, placed: Floats, original: Floats, shut: float, size: float) -> None:
    """Put the target's mouth opening into ``result`` (BGR crop, changed in place).

    ``target`` the target's crop, ``placed`` and ``original`` the moved and the target's own mesh in pixels of the
    crop, ``shut`` 0…1, ``size`` of the face in pixels.
    """
    lips = canonical().groups["lips_inner"]
    width = float(np.linalg.norm(placed[78, :2] - placed[308, :2]))
    opening = _widened(placed[lips, :2], max(0.8, 0.03 * width) * shut)
    sigma = max(0.6, 0.006 * size)
    box = _box(placed[canonical().groups["lips_outer"], :2], 3.0 * sigma + 2.0, result.shape)
    if box is None:
        return
    rows, columns = box
    origin = np.array([columns.start, rows.start], np.float32)
    weight = _soft_polygon(opening - origin, (rows.stop - rows.start, columns.stop - columns.start), sigma)
    weight *= 1.0 - 0.35 * shut
    shift = (placed[lips, :2] - original[lips, :2]).mean(0)
    inside = _shifted(target, shift, box)
    swapped = result[box].astype(np.float32)
    if shut > 0:
        around = _polygon(placed[canonical().groups["lips_outer"], :2] - origin, weight.shape) * (1.0 - weight)
        inside += shut * (_line_shade(inside, swapped, around) - inside)
    swapped += (inside - swapped) * weight[..., None]
    result[box] = np.clip(swapped + 0.5, 0, 255).astype(np.uint8)


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


def _polygon(contour: Floats, shape: tuple[int, ...]) -> Floats:
    """Filled contour, 0 or 1, drawn to a sixteenth of a pixel."""
    canvas = np.zeros(shape[:2], np.uint8)
    corners = np.clip(contour, -2000, 30000) * 16
    cv2.fillPoly(canvas, [np.rint(corners).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255.0


def _soft_polygon(contour: Floats, shape: tuple[int, int], sigma: float) -> Floats:
    return smoothstep(0.15, 0.75, gaussian(_polygon(contour, shape), sigma))


def _shifted(target: Frame, shift: Floats, box: tuple[slice, slice]) -> Floats:
    """The target's pixels in ``box``, moved by ``shift``."""
    rows, columns = box
    matrix = np.array([[1, 0, columns.start - shift[0]], [0, 1, rows.start - shift[1]]], np.float64)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(target, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.float32)


