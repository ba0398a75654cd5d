"""Following faces through a video: each from its mesh of the frame before, the detector only when needed.

The detector looks at the first frame, after a cut, when a face was lost, when no face is known, and about
once a second for new ones. The same frames always give the same faces and numbers; nothing is carried from
one clip (or part of a clip) to another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from mien.faces.analyser import Observed
from mien.faces.builtin.blazeface import Detection
from mien.faces.builtin.mesh import PRESENCE, Mesh, MeshModel, face_of
from mien.faces.builtin.region import Region
from mien.faces.builtin.scene import SceneCuts
from mien.faces.builtin.smoothing import MeshSmoother
from mien.faces.canonical import fit_pose
from mien.faces.options import TrackerOptions
from mien.faces.views import box_of_mesh
from mien.types import Box, Face, Frame

Detect: TypeAlias = Callable[[Frame, bool], tuple[Detection, ...]]
"""Frame and whether to look closely (squares of the frame too) -> detections, best first."""

SAME_FACE = 0.3
"""Overlap from which a detection, or a face that comes back, belongs to a track."""
COLLAPSED = 0.6
"""Overlap from which two tracks follow the same face; the younger one ends."""
JUST_LOST = 3
"""Frames after the last sight of a face in which it is looked for closely."""
REMEMBERED = 2.0
"""Seconds for which a lost face keeps its number."""


@dataclass(slots=True)
class Track:
    """One face that is followed."""

    number: int
    score: float
    """The detector's confidence when it last saw the face."""
    region: Region
    box: Box
    """Around the unsmoothed mesh of the last frame that showed the face."""
    seen: int
    """The last frame that showed the face."""
    smoother: MeshSmoother = field(default_factory=MeshSmoother)


class BuiltinTracker:
    """Follows the faces of one clip, frame by frame."""

    def __init__(
        self, detect: Detect, meshes: MeshModel, rate: float, options: TrackerOptions | None = None
    ) -> None:
        self.options = options or TrackerOptions()
        self.rate = rate if rate > 0 else 25.0
        self._detect = detect
        self._meshes = meshes
        self._cuts = SceneCuts()
        self._tracks: list[Track] = []
        self._lost: list[Track] = []
        self._numbers = 0
        self._index: int | None = None
        self._detected: int | None = None
        self._looked_closely: int | None = None
        self._same = self.options.score or SAME_FACE

    def update(self, image: Frame, index: int) -> Observed:
        """Find the faces of the next frame (H×W×3 BGR); ``index`` must rise."""
        cut = self._cuts.update(image)
        if cut:
            self._tracks, self._lost, self._detected = [], [], None
        steps = 1 if self._index is None else max(index - self._index, 1)
        self._index = index
        seen = self._follow(image, index)
        if self._must_detect(index):
            seen += self._find(image, index)
        faces = tuple(self._face(track, mesh, steps / self.rate) for track, mesh in seen)
        return Observed(faces, cut, index)

    def _follow(self, image: Frame, index: int) -> list[tuple[Track, Mesh]]:
        """Look at each track's region; tracks whose face is gone move to the lost ones."""
        seen: list[tuple[Track, Mesh]] = []
        for track in self._tracks:
            mesh = self._meshes.follow(image, track.region)
            box = box_of_mesh(mesh.points) if mesh else track.box
            if mesh is None or not _inside(box, image) or _overlaps(box, (t.box for t, _ in seen), COLLAPSED):
                self._lost.append(track)
                continue
            track.region, track.box, track.seen = mesh.region(), box, index
            seen.append((track, mesh))
        self._tracks = [track for track, _ in seen]
        self._lost = [track for track in self._lost if index - track.seen <= REMEMBERED * self.rate]
        return seen

    def _must_detect(self, index: int) -> bool:
        if self._detected is None or not self._tracks or self._lost:
            return True
        return index - self._detected >= self.options.interval * self.rate

    def _find(self, image: Frame, index: int) -> list[tuple[Track, Mesh]]:
        """Detect, and start or take up a track for each face that is not followed yet."""
        detections = self._detect(image, self.options.small_faces)
        if not detections and not self.options.small_faces and self._may_look_closely(index):
            detections = self._detect(image, True)
        self._detected = index
        found = []
        for detection in detections:
            track = self._best(detection.box, self._tracks)
            if track is not None:
                track.score = detection.score
                continue
            mesh = self._meshes.still(image, detection, PRESENCE)
            if mesh is None:
                continue
            box = box_of_mesh(mesh.points)
            if _inside(box, image) and self._best(box, self._tracks) is None:
                found.append((self._taken_up(mesh, box, detection.score, index), mesh))
        return found

    def _may_look_closely(self, index: int) -> bool:
        """Searching squares of the frame is dear: about once a second, and only while no face is known."""
        if self._tracks:
            return False
        just_lost = any(index - track.seen <= JUST_LOST for track in self._lost)
        since = index - self._looked_closely if self._looked_closely is not None else math.inf
        if self._detected is None or just_lost or since >= min(self.options.interval, 1.0) * self.rate:
            self._looked_closely = index
            return True
        return False

    def _best(self, box: Box, tracks: Iterable[Track]) -> Track | None:
        """The track whose box overlaps most, if that is enough to be the same face."""
        best = max(tracks, key=lambda track: track.box.iou(box), default=None)
        return best if best is not None and best.box.iou(box) > self._same else None

    def _taken_up(self, mesh: Mesh, box: Box, score: float, index: int) -> Track:
        """A new track, or the lost one that was at this place."""
        lost = self._best(box, self._lost)
        if lost is not None:
            self._lost.remove(lost)
            track = replace(
                lost, score=score, region=mesh.region(), box=box, seen=index, smoother=MeshSmoother()
            )
        else:
            self._numbers += 1
            track = Track(self._numbers, score, mesh.region(), box, index)
        self._tracks.append(track)
        return track

    def _face(self, track: Track, mesh: Mesh, seconds: float) -> Face:
        if not self.options.smoothing:
            return face_of(mesh, track.score, track.number)
        points = track.smoother.update(mesh.points, seconds)
        return face_of(Mesh(points, mesh.presence, fit_pose(points).pose), track.score, track.number)


def _inside(box: Box, image: Frame) -> bool:
    """True while at least about a quarter of the face is in the frame."""
    x, y = box.center
    height, width = image.shape[:2]
    dx, dy = box.width / 4, box.height / 4
    return bool(-dx <= x < width + dx and -dy <= y < height + dy)


def _overlaps(box: Box, others: Iterable[Box], share: float) -> bool:
    return any(box.iou(other) > share for other in others)
