"""Where a face lies in a frame, as a convex outline: what the anonymiser covers and the debugger draws."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.canonical import BASE_COUNT, canonical
from mien.types import Box, Face, Mask, Points

ELLIPSE_POINTS = 32
LARGEST_COORDINATE = 1e6
"""Points farther out than this come from a broken measurement; integer drawing would overflow."""


def outline(face: Face) -> Points:
    """Convex hull (N×2 float32, frame pixels) of all that is known of the face; empty if nothing is finite.

    It joins the mesh oval where there is a mesh, the 68 points, and the ellipse inside the detector's box, so
    that one bad measurement cannot uncover the face.
    """
    parts = [face.landmarks.sixty_eight, ellipse(face.box)]
    if face.landmarks.mesh is not None and len(face.landmarks.mesh) >= BASE_COUNT:
        parts.append(face.landmarks.mesh[canonical().groups["oval"], :2])
    return hull(np.concatenate([np.asarray(part, np.float32)[:, :2] for part in parts]))


def ellipse(box: Box) -> Points:
    """The ellipse inside a box as 32 points; empty for an inverted box."""
    if not (box.width > 0 and box.height > 0):
        return np.empty((0, 2), np.float32)
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)
    x, y = box.center
    points = np.stack([x + np.cos(angle) * box.width / 2, y + np.sin(angle) * box.height / 2], axis=1)
    return points.astype(np.float32)


def hull(points: Points) -> Points:
    """Convex hull of the finite points (N×2 float32)."""
    usable = np.isfinite(points).all(axis=1) & (np.abs(points) < LARGEST_COORDINATE).all(axis=1)
    points = np.ascontiguousarray(points[usable], dtype=np.float32)
    if len(points) < 3:
        return np.empty((0, 2), np.float32)
    return np.asarray(cv2.convexHull(points), np.float32).reshape(-1, 2)


def bounds(points: Points) -> Box:
    """The box round some points (at least one)."""
    low, high = points.min(axis=0), points.max(axis=0)
    return Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def grown(points: Points, share: float) -> Points:
    """The outline pushed outwards from the centre of its box by ``share`` of its size in each direction."""
    center = np.array(bounds(points).center, np.float32)
    return np.asarray(center + (points - center) * np.float32(1 + share), np.float32)


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole pixels inside a frame."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def rows(self) -> slice:
        """Rows of the window."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """Columns of the window."""
        return slice(self.left, self.right)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.right - self.left, self.bottom - self.top


def window(box: Box, width: int, height: int, pad: float = 0.0) -> Window | None:
    """The part of a frame that ``box``, padded by some pixels, touches; None if it touches none."""
    left, top = int(np.floor(box.x1 - pad)), int(np.floor(box.y1 - pad))
    right, bottom = int(np.ceil(box.x2 + pad)) + 1, int(np.ceil(box.y2 + pad)) + 1
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    return Window(left, top, right, bottom) if left < right and top < bottom else None


def polygon_mask(points: Points, area: Window, feather: float) -> Mask:
    """1 inside the convex outline, falling to 0 over ``feather`` pixels outside; height×width of the window."""
    width, height = area.size
    pad = int(np.ceil(feather)) + 1
    inside: NDArray[np.uint8] = np.zeros((height + 2 * pad, width + 2 * pad), np.uint8)
    local = points - np.array([area.left - pad, area.top - pad], np.float32)
    cv2.fillConvexPoly(inside, np.round(local * 16).astype(np.int32), 255, shift=4)
    away = cv2.distanceTransform(255 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    ramp = np.clip(1 - away / np.float32(max(feather, 1e-3)), 0, 1)
    return np.ascontiguousarray(ramp[pad : pad + height, pad : pad + width], dtype=np.float32)
