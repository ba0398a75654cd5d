"""Give one picture the colours of another: by their low frequencies, and by how alike their colours are.

The method is FaceFusion 3.8.1's. ``compat=True`` repeats its four passes; otherwise one pass does, which on smooth
pictures differs by at most four of 255 levels (what the passes lose by cutting off fractions) and costs a fifth.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Frame

Size: TypeAlias = tuple[int, int]

COARSE = 16
"""Side, in pixels, of the picture in which colours are compared."""
PASSES = 3
HUE_BINS, SATURATION_BINS = 50, 60


def match_colour(source: Frame, target: Frame, *, compat: bool = False) -> Frame:
    """``target`` (any size) with the coarse colours of ``source``; both BGR uint8."""
    height, width = target.shape[:2]
    if not compat:
        return _equalised(source, target, (COARSE, COARSE), rounded=True)
    for step in range(PASSES):
        side = round((COARSE + step * (height - COARSE) / PASSES) / 2) * 2
        source = _equalised(source, target, (side, side))
    return _equalised(source, target, (width, height))


def match_colour_by_likeness(source: Frame, target: Frame, *, compat: bool = False) -> Frame:
    """``target`` with the colours of ``source``, by as much as the colours of the two are alike already."""
    share = (_likeness(source, target) + 1) / 2
    matched = match_colour(source, target, compat=compat)
    return np.asarray(cv2.addWeighted(target, 1 - share, matched, share, 0), np.uint8)


def _equalised(source: Frame, target: Frame, size: Size, *, rounded: bool = False) -> Frame:
    """``target`` plus what ``source`` differs from it at a small size."""
    small_source, small_target = (
        cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) for image in (source, target)
    )
    width, height = target.shape[1], target.shape[0]
    difference: NDArray[np.float32] = np.asarray(
        cv2.resize(small_source - small_target, (width, height), interpolation=cv2.INTER_CUBIC), np.float32
    )
    difference += target
    if rounded:
        difference += 0.5
    return difference.clip(0, 255).astype(np.uint8)


def _likeness(first: Frame, second: Frame) -> float:
    """Correlation, −1 to 1, of how often each pair of hue and saturation occurs."""
    histograms = [
        cv2.calcHist(
            [cv2.cvtColor(image, cv2.COLOR_BGR2HSV)],
            [0, 1],
            None,
            [HUE_BINS, SATURATION_BINS],
            [0, 180, 0, 256],
        )
        for image in (first, second)
    ]
    return float(cv2.compareHist(histograms[0], histograms[1], cv2.HISTCMP_CORREL))
