"""Where the work happens: the crop of a face, the coarse grids laid over it, and the rasteriser.

Grid coordinates follow pixel centres: cell i of a grid covers its share of the crop, and its centre is at i.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from mien.faces.canonical import Floats, Indices
from mien.types import Points

MARGIN = 0.05
"""Share of the face's box that is added on each side of the crop."""
GRID = 128
"""Cells along the longer side of the grid on which maps and masks are made."""
STATS = 64
"""Cells along both sides of the grid for statistics; always square, so that it can be averaged over time."""
UNCOVERED = -1.0

_DEPTH_SPAN = 0.02
_NEAR, _FAR = 0.1, 10.0
_CAMERA = np.eye(4, dtype=np.float32)
_BEYOND = 8.0
"""Vertices farther out than this many grids are pulled in; only meshes that are no faces have them."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a picture that is worked on, in whole pixels and inside the picture.

    ``full`` is the longer side of the face's box with margins, also where the picture cuts the box off;
    ``cut`` tells for top, bottom, left and right whether it does.
    """

    x: int
    y: int
    width: int
    height: int
    full: float
    cut: tuple[bool, bool, bool, bool]

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the window in an H×W array."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def grid_size(self, cells: int = GRID) -> tuple[int, int]:
        """(columns, rows) of a grid with at most ``cells`` along the longer side, never finer than pixels."""
        scale = min(1.0, cells / max(self.width, self.height))
        return max(2, round(self.width * scale)), max(2, round(self.height * scale))

    def to_grid(self, points: Points, columns: int, rows: int) -> Floats:
        """Picture coordinates (N×2 or more) to grid coordinates, N×2."""
        scale = np.array([columns / self.width, rows / self.height], np.float32)
        origin = np.array([self.x - 0.5, self.y - 0.5], np.float32)
        return np.asarray((points[:, :2] - origin) * scale - 0.5, np.float32)


def window_around(points: Points, picture: tuple[int, int]) -> Window | None:
    """Crop for the face at ``points`` in a picture of (width, height); None if less than 8 px are inside."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    size = high - low
    low, high = low - size * MARGIN, high + size * MARGIN
    x1, y1 = (max(0, math.floor(value)) for value in low)
    x2, y2 = (min(limit, math.ceil(value) + 1) for limit, value in zip(picture, high, strict=True))
    if x2 - x1 < 8 or y2 - y1 < 8:
        return None
    cut = (bool(low[1] < 0), bool(high[1] > picture[1]), bool(low[0] < 0), bool(high[0] > picture[0]))
    return Window(x1, y1, x2 - x1, y2 - y1, float((high - low).max()), cut)


def depth_of(points: Points) -> Floats:
    """Depth of N×3 points scaled to 0 (nearest) … 1 (farthest)."""
    z = points[:, 2]
    near, far = float(z.min()), float(z.max())
    return np.asarray((z - near) / max(far - near, 1e-6), np.float32)


def rasterise(
    grid_points: Floats, depth: Floats, triangles: Indices, values: Floats, size: tuple[int, int]
) -> tuple[Floats, Floats]:
    """Interpolate three values per vertex over the nearest triangle of each cell.

    ``grid_points`` N×2, ``depth`` N (0 near to 1 far), ``values`` N×3 in 0…1, ``size`` (columns, rows).
    Returns rows×columns×3 values, ``UNCOVERED`` without a triangle, and rows×columns depth, 0…1 on the face.
    """
    columns, rows = size
    limit = _BEYOND * max(size)
    x, y = np.clip(grid_points, -limit, limit).T
    z = 1.0 + _DEPTH_SPAN * depth
    half = rows / 2
    vertices = np.stack([(x + 0.5 - columns / 2) / half * z, -(y + 0.5 - half) / half * z, -z], axis=1)
    colours = np.full((rows, columns, 3), UNCOVERED, np.float32)
    depths = np.full((rows, columns), _FAR, np.float32)
    settings = cv2.TriangleRasterizeSettings().setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    settings = settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    cv2.triangleRasterize(
        vertices.astype(np.float32),
        triangles,
        np.clip(values, 0.0, 1.0).astype(np.float32),
        colours,
        depths,
        _CAMERA,
        math.pi / 2,
        _NEAR,
        _FAR,
        settings,
    )
    return colours, np.asarray((depths - 1.0) / _DEPTH_SPAN, np.float32)


def area(points: Points, contour: Indices) -> float:
    """Area in square pixels inside a closed contour of a mesh."""
    return float(cv2.contourArea(np.ascontiguousarray(points[contour, :2], np.float32)))
