"""Faces by the built-in models: BlazeFace finds them, the mesh and the eye network describe them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mien.faces.builtin.blazeface import (
    LAYOUTS,
    BlazeFace,
    Detection,
    detections_of,
    turned,
    turned_back,
)
from mien.faces.builtin.mesh import MeshModel, face_of
from mien.faces.builtin.tracker import BuiltinTracker
from mien.faces.options import DetectorOptions, LandmarkerOptions, TrackerOptions, four_sides
from mien.types import Box, Face, Frame

if TYPE_CHECKING:
    from mien.inference.runtime import Runtime
    from mien.models.store import ModelStore

MODELS = ("blazeface_full", "face_mesh", "iris")
SURE = 0.75
"""Upright faces score more than this, turned ones less: below it the other quarter turns are tried too."""
SAME_FACE = 0.6
"""Overlap of two mesh boxes from which they are one face found twice."""
TURNS = (0, 90, 180, 270)


class BuiltinAnalyser:
    """The analyser on built-in models. Models are fetched and opened on first use; safe from many threads."""

    def __init__(
        self,
        store: ModelStore,
        runtime: Runtime,
        *,
        detector: DetectorOptions | None = None,
        landmarker: LandmarkerOptions | None = None,
        tracker: TrackerOptions | None = None,
    ) -> None:
        self.store = store
        self.runtime = runtime
        self.detector_options = detector or DetectorOptions()
        self.landmarker_options = landmarker or LandmarkerOptions()
        self.tracker_options = tracker or TrackerOptions()

    def models(self) -> tuple[str, ...]:
        """Catalogue names of the models that it needs."""
        return MODELS

    def faces(self, image: Frame) -> tuple[Face, ...]:
        """Find the faces of a still picture (H×W×3 BGR), the surest first.

        The whole picture is searched, and overlapping squares of it for small faces. Where nothing is found
        for sure, the other quarter turns are tried, and the turn with the surest face is taken. Quarter turns
        that the options name are all searched, and what they show is put together.
        """
        angles = self.detector_options.angles
        if len(angles) > 1:
            return self._faces(image, self._detect_turned(image, angles))
        best = self._faces(image, self._detect_turned(image, angles))
        if _surest(best) >= SURE:
            return best
        others = (
            self._faces(image, self._detect_turned(image, [turn])) for turn in TURNS if turn not in angles
        )
        return max((best, *others), key=_surest)

    def tracker(
        self, rate: float, *, interval: float | None = None, small_faces: bool | None = None
    ) -> BuiltinTracker:
        """Start following faces in a clip of ``rate`` frames a second; see ``Analyser.tracker``."""
        given = {"interval": interval, "small_faces": small_faces}
        changes = {name: value for name, value in given.items() if value is not None}
        options = self.tracker_options.model_copy(update=changes)
        return BuiltinTracker(self._detect_frame, self._mesh(), rate, options)

    def _detect_frame(self, image: Frame, closely: bool) -> tuple[Detection, ...]:
        """Detect in a frame of a video: the whole frame, and, ``closely``, overlapping squares of it."""
        return self._detect_turned(image, self.detector_options.angles, tiles=closely)

    def _detect_turned(
        self, image: Frame, angles: Sequence[int], *, tiles: bool = True
    ) -> tuple[Detection, ...]:
        detector, threshold = self._blazeface(), self._threshold()
        wide, left, top = self._widened(image)
        height, width = wide.shape[:2]
        parts = []
        for angle in angles:
            found = detector.detect(turned(wide, angle), threshold=threshold, tiles=tiles)
            parts.append(tuple(turned_back(found, angle, width, height)))
        detections = parts[0] if len(parts) == 1 else detections_of(parts)
        return tuple(_shifted(item, left, top) for item in detections) if left or top else detections

    def _widened(self, image: Frame) -> tuple[Frame, int, int]:
        """The picture with the black margin of the options (100 % is half its size), and how far it moved."""
        height, width = image.shape[:2]
        top, right, bottom, left = four_sides(self.detector_options.margin)
        if not (top or right or bottom or left):
            return image, 0, 0
        up, down, before, after = (
            int(length * share / 200)
            for length, share in ((height, top), (height, bottom), (width, left), (width, right))
        )
        wide = cv2.copyMakeBorder(image, up, down, before, after, cv2.BORDER_CONSTANT)
        return np.asarray(wide, np.uint8), before, up

    def _threshold(self) -> float:
        """The detector's own threshold at the option's default; the option moves it from there."""
        default = DetectorOptions().score
        return min(max(LAYOUTS["full"].threshold + self.detector_options.score - default, 0.05), 0.99)

    def _faces(self, image: Frame, detections: Iterable[Detection]) -> tuple[Face, ...]:
        mesh_model, least = self._mesh(), self.landmarker_options.score
        faces: list[Face] = []
        for detection in detections:
            mesh = mesh_model.still(image, detection, least)
            if mesh is None:
                continue
            face = face_of(mesh, detection.score)
            if all(face.box.iou(other.box) < SAME_FACE for other in faces):
                faces.append(face)
        return tuple(faces)

    def _blazeface(self) -> BlazeFace:
        return BlazeFace(self.runtime.load(self.store.path("blazeface_full")), "full")

    def _mesh(self) -> MeshModel:
        mesh, iris = (self.runtime.load(self.store.path(name)) for name in ("face_mesh", "iris"))
        return MeshModel(mesh, iris)


def _surest(faces: Sequence[Face]) -> float:
    return max((face.score for face in faces), default=0.0)


def _shifted(item: Detection, left: int, top: int) -> Detection:
    x1, y1, x2, y2 = item.box.as_tuple()
    box = Box(x1 - left, y1 - top, x2 - left, y2 - top)
    return Detection(box, item.score, item.points - np.asarray([left, top], np.float32))
