"""Face detection with BlazeFace: letterbox, decode, weighted non-maximum suppression, tiles.

Anchors, decoding and thresholds are those of the published model graphs (MediaPipe,
face_detection_short_range and face_detection_full_range_sparse).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Box, Frame, Points

if TYPE_CHECKING:
    from mien.inference.session import Session

Range: TypeAlias = Literal["short", "full"]
Rows: TypeAlias = NDArray[np.float32]
"""N×17: x1 y1 x2 y2, six points x y, score; frame pixels."""

MERGE_IOU = 0.3
"""Boxes that overlap by more are one face."""
TILE_SHARE = 0.6
"""Side of a tile as a share of the frame's long side."""
TILE_OVERLAP = 0.25
BORDER = 2.0
"""A box this near (pixels) to an inner border of its tile shows a face that was cut off."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What one of the two networks expects."""

    size: int
    """Side of the square input in pixels."""
    grids: tuple[tuple[int, int], ...]
    """(cells a side, anchors a cell)."""
    threshold: float
    """Score below which a box is no face."""


LAYOUTS: dict[Range, Layout] = {
    "short": Layout(128, ((16, 2), (8, 6)), 0.5),
    "full": Layout(192, ((48, 1),), 0.6),
}


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face as the detector sees it, in frame pixels."""

    box: Box
    score: float
    points: Points
    """6×2, sides as in the image: left eye, right eye, nose tip, mouth centre, left ear, right ear."""


@cache
def anchors(reach: Range) -> NDArray[np.float32]:
    """Centres of the anchors (N×2, shares of the input's side), row by row, in the order of the outputs."""
    parts = []
    for cells, per_cell in LAYOUTS[reach].grids:
        line = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        parts.append(np.repeat(grid, per_cell, axis=0))
    centres = np.concatenate(parts).astype(np.float32)
    centres.setflags(write=False)
    return centres


class BlazeFace:
    """The detector on one network. Holds no state between calls; safe from many threads if the session is."""

    def __init__(self, session: Session, reach: Range = "full") -> None:
        self.session = session
        self.reach: Range = reach
        self.layout = LAYOUTS[reach]

    def detect(
        self, image: Frame, *, threshold: float | None = None, tiles: bool = False
    ) -> tuple[Detection, ...]:
        """Find faces in an upright BGR frame, best first.

        With ``tiles`` the detector also looks at overlapping squares of the frame, which finds faces half as
        large (3 to 4 % of the long side) at four to six times the cost.
        """
        floor = self.layout.threshold if threshold is None else threshold
        rows = [self._look(image, floor)]
        if tiles:
            rows += [self._look_at_tile(image, tile, floor) for tile in tile_boxes(*image.shape[1::-1])]
        return merge(np.concatenate(rows))

    def _look(self, image: Frame, threshold: float) -> Rows:
        height, width = image.shape[:2]
        square, scale, left, top = letterbox(image, self.layout.size)
        boxes, logits = self._outputs(square)
        keep = np.flatnonzero(logits >= _logit(threshold))
        rows = decode(boxes[keep], anchors(self.reach)[keep], self.layout.size)
        rows[:, 0::2] = (rows[:, 0::2] - left) / scale[0]
        rows[:, 1::2] = (rows[:, 1::2] - top) / scale[1]
        score = 1.0 / (1.0 + np.exp(-np.clip(logits[keep], -80.0, 80.0)))
        found = np.concatenate([rows, score[:, None]], axis=1).astype(np.float32)
        centre = (found[:, :2] + found[:, 2:4]) / 2
        return found[((centre >= 0) & (centre <= (width, height))).all(axis=1)]

    def _look_at_tile(self, image: Frame, tile: tuple[int, int, int, int], threshold: float) -> Rows:
        x1, y1, x2, y2 = tile
        height, width = image.shape[:2]
        rows = self._look(image[y1:y2, x1:x2], threshold)
        whole = np.ones(len(rows), bool)
        for column, edge, inner in ((0, 0, x1 > 0), (1, 0, y1 > 0)):
            whole &= (rows[:, column] > edge + BORDER) | (not inner)
        for column, edge, inner in ((2, x2 - x1, x2 < width), (3, y2 - y1, y2 < height)):
            whole &= (rows[:, column] < edge - BORDER) | (not inner)
        rows = rows[whole]
        rows[:, 0:16:2] += x1
        rows[:, 1:16:2] += y1
        return rows

    def _outputs(self, square: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N×16 box numbers, N logits), whatever the order of the network's outputs."""
        first, second = self.session.run([square[None]])
        boxes, logits = (first, second) if first.shape[-1] == 16 else (second, first)
        return boxes.reshape(-1, 16), logits.reshape(-1)


def letterbox(image: Frame, size: int) -> tuple[NDArray[np.float32], tuple[float, float], int, int]:
    """Fit a BGR frame into a square of RGB values -1 to 1, centred, padded with -1.

    Returns the square (size×size×3), the scale in x and y, and the left and top margin.
    """
    height, width = image.shape[:2]
    ratio = size / max(height, width)
    w, h = max(round(width * ratio), 1), max(round(height * ratio), 1)
    small = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR)
    left, top = (size - w) // 2, (size - h) // 2
    square = np.full((size, size, 3), -1.0, np.float32)
    square[top : top + h, left : left + w] = small[:, :, ::-1] * np.float32(1 / 127.5) - np.float32(1)
    return square, (w / width, h / height), left, top


def decode(boxes: NDArray[np.float32], centres: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Turn N×16 raw numbers into corners and points, pixels of the input square."""
    at = centres * size
    middle, half = boxes[:, :2] + at, boxes[:, 2:4] / 2
    points = boxes[:, 4:] + np.tile(at, (1, 6))
    return np.concatenate([middle - half, middle + half, points], axis=1)


def merge(rows: Rows) -> tuple[Detection, ...]:
    """Weighted non-maximum suppression: overlapping boxes become their score-weighted mean, best first."""
    rows = rows[np.argsort(-rows[:, 16], kind="stable")]
    found = []
    while len(rows):
        same = _iou(rows[0], rows) > MERGE_IOU
        same[0] = True
        weights = rows[same, 16].astype(np.float64)
        mean = (rows[same, :16] * weights[:, None]).sum(0) / weights.sum()
        found.append(_detection(mean, float(rows[0, 16])))
        rows = rows[~same]
    return tuple(found)


def tile_boxes(width: int, height: int) -> tuple[tuple[int, int, int, int], ...]:
    """Squares (x1, y1, x2, y2) that cover the frame, cut off where the frame is narrower than a square."""
    side = max(round(TILE_SHARE * max(width, height)), 1)
    return tuple(
        (x, y, min(x + side, width), min(y + side, height))
        for y in _starts(height, side)
        for x in _starts(width, side)
    )


def turned(image: Frame, angle: int) -> Frame:
    """The frame turned counter-clockwise by ``angle``: a face that lay at that angle stands up."""
    return np.ascontiguousarray(np.rot90(image, angle // 90)) if angle else image


def turned_back(detections: Iterable[Detection], angle: int, width: int, height: int) -> Iterator[Detection]:
    """Map detections on ``turned(image, angle)`` to the frame itself, which is ``width`` × ``height``."""
    for item in detections:
        corners = np.asarray([[item.box.x1, item.box.y1], [item.box.x2, item.box.y2]])
        corners, points = (_turn_back(p, angle, width, height) for p in (corners, item.points))
        (x1, y1), (x2, y2) = corners.min(0).tolist(), corners.max(0).tolist()
        yield Detection(Box(x1, y1, x2, y2), item.score, points.astype(np.float32))


def detections_of(parts: Iterable[Iterable[Detection]]) -> tuple[Detection, ...]:
    """Merge what several passes over the same frame found."""
    rows = [
        np.concatenate([item.box.as_tuple(), item.points.ravel(), [item.score]])
        for part in parts
        for item in part
    ]
    return merge(np.asarray(rows, np.float32).reshape(-1, 17))


def _turn_back(points: NDArray[np.floating], angle: int, width: int, height: int) -> NDArray[np.floating]:
    x, y = points[:, 0], points[:, 1]
    columns: Sequence[NDArray[np.floating]] = {
        0: (x, y),
        90: (width - y, x),
        180: (width - x, height - y),
        270: (y, height - x),
    }[angle]
    return np.stack(columns, axis=1)


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = math.ceil((length - side) / (side * (1 - TILE_OVERLAP))) + 1
    return [round(k * (length - side) / (count - 1)) for k in range(count)]


def _iou(row: Rows, rows: Rows) -> NDArray[np.float32]:
    size = np.minimum(row[2:4], rows[:, 2:4]) - np.maximum(row[:2], rows[:, :2])
    overlap = np.clip(size, 0, None).prod(1)
    areas = np.clip(rows[:, 2:4] - rows[:, :2], 0, None).prod(1)
    union = areas + np.clip(row[2:4] - row[:2], 0, None).prod() - overlap
    return np.asarray(overlap / np.maximum(union, 1e-9), np.float32)


def _detection(row: NDArray[np.float64], score: float) -> Detection:
    x1, y1, x2, y2 = row[:4].tolist()
    return Detection(Box(x1, y1, x2, y2), score, row[4:16].reshape(6, 2).astype(np.float32))


def _logit(score: float) -> float:
    score = min(max(score, 1e-6), 1 - 1e-6)
    return math.log(score / (1 - score))
