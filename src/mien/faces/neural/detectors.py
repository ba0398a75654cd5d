"""Face detectors: retinaface, scrfd, yolo_face, yunet. A picture in; boxes, scores, five points per face out.

All four are fed BGR, as FaceFusion 3.8.1 does (InsightFace feeds RGB to retinaface and scrfd).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.align import invert, transform, transform_boxes, turn
from mien.faces.neural.nms import iou_threshold, suppress
from mien.faces.neural.session import Runs, check, planes
from mien.types import Frame

Layout: TypeAlias = Literal["distances", "yolo", "yunet"]
Margin: TypeAlias = tuple[int, int, int, int]
"""Top, right, bottom, left, each 0 to 100; 100 is half of the frame's height or width."""

STRIDES = (8, 16, 32)


@dataclass(frozen=True, slots=True)
class Detections:
    """N faces: boxes N×4 (x1, y1, x2, y2), scores N, points N×5×2; frame pixels, not clipped.

    In float64 where a network answers in offsets from anchors, in float32 where it gives coordinates.
    """

    boxes: NDArray[np.floating[Any]]
    scores: NDArray[np.floating[Any]]
    points: NDArray[np.floating[Any]]

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, indices: NDArray[np.intp]) -> Detections:
        """Some of them, in the order of the indices."""
        return Detections(self.boxes[indices], self.scores[indices], self.points[indices])

    def scaled(self, x: float, y: float) -> Detections:
        """The same in a picture of another size."""
        factors = np.array((x, y, x, y), self.boxes.dtype)
        return Detections(self.boxes * factors, self.scores, self.points * factors[:2])

    def shifted(self, x: float, y: float) -> Detections:
        """The same with another origin; boxes get their corners in order."""
        shift = np.array((x, y, x, y), self.boxes.dtype)
        boxes = self.boxes + shift
        low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
        return Detections(np.concatenate([low, high], axis=1), self.scores, self.points + shift[:2])


def join(parts: Sequence[Detections]) -> Detections:
    """All detections of several runs, in order."""
    if not parts:
        empty = np.zeros((0, 4), np.float32)
        return Detections(empty, empty[:, 0], np.zeros((0, 5, 2), np.float32))
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.points for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class Detector:
    """One detector network: how it is fed, and in which layout its answer comes."""

    name: str
    session: Runs
    layout: Layout
    size: int = 640
    """Side of the square input, in pixels."""
    mean: float = 0.0
    """Taken off every value (0 to 255) first …"""
    std: float = 1.0
    """… which is then divided by this."""

    def find(self, canvas: Frame, score: float, *, compat: bool = False) -> Detections:
        """Faces on a canvas of the network's size, in its pixels, before suppression. Raises ModelCorrupt."""
        pixels = planes(canvas, (self.mean,) * 3, (self.std,) * 3, rgb=False, full=1.0)
        outputs = self.session.run([pixels])
        return _DECODERS[self.layout](self, outputs, score, compat)


def restricted_size(width: int, height: int, limit: tuple[int, int]) -> tuple[int, int]:
    """The size (width, height) at which a picture fits a limit; never enlarged, sides cut to whole pixels."""
    if width <= limit[0] and height <= limit[1]:
        return width, height
    scale = min(limit[1] / height, limit[0] / width)
    return max(int(width * scale), 1), max(int(height * scale), 1)


def letterbox(frame: Frame, size: int, *, compat: bool = False) -> tuple[Frame, float, float]:
    """A frame, shrunk to fit, in the top left corner of a black square; the ratios frame/square in x, y.

    A frame that shrinks to half or less is averaged down (not with ``compat``, which samples it bilinearly).
    """
    height, width = frame.shape[:2]
    new_width, new_height = restricted_size(width, height, (size, size))
    canvas = np.zeros((size, size, 3), np.uint8)
    if (new_width, new_height) == (width, height):
        canvas[:height, :width] = frame
        return canvas, 1.0, 1.0
    smooth = not compat and (width >= 2 * new_width or height >= 2 * new_height)
    filter_ = cv2.INTER_AREA if smooth else cv2.INTER_LINEAR
    canvas[:new_height, :new_width] = cv2.resize(frame, (new_width, new_height), interpolation=filter_)
    return canvas, width / new_width, height / new_height


def margin_pixels(frame: Frame, margin: Margin) -> Margin:
    """A margin in pixels: top, right, bottom, left."""
    height, width = frame.shape[:2]
    top, right, bottom, left = (float(np.interp(side, [0, 100], [0, 0.5])) for side in margin)
    return int(height * top), int(width * right), int(height * bottom), int(width * left)


def detect(
    frame: Frame,
    detectors: Sequence[Detector],
    *,
    score: float = 0.5,
    margin: Margin = (0, 0, 0, 0),
    angles: Sequence[int] = (0,),
    compat: bool = False,
) -> Detections:
    """All faces of a frame, best first: every detector at every angle, then suppression.

    A score of 0 finds nothing (as FaceFusion has it), and no network runs.
    """
    if score <= 0:
        return join([])
    found = candidates(frame, detectors, score=score, margin=margin, angles=angles, compat=compat)
    keep = suppress(found.boxes, found.scores, score, iou_threshold(len(detectors), len(angles)))
    return found.take(keep)


def candidates(
    frame: Frame,
    detectors: Sequence[Detector],
    *,
    score: float,
    margin: Margin = (0, 0, 0, 0),
    angles: Sequence[int] = (0,),
    compat: bool = False,
) -> Detections:
    """What the detectors find at all angles, mapped back to the frame, before suppression."""
    parts = []
    for angle in angles:
        turned, matrix = turn(frame, angle, compat=compat)
        found = _upright(turned, detectors, score, margin, compat)
        if angle:
            back = invert(matrix)
            points = transform(found.points.reshape(-1, 2), back).reshape(-1, 5, 2)
            boxes = transform_boxes(found.boxes, back)
            kind = found.points.dtype
            found = Detections(boxes.astype(kind), found.scores, points.astype(kind))
        parts.append(found)
    return join(parts)


def _upright(
    frame: Frame, detectors: Sequence[Detector], score: float, margin: Margin, compat: bool
) -> Detections:
    top, right, bottom, left = margin_pixels(frame, margin)
    if top or right or bottom or left:
        frame = np.pad(frame, ((top, bottom), (left, right), (0, 0)))
    canvases: dict[int, tuple[Frame, float, float]] = {}
    parts = []
    for detector in detectors:
        if detector.size not in canvases:
            canvases[detector.size] = letterbox(frame, detector.size, compat=compat)
        canvas, x, y = canvases[detector.size]
        found = detector.find(canvas, score, compat=compat)
        parts.append(found.scaled(x, y).shifted(-left, -top))
    return join(parts)


def anchors(stride: int, size: int, per_cell: int) -> NDArray[np.float64]:
    """Top left corners (x, y) of the cells of a square input, row by row, each ``per_cell`` times."""
    count = size // stride
    y, x = np.mgrid[:count, :count].astype(np.float64) * stride
    return np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), per_cell, axis=0)


def _anchors_at(kept: NDArray[np.intp], stride: int, size: int, per_cell: int) -> NDArray[np.float64]:
    """As ``anchors(…)[kept]``, without making all of them."""
    row, column = np.divmod(kept // per_cell, size // stride)
    return np.stack([column, row], axis=-1).astype(np.float64) * stride


def _kept(wanted: NDArray[np.bool_], compat: bool) -> NDArray[np.intp]:
    """Indices of the wanted rows; FaceFusion overlooks row 0 where it is the only one."""
    rows = np.flatnonzero(wanted)
    return rows[:0] if compat and not rows.any() else rows


def _decode_distances(
    model: Detector, outputs: Sequence[NDArray[Any]], score: float, compat: bool
) -> Detections:
    """retinaface, scrfd: per stride scores, four distances from the anchor, ten offsets; twice a cell."""
    levels = len(STRIDES)
    rows = [2 * (model.size // stride) ** 2 for stride in STRIDES]
    sizes = [count * width for width in (1, 4, 10) for count in rows]
    check(model.name, [output.size for output in outputs] == sizes, outputs)
    parts = []
    for level, stride in enumerate(STRIDES):
        scores = outputs[level].reshape(-1)
        kept = _kept(scores >= score, compat)
        anchor = _anchors_at(kept, stride, model.size, 2)
        distance = outputs[level + levels].reshape(-1, 4)[kept] * stride
        offset = outputs[level + 2 * levels].reshape(-1, 5, 2)[kept] * stride
        boxes = np.concatenate([anchor - distance[:, :2], anchor + distance[:, 2:]], axis=1)
        parts.append(Detections(boxes, scores[kept], anchor[:, None] + offset))
    return join(parts)


def _decode_yolo(model: Detector, outputs: Sequence[NDArray[Any]], score: float, compat: bool) -> Detections:
    """yolo_face: one 20×N table of centre, size, score, and five points with a certainty that is not used."""
    cells = sum((model.size // stride) ** 2 for stride in STRIDES)
    check(model.name, len(outputs) >= 1 and outputs[0].shape == (1, 20, cells), outputs)
    table = outputs[0][0]
    rows = table[:, _kept(table[4] > score, compat)].T
    half = rows[:, 2:4] / 2
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
    return Detections(boxes, rows[:, 4], rows[:, 5:].reshape(-1, 5, 3)[:, :, :2])


def _decode_yunet(model: Detector, outputs: Sequence[NDArray[Any]], score: float, compat: bool) -> Detections:
    """yunet: per stride class, objectness, box, points; the score is the plain product of the first two."""
    levels = len(STRIDES)
    rows = [(model.size // stride) ** 2 for stride in STRIDES]
    sizes = [count * width for width in (1, 1, 4, 10) for count in rows]
    check(model.name, [output.size for output in outputs] == sizes, outputs)
    parts = []
    for level, stride in enumerate(STRIDES):
        scores = outputs[level].reshape(-1) * outputs[level + levels].reshape(-1)
        kept = _kept(scores >= score, compat)
        anchor = _anchors_at(kept, stride, model.size, 1)
        box = outputs[level + 2 * levels].reshape(-1, 4)[kept]
        centre, half = box[:, :2] * stride + anchor, np.exp(box[:, 2:]) * stride / 2
        offset = outputs[level + 3 * levels].reshape(-1, 5, 2)[kept] * stride
        boxes = np.concatenate([centre - half, centre + half], axis=1)
        parts.append(Detections(boxes, scores[kept], anchor[:, None] + offset))
    return join(parts)


_Decode: TypeAlias = Callable[[Detector, Sequence[NDArray[Any]], float, bool], Detections]
_DECODERS: Mapping[str, _Decode] = MappingProxyType(
    {"distances": _decode_distances, "yolo": _decode_yolo, "yunet": _decode_yunet}
)
