"""Noticing where a video cuts to another scene."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Frame

THUMB = (32, 18)
CHANGE = 14.0
"""Mean change of grey level (0 to 255) below which no cut is seen, whatever else."""
JUMP = 2.5
"""A cut changes this many times more than frames did just before it."""
ALIKE = 0.7
"""Correlation above which it is the same scene in other light: a flash, a change of exposure."""
MEMORY = 0.2
"""Share of each frame in the running mean of changes."""


class SceneCuts:
    """Compares each frame with the one before, in order; the first frame is no cut."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._usual = 0.0

    def update(self, image: Frame) -> bool:
        """Say whether a new scene starts with this frame."""
        thumb, last = thumbnail(image), self._last
        self._last = thumb
        if last is None:
            return False
        change = float(np.abs(thumb - last).mean())
        cut = change > CHANGE and change > JUMP * self._usual + 4 and _correlation(thumb, last) < ALIKE
        self._usual = 0.0 if cut else self._usual + MEMORY * (change - self._usual)
        return cut


def thumbnail(image: Frame) -> NDArray[np.float32]:
    """The frame as 18×32×3 float32; pixels are skipped first, so it costs the same for all sizes."""
    height, width = image.shape[:2]
    sparse = np.ascontiguousarray(image[:: max(height // 90, 1), :: max(width // 160, 1)])
    return cv2.resize(sparse, THUMB, interpolation=cv2.INTER_AREA).astype(np.float32)


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Correlation of the two pictures' grey levels, -1 to 1; 0 where one of them is flat."""
    x, y = (picture.mean(2) - picture.mean() for picture in (a, b))
    size = float(np.sqrt((x * x).sum() * (y * y).sum()))
    if size < 1e-3:
        return 0.0
    return float((x * y).sum()) / size
