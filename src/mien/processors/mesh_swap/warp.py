"""The dense map from the target's crop to the source's pixels, and the pixels that it fetches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from mien.faces.canonical import MESH_COUNT, Floats, Indices, canonical, with_lip_copies
from mien.processors.mesh_swap.geometry import UNCOVERED, depth_of, rasterise
from mien.processors.mesh_swap.ops import Size, box_sum, remap, split, stretch
from mien.processors.mesh_swap.source import SourceFace, Version
from mien.types import Frame

_RIM = 7
"""Box of cells whose mean continues the map beyond the face, so that upsampling stays valid at the rim."""
_INTO_LIP = 0.2
_SMOOTH_BELOW = 0.55
"""Ratio of sizes below which linear interpolation would show the source's pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceMap:
    """The warp on the coarse grid (rows×columns each)."""

    x: Floats
    """Source x as a share of the source crop's width; continued 3 cells beyond the face."""
    y: Floats
    seen: Floats
    """Visibility in source and target, 0…1; 0 outside the face."""
    covered: Frame
    """255 on the face, 0 outside."""
    depth: Floats
    """0 (near) … 1 (far) on the face."""


def face_map(
    source: SourceFace, grid_points: Floats, placed: Floats, seen: Floats, shut: float, size: Size
) -> FaceMap:
    """Rasterise where each cell's pixels lie in the source.

    ``grid_points`` 474×2, ``placed`` the mesh in picture pixels (474×3, for depth), ``seen`` 474 visibility in
    the target, ``shut`` 0…1 how shut the target's mouth is, ``size`` (columns, rows).
    """
    width, height = source.size
    from_points = _lips_together(source.points, shut)
    values = np.empty((len(from_points), 3), np.float32)
    values[:, 0] = (from_points[:, 0] + 0.5) / width
    values[:, 1] = (from_points[:, 1] + 0.5) / height
    values[:, 2] = source.seen * np.append(seen, seen[canonical().lip_copies])
    points = with_lip_copies(grid_points)
    cells, depth = rasterise(points, with_lip_copies(depth_of(placed)), _triangles(), values, size)
    covered = (cells[..., 2] > UNCOVERED / 2).astype(np.uint8)
    cells = _continued(cells, covered)
    x, y, visible = split(cells)
    return FaceMap(x, y, visible * covered, covered * np.uint8(255), depth)


def version_for(source: SourceFace, ratio: float) -> Version:
    """The version of the source to read where its face is ``ratio`` times as large as the target's."""
    level = max(math.floor(math.log2(max(ratio, 0.001)) + 0.3), 0)
    if ratio < _SMOOTH_BELOW:
        level = -1 if ratio >= _SMOOTH_BELOW / 2 else -2
    return source.versions[min(max(level, min(source.versions)), max(source.versions))]


def fetch(source: SourceFace, mapping: FaceMap, target_area: float, size: Size) -> tuple[Frame, float]:
    """Bring the source's pixels (YCrCb) to the target's crop of ``size``; returns the ratio of sizes too."""
    ratio = math.sqrt(source.area / max(target_area, 1.0))
    version = version_for(source, ratio)
    width, height = (side * version.scale for side in source.size)
    x = stretch(mapping.x * width - version.edge, size)
    y = stretch(mapping.y * height - version.edge, size)
    # Where no doubling is kept the pixels of the source would show without a smoother interpolation.
    enlarges = ratio * version.scale < _SMOOTH_BELOW
    return remap(version.pixels, x, y, cv2.INTER_CUBIC if enlarges else cv2.INTER_LINEAR), ratio


def sample(values: Floats, mapping: FaceMap) -> Floats:
    """Look up a map over the source's crop (rows×columns) at each cell of the grid."""
    rows, columns = values.shape
    return remap(values, mapping.x * columns - 0.5, mapping.y * rows - 0.5)


@cache
def _triangles() -> Indices:
    data = canonical()
    return np.concatenate([data.surface_triangles, data.mouth_triangles_copied])


@cache
def _lip_join() -> tuple[Indices, Indices]:
    """For each copied inner-lip point: the point to which a shut mouth takes it, and the outer lip there."""
    data = canonical()
    upper, lower, corners = data.lip_rows
    goal = {int(point): (int(point), 0) for point in data.lip_copies}
    for near, rows in ((upper[0], lower), (lower[0], lower), (corners[0], corners)):
        goal.update(zip(map(int, near), zip(map(int, rows[0]), map(int, rows[-1]), strict=True), strict=True))
    inner, outer = np.asarray([goal[int(point)] for point in data.lip_copies], np.int32).T
    return inner, outer


def _lips_together(points: Floats, shut: float) -> Floats:
    """Let a shut mouth show lip and not the source's teeth: the copied inner lip moves into the lower lip."""
    if shut <= 0:
        return points
    inner, outer = _lip_join()
    goal = points[inner] + _INTO_LIP * (points[outer] - points[inner])
    moved = points.copy()
    moved[MESH_COUNT:] += shut * (goal - moved[MESH_COUNT:])
    return moved


def _continued(cells: Floats, covered: Frame) -> Floats:
    """Give the cells just outside the face the mean of the face's cells around them."""
    weight = covered.astype(np.float32)
    sums, counts = box_sum(cells * weight[..., None], _RIM), box_sum(weight, _RIM)
    means = sums / np.maximum(counts, 1.0)[..., None]
    return np.where(covered[..., None] > 0, cells, means)
