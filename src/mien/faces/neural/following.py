"""Fast analysis of a clip: networks look at some frames, and faces are followed between those.

Every few frames, after a cut, and while a face is lost, the detector looks at the frame: a *key frame*. On the frames
between two key frames a face is where both say: its landmarks there, carried along by the motion of the picture, from
the one forth and from the other back, and mixed by distance. So what the motion gets wrong does not add up, and an
expression changes smoothly. A face that comes in between two key frames is followed back to where it came in.

Who a face is, and its age, gender and race, is looked at once for each track. A track ends with a cut, with a gap, and
where two faces come so near to each other that they could be mixed up.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mien.faces.align import Matrix, invert, merge, transform
from mien.faces.builtin.scene import SceneCuts
from mien.faces.neural.analyser import Analysis, NeuralAnalyser
from mien.faces.neural.motion import motion, moved_box
from mien.faces.neural.pending import PendingFace, PendingLandmarks
from mien.types import Box, Face, Frame, Points

SAME = 0.4
"""Overlap from which a detected face is the followed one …"""
OTHER = 0.15
"""… if no other face overlaps it by more than this."""

Select = Callable[[Analysis], Sequence[Face]]
"""Chooses the faces of a key frame that are worked on; what it asks of known faces is not computed again."""

Known = tuple[Analysis, Face]
"""The frame and the face in it by which a track is known: who that is, is asked there."""

_STILL: Matrix = np.eye(2, 3)
_STILL.setflags(write=False)


@dataclass(slots=True)
class Place:
    """Where a face of a key frame is in another frame."""

    face: Face
    motion: Matrix
    """From the key frame into this one."""


@dataclass(slots=True)
class Sight:
    """A face in one frame, as the key frame before it has it, or the one after it, or both."""

    known: Known
    near: Place
    far: Place | None = None
    share: float = 0.0
    """How far ``far`` counts."""

    def face(self) -> Face:
        """The face in this frame; its landmarks are worked out (and measured in the key frames) when read."""
        near, far = self.near, self.far

        def marks(name: str) -> Mapping[str, Points]:
            points = _carried(near, name)
            if far is not None:
                points = (1 - self.share) * points + self.share * _carried(far, name)
            return {name: np.asarray(points, np.float32)}

        return PendingFace.of(
            self.box(),
            near.face.score,
            PendingLandmarks.of(marks("five")["five"], marks),
            lambda name: {name: getattr(near.face, name)},
        )

    def box(self) -> Box:
        """The box of the face in this frame."""
        box = moved_box(self.near.face.box, self.near.motion)
        if self.far is None:
            return box
        other = moved_box(self.far.face.box, self.far.motion).as_tuple()
        mixed = ((1 - self.share) * a + self.share * b for a, b in zip(box.as_tuple(), other, strict=True))
        return Box(*mixed)


def _carried(place: Place, name: str) -> Points:
    points: Points = getattr(place.face.landmarks, name)
    return np.asarray(transform(points, place.motion), np.float32)


@dataclass(slots=True)
class Seen:
    """One frame: its analysis, and the faces to work on by their tracks. Completed when the next key frame is seen."""

    image: Frame
    analysis: Analysis
    cut: bool = False
    is_key: bool = False
    sights: dict[int, Sight] = field(default_factory=dict)

    def settle(self) -> tuple[Face, ...]:
        """The faces to work on, with the identities that their tracks have."""
        if self.is_key:
            return tuple(sight.near.face for sight in self.sights.values())
        faces = []
        for sight in self.sights.values():
            faces.append(sight.face())
            self.analysis.adopt(faces[-1], *sight.known)
        return tuple(faces)


@dataclass(slots=True)
class _Track:
    """A face that was detected in the last key frame."""

    number: int
    known: Known
    face: Face
    motion: Matrix = field(default_factory=lambda: _STILL)
    """From the last key frame to the last frame."""
    selected: bool = False

    @property
    def box(self) -> Box:
        return moved_box(self.face.box, self.motion)


class Following:
    """Follows the faces of one clip, frame by frame; the same frames always give the same faces."""

    def __init__(self, analyser: NeuralAnalyser, select: Select, every: int) -> None:
        self._analyser = analyser
        self._select = select
        self._every = every
        self._cuts = SceneCuts()
        self._numbers = itertools.count()
        self._tracks: list[_Track] = []
        self._since: list[Seen] = []
        """The last key frame and the frames after it."""
        self._turn = -1
        self._doubt = 0
        """Frames that are still looked at because a face was not found again."""

    def see(self, image: Frame, index: int) -> Seen:
        """Look at the next frame; ``index`` must rise. What it gives is complete ``every`` - 1 frames later."""
        seen = Seen(image, self._analyser.analyse(image), cut=self._cuts.update(image))
        if seen.cut:
            self._tracks = []
        kept = self._follow(image)
        turn = index // self._every
        if not self._since or seen.cut or turn != self._turn or self._doubt or not kept:
            self._turn = turn
            self._doubt = max(self._doubt - 1, 0)
            self._look(seen)
        else:
            for track in self._tracks:
                if track.selected:
                    seen.sights[track.number] = Sight(track.known, Place(track.face, track.motion))
            self._since.append(seen)
        return seen

    def _follow(self, image: Frame) -> bool:
        """Move the tracks of selected faces on to the next frame; False if one was lost."""
        lost = []
        for track in self._tracks:
            if track.selected:
                step = motion(self._since[-1].image, image, track.box)
                if step is None:
                    lost.append(track)
                else:
                    track.motion = merge(track.motion, step)
        self._tracks = [track for track in self._tracks if track not in lost]
        return not lost

    def _look(self, seen: Seen) -> None:
        """Make a key frame of a frame: detect, continue the tracks, choose."""
        analysis, matches = seen.analysis, _matches(self._tracks, seen.analysis.faces)
        tracks = {}
        for face in analysis.faces:
            old = matches.get(id(face))
            if old is None:
                tracks[id(face)] = _Track(next(self._numbers), (analysis, face), face)
            else:
                analysis.adopt(face, *old.known)
                tracks[id(face)] = _Track(old.number, old.known, face)
        for face in self._select(analysis):
            track = tracks[id(face)]
            track.selected = True
            seen.sights[track.number] = Sight(track.known, Place(face, _STILL))
        before = {track.number: track for track in self._tracks}
        if any(old.selected and old not in matches.values() for old in self._tracks):
            self._doubt = self._every
        self._join(seen, tracks.values(), before)
        seen.is_key = True
        self._tracks, self._since = list(tracks.values()), [seen]

    def _join(self, seen: Seen, tracks: Iterable[_Track], before: Mapping[int, _Track]) -> None:
        """Tell the frames since the last key frame what this one shows."""
        between = [] if seen.cut else self._since[1:]
        for track in tracks:
            old = before.get(track.number)
            if old is not None and old.selected:
                back = invert(old.motion)
                for place, frame in enumerate(between, 1):
                    sight = frame.sights[track.number]
                    sight.far = Place(track.face, merge(back, sight.near.motion))
                    sight.share = place / (len(between) + 1)
            elif old is None and track.selected:
                self._follow_back(seen, track, between)

    def _follow_back(self, seen: Seen, track: _Track, between: Sequence[Seen]) -> None:
        """Follow a new face back to where it came in."""
        whole, later = _STILL, seen
        for frame in reversed(between):
            step = motion(later.image, frame.image, moved_box(track.face.box, whole))
            if step is None:
                return
            whole, later = merge(whole, step), frame
            sight = Sight(track.known, Place(track.face, whole))
            if any(sight.box().iou(other.box()) > OTHER for other in frame.sights.values()):
                return
            frame.sights[track.number] = sight


def _matches(tracks: Sequence[_Track], faces: Sequence[Face]) -> dict[int, _Track]:
    """The track that each face (by its ``id``) continues; none where it could be mixed up with another."""
    found = {}
    boxes = [(track, track.box) for track in tracks]
    for face in faces:
        near = [(box.iou(face.box), track, box) for track, box in boxes if box.iou(face.box) > OTHER]
        if len(near) != 1 or near[0][0] <= SAME:
            continue
        rivals = sum(near[0][2].iou(other.box) > OTHER for other in faces)
        if rivals == 1:
            found[id(face)] = near[0][1]
    return found
