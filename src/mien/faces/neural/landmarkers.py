"""The 68 landmarks: measured in a crop by 2dfan4 or peppa_wutz, or estimated from five points by fan_68_5."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.faces.align import Matrix, align_matrix, invert, merge, rotation, transform, warp_black
from mien.faces.neural.session import Runs, check, only_output, planes
from mien.types import Box, Frame, Points

Layout: TypeAlias = Literal["heatmaps", "triples"]

CROP = 256
FACE_IN_CROP = 195
"""Length, in pixels of the crop, of the box's longer side."""
GRID = 64
"""The landmarkers answer in cells of a 64×64 grid over the crop."""
DARK = 30
"""Mean lightness (0 to 255) below which the contrast of a crop is raised."""
BRIGHT = 40
"""Mean lightness of every fourth pixel of every fourth row from which a crop is surely not dark."""
PEPPA_LEAD = 0.2
"""peppa_wutz must be surer than 2dfan4 by this much to be believed (FaceFusion 3.8.1)."""

# Certainty (mean over the landmarks) that counts as a full score, by layout of the answer (FaceFusion 3.8.1).
_FULL_SCORE: Mapping[str, float] = MappingProxyType({"heatmaps": 0.9, "triples": 0.95})

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
NOSE, LEFT_MOUTH, RIGHT_MOUTH = 30, 48, 54
JAW_LEFT, JAW_RIGHT = 0, 16


def five_of_68(points: ArrayLike) -> NDArray[Any]:
    """Eyes (mean of their six landmarks), nose tip and mouth corners of 68 landmarks."""
    marks = np.asarray(points)
    return np.stack(
        [
            marks[LEFT_EYE].mean(axis=0),
            marks[RIGHT_EYE].mean(axis=0),
            marks[NOSE],
            marks[LEFT_MOUTH],
            marks[RIGHT_MOUTH],
        ]
    )


def quarter_turn(direction: ArrayLike) -> int:
    """The nearest of 0, 90, 180, 270 to a direction (x, y), (1, 0) in an upright face; ties go down."""
    x, y = (float(value) for value in np.asarray(direction, np.float64))
    degrees = math.degrees(math.atan2(y, x)) % 360
    return min((0, 90, 180, 270, 360), key=lambda turn: abs(turn - degrees)) % 360


def angle_of_68(points: ArrayLike) -> int:
    """The quarter turn of a face, from the ends of its jaw line."""
    marks = np.asarray(points, np.float64)
    return quarter_turn(marks[JAW_RIGHT] - marks[JAW_LEFT])


def angle_of_five(points: ArrayLike) -> int:
    """The quarter turn of a face, from its eyes and mouth corners."""
    marks = np.asarray(points, np.float64)
    return quarter_turn((marks[1] - marks[0]) + (marks[4] - marks[3]))


@dataclass(frozen=True, slots=True)
class Measured:
    """68 landmarks (68×2, frame pixels) and how sure the network is, 0 to 1."""

    points: Points
    score: float


@dataclass(frozen=True, slots=True)
class Landmarker:
    """One network that measures 68 landmarks: BGR, 0 to 1, 256×256."""

    name: str
    session: Runs
    layout: Layout

    def measure(self, crop: Frame, to_crop: Sequence[Matrix]) -> Measured:
        """Landmarks in the frame of which ``to_crop``, one after the other, made the crop. Raises ModelCorrupt."""
        outputs = self.session.run([planes(crop, (0, 0, 0), (1, 1, 1), rgb=False)])
        points, certainty = self._read(outputs)
        score = float(np.interp(certainty, [0, _FULL_SCORE[self.layout]], [0, 1]))
        marks = (points * np.float32(CROP / GRID))[None]
        for matrix in reversed(to_crop):
            marks = np.asarray(cv2.transform(marks, invert(matrix)), np.float32)
        return Measured(marks[0], score)

    def _read(self, outputs: Sequence[NDArray[Any]]) -> tuple[Points, float]:
        if self.layout == "heatmaps":
            fits = [output.shape for output in outputs[:2]] == [(1, 68, 3), (1, 68, GRID, GRID)]
            check(self.name, fits, outputs)
            return outputs[0][0, :, :2], float(outputs[1].max(axis=(2, 3)).mean())
        check(self.name, len(outputs) >= 1 and outputs[0].size == 68 * 3, outputs)
        rows = outputs[0].reshape(68, 3)
        return rows[:, :2], float(rows[:, 2].mean())


def landmark_crop(
    frame: Frame, box: Box, angle: int, *, compat: bool = False
) -> tuple[Frame, tuple[Matrix, ...]]:
    """The upright 256×256 crop round a box that landmarkers look at, and the matrices that made it, in order."""
    scale = FACE_IN_CROP / max(box.width, box.height, 1.0)
    x, y = ((CROP - 2 * middle * scale) / 2 for middle in box.center)
    matrix = np.array([[scale, 0, x], [0, scale, y]], np.float64)
    turned, _ = rotation(CROP, CROP, angle, compat=compat)
    if compat:
        crop = warp_black(frame, matrix, (CROP, CROP), compat=True)
        if angle:
            crop = cv2.warpAffine(crop, turned, (CROP, CROP))
        return _raise_contrast(np.asarray(crop, np.uint8), compat), (matrix, turned)
    matrix = merge(matrix, turned)
    crop = warp_black(frame, matrix, (CROP, CROP))
    return _raise_contrast(np.asarray(crop, np.uint8), compat), (matrix,)


def _raise_contrast(crop: Frame, compat: bool) -> Frame:
    """Spread the lightness of a dark crop.

    FaceFusion takes the crop for RGB while it is BGR, and sends bright crops, too, through Lab and back.
    """
    if not compat and float(cv2.cvtColor(crop[::4, ::4], cv2.COLOR_BGR2Lab)[:, :, 0].mean()) >= BRIGHT:
        return crop
    to_lab, from_lab = cv2.COLOR_BGR2Lab, cv2.COLOR_Lab2BGR
    if compat:
        to_lab, from_lab = cv2.COLOR_RGB2Lab, cv2.COLOR_Lab2RGB
    lab = cv2.cvtColor(crop, to_lab)
    if float(lab[:, :, 0].mean()) < DARK:
        lab[:, :, 0] = cv2.createCLAHE(clipLimit=2, tileGridSize=(8, 8)).apply(lab[:, :, 0])
    elif not compat:
        return crop
    return np.asarray(cv2.cvtColor(lab, from_lab), np.uint8)


def measure(
    frame: Frame, box: Box, angle: int, landmarkers: Sequence[Landmarker], *, compat: bool = False
) -> Measured | None:
    """The 68 landmarks of a face by the surest landmarker; 2dfan4 has the benefit of the doubt.

    None if there is no result to trust: no landmarker, or (with ``compat``) peppa_wutz alone with a score
    under 0.2.
    """
    if not landmarkers:
        return None
    crop, matrices = landmark_crop(frame, box, angle, compat=compat)
    results = {model.layout: model.measure(crop, matrices) for model in landmarkers}
    fan, peppa = results.get("heatmaps"), results.get("triples")
    fan_score, peppa_score = fan.score if fan else 0.0, peppa.score if peppa else 0.0
    if fan_score > peppa_score - PEPPA_LEAD:
        return fan if fan or compat else peppa
    return peppa


@dataclass(frozen=True, slots=True)
class Estimator:
    """fan_68_5: 68 landmarks, guessed from five."""

    name: str
    session: Runs
    template: str = "ffhq_512"

    def estimate(self, five: ArrayLike, *, compat: bool = False) -> NDArray[np.float64]:
        """68×2 landmarks in frame pixels. Raises ModelCorrupt."""
        matrix = align_matrix(five, self.template, (1, 1), compat=compat)
        points = transform(five, matrix).astype(np.float32)[None]
        output = only_output(self.name, self.session.run([points]), (1, 68, 2))
        return transform(output[0], invert(matrix))
