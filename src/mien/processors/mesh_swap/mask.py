"""How much of the swapped face each cell shows: soft at the rim, gone where hair or a turned head hide it."""

from __future__ import annotations

import cv2
import numpy as np

from mien.faces.canonical import Floats, smoothstep
from mien.processors.mesh_swap.geometry import Window
from mien.processors.mesh_swap.ops import gaussian
from mien.processors.mesh_swap.warp import FaceMap
from mien.types import Frame

_JUMP = 0.12
"""Change of depth between neighbours (share of the face's depth) across which no map may be interpolated."""
_JUMP_RIM = 2.0
_SOFTEN = 0.012
"""Blur of the finished mask, share of the crop's longer side."""


def alpha(mapping: FaceMap, window: Window, feather: float, source_alpha: Floats, clear: Floats) -> Floats:
    """Opacity on the grid, 0…1.

    ``feather`` width of the soft rim as a share of the face's size, ``source_alpha`` the source's opacity and
    ``clear`` 1 - occlusion of the target, both on the grid.
    """
    rows, columns = mapping.covered.shape
    full = window.full * max(columns / window.width, rows / window.height)
    distance = rim_distance(mapping.covered, window)
    mask = smoothstep(0.05, 1.0, distance / max(feather * full, 1e-3))
    mask *= mapping.seen * source_alpha * clear * no_jump(mapping.depth, distance)
    return np.clip(gaussian(mask, max(0.6, _SOFTEN * full)), 0.0, 1.0)


def rim_distance(covered: Frame, window: Window) -> Floats:
    """Distance of each cell to the rim of the face, in cells; the picture's own edge is no rim."""
    rows, columns = covered.shape
    pads = [max(rows, columns) if cut else 1 for cut in window.cut]
    padded = np.pad(covered, (pads[:2], pads[2:]), "edge")
    top, bottom, left, right = (0 if cut else 1 for cut in window.cut)
    padded[:top] = 0
    padded[padded.shape[0] - bottom :] = 0
    padded[:, :left] = 0
    padded[:, padded.shape[1] - right :] = 0
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    return np.ascontiguousarray(distance[pads[0] : pads[0] + rows, pads[2] : pads[2] + columns], np.float32)


def no_jump(depth: Floats, distance: Floats) -> Floats:
    """0 where depth jumps (nose against far cheek), for a dark line would run there; else 1."""
    jump = np.zeros(depth.shape, np.float32)
    across = np.abs(np.diff(depth, axis=1)) > _JUMP
    down = np.abs(np.diff(depth, axis=0)) > _JUMP
    jump[:, 1:][across] = 1.0
    jump[:, :-1][across] = 1.0
    jump[1:][down] = 1.0
    jump[:-1][down] = 1.0
    jump[distance <= _JUMP_RIM] = 0.0
    if not jump.any():
        return np.ones(depth.shape, np.float32)
    wide = np.asarray(cv2.dilate(jump, np.ones((3, 3), np.uint8)), np.float32)
    return 1.0 - gaussian(wide, 1.0)
