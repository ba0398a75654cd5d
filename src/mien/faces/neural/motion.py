"""How a face moved from one frame to the next: optical flow over the face, as one similarity."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.align import Matrix, invert, merge, transform
from mien.types import Box, Frame

Gray: TypeAlias = NDArray[np.uint8]

SIDE = 160
"""Pixels to which the longer side of what is looked at is reduced; a face is then about 100 pixels wide."""
AROUND = 0.3
"""Share of the box that is looked at on each side of it, so that a face can move within it."""
INNER = 0.12
"""Share of the box at its rim that is left out: background shows there."""
GRID = 9
"""Points in a row and in a column of the grid that is followed."""
WINDOW = (13, 13)
LEVELS = 3
RETURN = 0.7
"""A point that flows forth and back must come home within so many pixels of the reduced picture."""
STRAY = 1.2
"""Pixels of the reduced picture by which a point may leave the common motion."""
ENOUGH = 0.35
"""Share of the grid that must agree on the motion; below that the face counts as lost."""


def motion(before: Frame, after: Frame, box: Box) -> Matrix | None:
    """The similarity by which the face in ``box`` of one frame came to where it is in the other; None if lost."""
    window = _window(box, before)
    if window is None:
        return None
    x1, y1, x2, y2 = window
    scale = min(1.0, SIDE / max(x2 - x1, y2 - y1))
    # Pixel centre j of the reduced picture lies at x1 + (j + 0.5) / scale - 0.5 of the frame.
    shift = (scale - 1) / 2
    to_small = np.array([[scale, 0, shift - x1 * scale], [0, scale, shift - y1 * scale]], np.float64)
    first, second = (_reduced(frame[y1:y2, x1:x2], scale) for frame in (before, after))
    points = transform(_grid(box), to_small).astype(np.float32)
    moved, home = _flow(first, second, points)
    here = home & (moved >= 0).all(axis=1) & (moved < first.shape[::-1]).all(axis=1)
    if here.sum() < ENOUGH * len(points):
        return None
    found, agree = cv2.estimateAffinePartial2D(
        points[here], moved[here], method=cv2.RANSAC, ransacReprojThreshold=STRAY
    )
    if found is None or int(agree.sum()) < ENOUGH * len(points):
        return None
    return merge(to_small, np.asarray(found, np.float64), invert(to_small))


def moved_box(box: Box, matrix: Matrix) -> Box:
    """A box after a motion: its centre is moved, its size scaled; it does not grow when a face is turned."""
    x, y = transform([box.center], matrix)[0]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    half = box.width * scale / 2, box.height * scale / 2
    return Box(float(x) - half[0], float(y) - half[1], float(x) + half[0], float(y) + half[1])


def _window(box: Box, frame: Frame) -> tuple[int, int, int, int] | None:
    """The part of a frame round a box that is looked at; None if there is too little of it."""
    height, width = frame.shape[:2]
    x1, y1, x2, y2 = (int(side) for side in box.expanded(AROUND).as_tuple())
    x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    return None if min(x2 - x1, y2 - y1) < max(WINDOW) else (x1, y1, x2, y2)


def _reduced(part: Frame, scale: float) -> Gray:
    gray = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    if scale == 1:
        return np.asarray(gray, np.uint8)
    size = (max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1))
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)


def _grid(box: Box) -> NDArray[np.float64]:
    x, y = (
        np.linspace(low + INNER * (high - low), high - INNER * (high - low), GRID)
        for low, high in ((box.x1, box.x2), (box.y1, box.y2))
    )
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _flow(
    first: Gray, second: Gray, points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where points went, and which of them flow back to where they came from."""
    moved, seen, _ = cv2.calcOpticalFlowPyrLK(
        first, second, points[:, None], np.empty(0), winSize=WINDOW, maxLevel=LEVELS
    )
    back, seen_back, _ = cv2.calcOpticalFlowPyrLK(
        second, first, moved, np.empty(0), winSize=WINDOW, maxLevel=LEVELS
    )
    away = np.linalg.norm(back[:, 0] - points, axis=1)
    home = (seen[:, 0] == 1) & (seen_back[:, 0] == 1) & (away < RETURN)
    return np.asarray(moved[:, 0], np.float32), np.asarray(home, np.bool_)
