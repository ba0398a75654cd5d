"""Turned squares of a frame: cutting one out for a network, and putting the network's points back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Frame, Points

SHRINK_FROM = 2.0
"""Regions with more than this many frame pixels a crop pixel are averaged down first, against aliasing."""
SHRINK_KEEPS = 1.2
"""Frame pixels that are left a crop pixel after averaging down, at least."""


@dataclass(frozen=True, slots=True)
class Region:
    """A square of a frame: centre and side in pixels, angle in radians (clockwise as seen, y points down)."""

    x: float
    y: float
    side: float
    angle: float
    mirrored: bool = False
    """True if the crop shows the region flipped left to right, along the square's own axis."""

    def matrix(self, size: int) -> NDArray[np.float64]:
        """2×3: crop coordinates (0 to ``size`` over the side) to frame coordinates."""
        step = self.side / size
        c, s = step * math.cos(self.angle), step * math.sin(self.angle)
        flip = -1.0 if self.mirrored else 1.0
        turn = np.array([[c * flip, -s], [s * flip, c]])
        half = np.full(2, size / 2)
        return np.column_stack([turn, np.array([self.x, self.y]) - turn @ half])


def region_of_points(points: Points, angle: float, share: float) -> Region:
    """The square at ``angle`` around N×2 points, its side ``share`` times their longer extent."""
    c, s = math.cos(angle), math.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    upright = points @ turn
    low, high = upright.min(0), upright.max(0)
    x, y = (turn @ ((low + high) / 2)).tolist()
    return Region(x, y, max(share * float((high - low).max()), 1.0), angle)


def crop(image: Frame, region: Region, size: int) -> NDArray[np.float32]:
    """Cut a region out of a BGR frame: size×size×3 float32, RGB, 0 to 1; the frame's rim is repeated."""
    matrix = region.matrix(size)
    if region.side > SHRINK_FROM * size:
        factor = min(int(region.side / size / SHRINK_KEEPS), *image.shape[:2])
        image, matrix = _shrunk(image, region, matrix, factor)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    picture = cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return picture[:, :, ::-1] * np.float32(1 / 255)


def place(points: NDArray[np.float32], region: Region, size: int) -> Points:
    """Put N×2 or N×3 crop points back into the frame; z is scaled like x."""
    matrix = region.matrix(size)
    flat = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return np.column_stack([flat, points[:, 2:] * (region.side / size)]).astype(np.float32)


def _shrunk(
    image: Frame, region: Region, matrix: NDArray[np.float64], factor: int
) -> tuple[Frame, NDArray[np.float64]]:
    """Average the frame around the region down by a whole factor; returns it with the matrix that fits it."""
    height, width = image.shape[:2]
    reach = region.side * (abs(math.cos(region.angle)) + abs(math.sin(region.angle))) / 2 + factor
    x1, x2 = _clipped(region.x - reach, region.x + reach, width, factor)
    y1, y2 = _clipped(region.y - reach, region.y + reach, height, factor)
    columns, rows = (x2 - x1) // factor, (y2 - y1) // factor
    part = image[y1 : y1 + rows * factor, x1 : x1 + columns * factor]
    small = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    shifted = matrix.copy()
    shifted[:, 2] -= (x1 + (factor - 1) / 2, y1 + (factor - 1) / 2)
    return np.asarray(small, np.uint8), shifted / factor


def _clipped(start: float, end: float, length: int, least: int) -> tuple[int, int]:
    """Clip a span of pixels to the frame, leaving at least ``least`` pixels of it."""
    least = min(least, length)
    first = int(min(max(math.floor(start), 0), length - least))
    return first, int(max(min(math.ceil(end), length), first + least))
