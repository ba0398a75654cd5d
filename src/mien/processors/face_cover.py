"""Covers faces so that nobody can be recognised, and remembers them from frame to frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from mien.processors.face_anonymizer import FaceAnonymizerOptions, Mode
from mien.processors.face_region import Window, bounds, grown, hull, outline, polygon_mask, window
from mien.types import Box, Face, Frame, Points

SMALLEST_CELL = 4.0
"""Pixels: finer cells would show a very small face as it is."""
SMALLEST_SIGMA = 3.0
GROWTH_PER_SECOND = 0.8
"""How fast a cover without a detection grows: a head that walks off moves about its own width a second."""
SAME_FACE_IOU = 0.2
UNSURE = 0.25
"""How much larger the cover is, as a share of the face, where nobody saw the face itself."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a face was when it was seen last, and how fast its centre moved (pixels a second)."""

    face: Face
    time: float
    velocity: tuple[float, float] = (0.0, 0.0)


def _blurred(image: Frame, area: Window, cover: Box, options: FaceAnonymizerOptions) -> Frame:
    """The window of the image under a Gaussian, computed at the coarsest scale that shows no difference."""
    face_height = cover.height / (1 + options.margin)
    sigma = max(options.strength * face_height, SMALLEST_SIGMA)
    height, width = image.shape[:2]
    around = window(Box(area.left, area.top, area.right, area.bottom), width, height, 3 * sigma) or area
    crop = image[around.rows, around.columns]
    factor = max(int(sigma / 4), 1)
    small = cv2.resize(
        crop,
        (max(crop.shape[1] // factor, 1), max(crop.shape[0] // factor, 1)),
        interpolation=cv2.INTER_AREA,
    )
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REPLICATE)
    large = cv2.resize(small, (crop.shape[1], crop.shape[0]), interpolation=cv2.INTER_LINEAR)
    rows = slice(area.top - around.top, area.bottom - around.top)
    columns = slice(area.left - around.left, area.right - around.left)
    return np.ascontiguousarray(large[rows, columns], dtype=np.uint8)


def _pixelated(image: Frame, area: Window, cover: Box, options: FaceAnonymizerOptions) -> Frame:
    """The window of the image in square cells, each the mean of what it covers."""
    cell = max(max(cover.width, cover.height) / options.cells, SMALLEST_CELL)
    width, height = area.size
    grid = max(int(width / cell), 1), max(int(height / cell), 1)
    cells = cv2.resize(image[area.rows, area.columns], grid, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(cells, area.size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _solid(image: Frame, area: Window, cover: Box, options: FaceAnonymizerOptions) -> Frame:
    """The window filled with the chosen colour."""
    width, height = area.size
    return np.full((height, width, 3), options.color[::-1], np.uint8)


COVERS: Mapping[Mode, Callable[[Frame, Window, Box, FaceAnonymizerOptions], Frame]] = {
    "blur": _blurred,
    "pixelate": _pixelated,
    "solid": _solid,
}
FEATHER: Mapping[Mode, float] = {"blur": 0.08, "pixelate": 0.01, "solid": 0.01}
"""Soft rim outside the covered area, as a share of its height."""


def cover(image: Frame, points: Points, options: FaceAnonymizerOptions) -> None:
    """Make the inside of a convex outline unrecognisable, in the image itself.

    ``points``: N×2 float32, frame pixels; any part of it may be outside the frame. Pixels farther outside
    than the soft rim (8 % of the outline's height for blur, 1 % otherwise, at least 1 px) keep their values.
    """
    if len(points) < 3:
        return
    box = bounds(points)
    feather = max(FEATHER[options.mode] * box.height, 1.0)
    height, width = image.shape[:2]
    area = window(box, width, height, feather)
    if area is None:
        return
    mask = polygon_mask(points, area, feather)
    hidden = COVERS[options.mode](image, area, box, options)
    old = np.ascontiguousarray(image[area.rows, area.columns])
    image[area.rows, area.columns] = cv2.blendLinear(hidden, old, mask, 1 - mask)


def face_area(face: Face, margin: float) -> Points:
    """The area to cover for a face; larger where it was filled in between detections."""
    points = outline(face)
    if not len(points):
        return points
    return grown(points, margin if face.observed else margin + UNSURE)


def kept_outline(seen: Seen, time: float, margin: float) -> Points:
    """The area to cover for a face seen some time before: where it was, where it was heading, all between."""
    gone = max(time - seen.time, 0.0)
    last = outline(seen.face)
    if not len(last):
        return last
    size = bounds(last).height
    step = np.clip(np.array(seen.velocity) * gone, -size, size).astype(np.float32)
    return grown(hull(np.concatenate([last, last + step])), margin + GROWTH_PER_SECOND * gone)


@dataclass(slots=True)
class Coverer:
    """Covers the faces of a clip, frame by frame in order."""

    options: FaceAnonymizerOptions
    seen: list[Seen] = field(default_factory=list)

    def cover(self, image: Frame, faces: tuple[Face, ...], time: float, *, cut: bool = False) -> None:
        """Cover faces in the image itself, and those seen lately that have no successor among them.

        ``time`` in seconds; ``cut`` starts a new scene, in which no earlier face is looked for.
        """
        if cut:
            self.seen.clear()
        missing = [
            seen
            for seen in self.seen
            if _within(time - seen.time, self.options.hold)
            and not any(_same(seen.face, face) for face in faces)
        ]
        areas = [kept_outline(seen, time, self.options.margin) for seen in missing]
        areas += [face_area(face, self.options.margin) for face in faces]
        for points in areas:
            cover(image, points, self.options)
        self.seen = missing + [_follow(self.seen, face, time) for face in faces]


def _within(gone: float, hold: float) -> bool:
    return 0 <= gone <= hold + 1e-6


def _same(one: Face, other: Face) -> bool:
    if one.track is not None and one.track == other.track:
        return True
    return one.box.iou(other.box) > SAME_FACE_IOU


def _follow(earlier: list[Seen], face: Face, time: float) -> Seen:
    """Remember a face with the velocity since it was seen before."""
    for seen in earlier:
        if _same(seen.face, face) and time > seen.time:
            (x0, y0), (x1, y1) = seen.face.box.center, face.box.center
            return Seen(face, time, ((x1 - x0) / (time - seen.time), (y1 - y0) / (time - seen.time)))
    return Seen(face, time)
