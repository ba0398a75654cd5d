"""Non-maximum suppression over boxes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Thresholds of FaceFusion 3.8.1, by the number of angles at which faces were looked for: the more angles,
# the more often one face is found twice in boxes that agree less.
IOU_BY_ANGLES: Mapping[int, float] = MappingProxyType({1: 0.4, 2: 0.3, 3: 0.2, 4: 0.1})
IOU_OF_MANY = 0.1


def iou_threshold(detectors: int, angles: int) -> float:
    """The overlap above which two boxes are one face, for a number of detectors and of angles."""
    return IOU_OF_MANY if detectors > 1 else IOU_BY_ANGLES.get(angles, 0.4)


def suppress(boxes: ArrayLike, scores: ArrayLike, score: float, iou: float) -> NDArray[np.intp]:
    """Indices of the boxes (N×4: x1, y1, x2, y2) to keep, best first.

    Only boxes with a score **above** ``score`` are candidates; a candidate stays if its overlap with every
    better one that stays is at most ``iou``.
    """
    corners, certainty = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(scores, np.float32).ravel()
    order = np.argsort(-certainty, kind="stable")
    order = order[certainty[order] > np.float32(score)]
    areas = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    kept: list[int] = []
    while order.size:
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        low = np.maximum(corners[best, :2], corners[rest, :2])
        high = np.minimum(corners[best, 2:], corners[rest, 2:])
        overlap = np.prod((high - low).clip(0), axis=1)
        union = areas[best] + areas[rest] - overlap
        share = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
        order = rest[share <= iou]
    return np.array(kept, np.intp)
