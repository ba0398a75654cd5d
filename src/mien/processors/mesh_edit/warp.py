"""From moved points to moved pixels."""

from __future__ import annotations

import cv2
import numpy as np

from mien.faces.canonical import MESH_COUNT, Floats, canonical, fit_pose, smoothstep, with_lip_copies
from mien.processors.mesh_edit import eyes
from mien.processors.mesh_edit.sliders import Edit, displaced
from mien.processors.mesh_swap.geometry import UNCOVERED, Window, depth_of, rasterise, window_around
from mien.processors.mesh_swap.ops import gaussian, remap, stretch
from mien.types import Frame, Points

GRID = 320
"""Cells along the longer side of the crop on which the displacement is made."""
SOFTEN = 1.5
"""Sigma in cells: no fold or crease shows where triangles meet."""
BEHIND_LIPS = 0.15
"""Share of the face's depth by which the mouth's inside is set back: closing lips pass in front of it."""
TURNED = (60.0, 35.0)
"""Degrees of yaw between which edits fade out: in profile half of the face is not in the picture."""


def edit_face(image: Frame, mesh: Points, edit: Edit) -> None:
    """Edit one face, in the image itself.

    ``image`` H×W×3 BGR, writable; ``mesh`` 474×3 in its pixels. Nothing outside the face oval changes, but for
    the width of the softening. A mesh that is no face, or lies outside the image, leaves it as it is.
    """
    if not np.isfinite(mesh).all():
        return
    window = window_around(mesh, (image.shape[1], image.shape[0]))
    if window is None:
        return
    try:
        fit = fit_pose(mesh)
    except (ValueError, np.linalg.LinAlgError):
        return
    frontal = float(smoothstep(*TURNED, abs(fit.pose.yaw)))
    if frontal <= 0:
        return
    shape = fit.pose_free(mesh)
    new_mesh = mesh + frontal * (fit.place(displaced(shape, edit)) - mesh)
    crop = np.ascontiguousarray(image[window.slices])
    result = _moved_skin(crop, mesh, new_mesh, window)
    if edit.moves_eyes:
        origin = np.array([window.x, window.y], np.float32)
        gaze = (edit.gaze_x * frontal, -edit.gaze_y * frontal)
        result = eyes.draw(result, crop, mesh[:, :2] - origin, new_mesh[:, :2] - origin, gaze)
    image[window.slices] = result


def _moved_skin(crop: Frame, mesh: Points, new_mesh: Points, window: Window) -> Frame:
    """Pull the crop's pixels along with the points."""
    shift = displacement(mesh, new_mesh, window)
    rows, columns = np.indices(crop.shape[:2], dtype=np.float32)
    return remap(crop, columns + shift[..., 0], rows + shift[..., 1], cv2.INTER_CUBIC)


def displacement(mesh: Points, new_mesh: Points, window: Window) -> Floats:
    """Where each pixel comes from, relative to itself: height×width×2 of the window; 0 off the face."""
    data = canonical()
    back = with_lip_copies(np.asarray(mesh[:, :2] - new_mesh[:, :2], np.float32))
    reach = max(float(np.abs(back).max()), 1e-3)
    values = np.zeros((len(back), 3), np.float32)
    values[:, :2] = 0.5 + 0.5 * back / reach
    columns, rows = window.grid_size(GRID)
    points = with_lip_copies(window.to_grid(new_mesh, columns, rows))
    depth = with_lip_copies(depth_of(new_mesh))
    depth[MESH_COUNT:] += BEHIND_LIPS
    triangles = np.concatenate([data.surface_triangles, data.mouth_triangles_copied])
    cells, _ = rasterise(points, depth, triangles, values, (columns, rows))
    covered = cells[..., :1] > UNCOVERED / 2
    shift = np.where(covered, (cells[..., :2] - 0.5) * 2 * reach, 0).astype(np.float32)
    shift = gaussian(shift, SOFTEN)
    shift[np.abs(shift).max(axis=2) < 0.02] = 0
    return stretch(shift, (window.width, window.height))
