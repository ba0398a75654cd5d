"""The analyser over downloaded networks: one picture under analysis, and what makes such analyses.

Nothing is computed that nobody reads, and nothing twice: faces come from the detector alone; landmarks,
embedding and attributes of a face follow on first use. What was computed belongs to the ``Analysis`` of that
one picture.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.faces.analyser import Observed
from mien.faces.neural.classifier import Attributes
from mien.faces.neural.detectors import Margin, detect
from mien.faces.neural.landmarkers import angle_of_68, angle_of_five, five_of_68, measure
from mien.faces.neural.networks import (
    CLASSIFIER,
    ESTIMATOR,
    RECOGNISER,
    Networks,
    detector_ids,
    landmarker_ids,
)
from mien.faces.neural.pending import PendingFace, PendingLandmarks
from mien.faces.neural.recogniser import Embedding
from mien.faces.options import DetectorOptions, LandmarkerOptions, four_sides
from mien.types import Box, Face, Frame, Landmarks, Points

T = TypeVar("T")
_Kept: TypeAlias = dict[int, tuple[Face, T]]

SAME_POINT = 1e-3
"""Five landmarks that all lie within this many pixels are no face that could be aligned."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How faces are found and measured; the options of the groups face_detector and face_landmarker."""

    detector: str = "yolo_face"
    detector_size: int | None = None
    """Side of the detector's input; None: the largest that it takes."""
    margin: Margin = (0, 0, 0, 0)
    angles: tuple[int, ...] = (0,)
    score: float = 0.5
    landmarker: str = "2dfan4"
    landmarker_score: float = 0.5
    """Landmarks are believed above this; 0 keeps the landmarker from running at all."""
    compat: bool = False
    """Repeat FaceFusion 3.8.1's arithmetic."""

    @classmethod
    def of(cls, detector: DetectorOptions, landmarker: LandmarkerOptions, *, compat: bool = False) -> Setup:
        """The setup that a step's options ask for, where both name downloaded models."""
        return cls(
            detector=detector.model,
            detector_size=int(detector.size.split("x")[0]),
            margin=four_sides(detector.margin),
            angles=detector.angles,
            score=detector.score,
            landmarker=landmarker.model,
            landmarker_score=landmarker.score,
            compat=compat,
        )

    def models(self, *, identity: bool = False, attributes: bool = False) -> tuple[str, ...]:
        """Ids of the models that an analysis may need; embeddings and attributes only where they are read."""
        ids = [*detector_ids(self.detector), ESTIMATOR]
        if self.landmarker_score > 0:
            ids += landmarker_ids(self.landmarker)
        return (*ids, *([RECOGNISER] * identity), *([CLASSIFIER] * attributes))


@dataclass(frozen=True)
class NeuralAnalyser:
    """Analyses pictures with the networks of a setup; safe to use from many threads."""

    networks: Networks
    setup: Setup = field(default_factory=Setup)
    asks_identity: bool = False
    """Whether somebody will ask who a face is."""
    asks_attributes: bool = False
    """Whether somebody will ask for age, gender or race."""
    _pictures: dict[bytes, Analysis] = field(default_factory=dict, repr=False, compare=False)

    def models(self) -> tuple[str, ...]:
        """Ids of the models that it will need."""
        return self.setup.models(identity=self.asks_identity, attributes=self.asks_attributes)

    def analyse(self, image: Frame) -> Analysis:
        """Begin the analysis of a picture, which must not be changed afterwards; nothing is computed yet."""
        return Analysis(self, image)

    def picture(self, image: Frame) -> Analysis:
        """As ``analyse``, for one of the few pictures that several ask about: sources, references.

        The same pixels have one analysis, which is kept as long as the analyser.
        """
        key = repr(image.shape).encode() + hashlib.sha1(np.ascontiguousarray(image).data).digest()
        return self._pictures.setdefault(key, Analysis(self, image))

    def faces(self, image: Frame) -> tuple[Face, ...]:
        """All faces of a picture, the surest first; their landmarks are measured when they are read."""
        return self.picture(image).faces

    def tracker(
        self, rate: float, *, interval: float | None = None, small_faces: bool | None = None
    ) -> EveryFrame:
        """Analyse every frame of a clip for itself; the arguments change nothing."""
        return EveryFrame(self)

    def embedding(self, image: Frame, face: Face) -> Embedding:
        """Who a face of the picture is; computed at every call: an ``Analysis`` keeps what it computed."""
        compat = self.setup.compat
        return self.networks.recogniser().embed(image, face.landmarks.five_of_68, compat=compat)

    def attributes(self, image: Frame, face: Face) -> Attributes:
        """Gender, age and race of a face; computed at every call: an ``Analysis`` keeps what it computed."""
        compat = self.setup.compat
        return self.networks.classifier().classify(image, face.landmarks.five_of_68, compat=compat)


@dataclass(frozen=True, slots=True, eq=False)
class Analysed(Observed):
    """A frame of a clip and its analysis, which knows identities and attributes too."""

    analysis: Analysis | None = None


@dataclass(frozen=True, slots=True)
class EveryFrame:
    """A tracker that keeps nothing from frame to frame: exact, and the same from wherever one starts."""

    analyser: NeuralAnalyser

    def update(self, image: Frame, index: int) -> Analysed:
        """Find the faces of the next frame."""
        analysis = self.analyser.analyse(image)
        return Analysed(faces=analysis.faces, index=index, analysis=analysis)


class Analysis:
    """One picture under analysis: its faces, and what has been asked about them so far."""

    def __init__(self, analyser: NeuralAnalyser, image: Frame) -> None:
        self._analyser = analyser
        self._image = image
        self._lock = threading.RLock()
        self._faces: tuple[Face, ...] | None = None
        self._embeddings: _Kept[Embedding] = {}
        self._attributes: _Kept[Attributes] = {}
        self._owners: _Kept[tuple[Analysis, Face]] = {}

    @property
    def faces(self) -> tuple[Face, ...]:
        """All faces, the surest first."""
        with self._lock:
            if self._faces is None:
                self._faces = self._detect()
            return self._faces

    def shows(self, image: Frame) -> bool:
        """Whether this is the analysis of a picture of the same pixels."""
        return np.array_equal(self._image, image)

    def embedding(self, face: Face) -> Embedding:
        """Who a face of this picture (or an adopted one) is; computed once."""
        owner, original = self._owner(face)
        if owner is not self:
            return owner.embedding(original)
        return self._once(self._embeddings, face, self._analyser.embedding)

    def attributes(self, face: Face) -> Attributes:
        """Gender, age and race of a face of this picture (or an adopted one); computed once."""
        owner, original = self._owner(face)
        if owner is not self:
            return owner.attributes(original)
        return self._once(self._attributes, face, self._analyser.attributes)

    def adopt(self, face: Face, owner: Analysis, original: Face) -> None:
        """Give a face that is not in this picture (a tracker filled it in) the identity of one in another."""
        self._owners[id(face)] = (face, owner._owner(original))

    def _owner(self, face: Face) -> tuple[Analysis, Face]:
        return self._owners[id(face)][1] if id(face) in self._owners else (self, face)

    def _once(self, kept: _Kept[T], face: Face, compute: Callable[[Frame, Face], T]) -> T:
        """The value for a face, by its ``id``; the face is kept beside it, so the ``id`` stays its own."""
        with self._lock:
            if id(face) not in kept:
                kept[id(face)] = (face, compute(self._image, face))
            return kept[id(face)][1]

    def _detect(self) -> tuple[Face, ...]:
        setup = self._analyser.setup
        if setup.score <= 0:
            return ()
        found = detect(
            self._image,
            self._analyser.networks.detectors(setup.detector, setup.detector_size),
            score=setup.score,
            margin=setup.margin,
            angles=setup.angles,
            compat=setup.compat,
        )
        return tuple(
            self._face(Box(*map(float, box)), float(score), points)
            for box, score, points in zip(found.boxes, found.scores, found.points, strict=True)
            if np.ptp(points, axis=0).max() > SAME_POINT
        )

    def _face(self, box: Box, score: float, five: NDArray[np.floating[Any]]) -> Face:
        reading = _Reading(self._analyser, self._image, box, five, self._lock)
        return PendingFace.of(box, score, reading.landmarks, reading.of_face)


class _Reading:
    """Measures one face, as far as asked, and each thing once: all faces of a picture share a lock."""

    def __init__(
        self,
        analyser: NeuralAnalyser,
        image: Frame,
        box: Box,
        five: NDArray[np.floating[Any]],
        lock: threading.RLock,
    ) -> None:
        self._analyser = analyser
        self._image = image
        self._box = box
        self._lock = lock
        self._parts: dict[str, Any] = {}
        self._exact_five = five
        self._five = np.asarray(five, np.float32)
        self.landmarks: Landmarks = PendingLandmarks.of(self._five, self.of_landmarks)

    def of_landmarks(self, name: str) -> Mapping[str, Any]:
        """The 68 landmarks that were estimated, or those that were measured and the five of them."""
        with self._lock:
            if name == "sixty_eight_of_five":
                return {name: self._estimated()}
            sixty_eight, five, _ = self._measured()
            return {"sixty_eight": sixty_eight, "five_of_68": five}

    def of_face(self, name: str) -> Mapping[str, Any]:
        """The angle, or the landmark score."""
        with self._lock:
            return {name: self._angle() if name == "angle" else self._measured()[2]}

    def _once(self, name: str, compute: Callable[[], T]) -> T:
        if name not in self._parts:
            self._parts[name] = compute()
        value: T = self._parts[name]
        return value

    def _estimated(self) -> Points:
        return self._once("estimated", self._estimate)

    def _estimate(self) -> Points:
        estimator, compat = self._analyser.networks.estimator(), self._analyser.setup.compat
        return estimator.estimate(self._exact_five, compat=compat).astype(np.float32)

    def _angle(self) -> int:
        """By the estimated jaw, as FaceFusion has it; the detector's points tell the same for nothing."""
        if self._analyser.setup.compat:
            return angle_of_68(self._estimated())
        return angle_of_five(self._five)

    def _measured(self) -> tuple[Points, Points, float]:
        return self._once("measured", self._measure)

    def _measure(self) -> tuple[Points, Points, float]:
        """68 landmarks, the five to align by, and the landmarker's score.

        The five come from the detector where the landmarker is not sure enough; the 68 stay the landmarker's.
        """
        setup = self._analyser.setup
        if setup.landmarker_score <= 0:
            return self._estimated(), self._five, 0.0
        landmarkers = self._analyser.networks.landmarkers(setup.landmarker)
        found = measure(self._image, self._box, self._angle(), landmarkers, compat=setup.compat)
        self._image = self._image[:0]  # faces live longer than frames: let go of the picture
        if found is None:
            return self._estimated(), self._five, 0.0
        sixty_eight = np.asarray(found.points, np.float32)
        five = np.asarray(five_of_68(sixty_eight), np.float32)
        sure = found.score > setup.landmarker_score and bool(np.ptp(five, axis=0).max() > SAME_POINT)
        return sixty_eight, five if sure else self._five, found.score
