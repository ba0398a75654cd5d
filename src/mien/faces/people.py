"""Several people who are followed at the same time, where no model recognises them: by place, size and track."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

from mien.faces.analyser import Observed
from mien.faces.reference import FaceReference
from mien.types import Box, Face

FARTHEST = 3.0
"""How far from where a person was last, in face sizes, a face may be to be taken for that person …"""
AT_PLACE = 0.75
"""… and how far from the box by which a person was named."""


def distance(a: Box, b: Box) -> float:
    """How far two faces are apart in their place and size: 1 is about the size of a face, or a factor of e in it."""
    sizes = [max(math.sqrt(box.area), 1.0) for box in (a, b)]
    moved = math.dist(a.center, b.center) / ((sizes[0] + sizes[1]) / 2)
    return math.hypot(moved, math.log(sizes[0] / sizes[1]))


def assign(
    places: Sequence[Box],
    faces: Sequence[Face],
    farthest: float,
    may: Callable[[int, Face], bool] = lambda number, face: True,
) -> tuple[Face | None, ...]:
    """The face at each place, the nearest pairs first; no face twice, and none that is farther than ``farthest``.

    ``may`` says whether a face may be at the place of that number.
    """
    pairs = sorted(
        (distance(place, face.box), number, other)
        for number, place in enumerate(places)
        for other, face in enumerate(faces)
        if may(number, face)
    )
    found: dict[int, int] = {}
    for apart, number, other in pairs:
        if apart <= farthest and number not in found and other not in found.values():
            found[number] = other
    return tuple(faces[found[number]] if number in found else None for number in range(len(places)))


class PeopleFollower:
    """Finds several people in the frames of one clip, in their order; each keeps to its track.

    On the frame by which a person was named it is the face in that box. Elsewhere a person who is not followed (at the
    beginning, after a cut, when the track was lost) is the face that is nearest to where the person was last, or to
    that box, among those whose tracks were never seen in one frame with the person's.
    """

    def __init__(self, people: Sequence[FaceReference], places: Sequence[Box] | None = None) -> None:
        """``places``: where the people were just before this part of a clip."""
        self._people = people
        self.places = [person.box for person in people] if places is None else list(places)
        """Where each person was last; the start for the next part of the same clip."""
        self._tracks: list[int | None] = [None] * len(people)
        self._others: list[set[int]] = [set() for _ in people]

    def select(self, observed: Observed) -> tuple[tuple[Face, ...], ...]:
        """The faces of each person in the next frame: one or none."""
        if observed.cut:
            self._forget(range(len(self._people)))
        named = [number for number, person in enumerate(self._people) if person.frame == observed.index]
        found = self._at_boxes(named, observed.faces)
        found |= self._followed(observed.faces, found)
        found |= self._nearest(observed.faces, found)
        self._remember(observed.faces, found)
        return tuple((found[number],) if number in found else () for number in range(len(self._people)))

    def _at_boxes(self, named: Sequence[int], faces: Sequence[Face]) -> dict[int, Face]:
        """The faces in the boxes by which people were named; what was believed before counts for nothing."""
        boxes = [self._people[number].box for number in named]
        at_boxes = assign(boxes, faces, AT_PLACE)
        found = {number: face for number, face in zip(named, at_boxes, strict=True) if face is not None}
        taken = {face.track for face in found.values()}
        self._forget(
            {number for number, track in enumerate(self._tracks) if track is not None and track in taken}
            | set(found)
        )
        return found

    def _followed(self, faces: Sequence[Face], found: dict[int, Face]) -> dict[int, Face]:
        tracks = {face.track: face for face in faces if face.track is not None}
        return {
            number: tracks[track]
            for number, track in enumerate(self._tracks)
            if number not in found and track is not None and track in tracks
        }

    def _nearest(self, faces: Sequence[Face], found: dict[int, Face]) -> dict[int, Face]:
        """Faces for the people who are missing."""
        missing = [number for number in range(len(self._people)) if number not in found]
        free = [face for face in faces if all(face is not other for other in found.values())]

        def may(place: int, face: Face) -> bool:
            return face.track is None or face.track not in self._others[missing[place]]

        nearest = assign([self.places[number] for number in missing], free, FARTHEST, may)
        return {number: face for number, face in zip(missing, nearest, strict=True) if face is not None}

    def _remember(self, faces: Sequence[Face], found: dict[int, Face]) -> None:
        for number, face in found.items():
            self.places[number], self._tracks[number] = face.box, face.track
            self._others[number] |= {
                other.track for other in faces if other.track is not None and other.track != face.track
            }

    def _forget(self, numbers: Collection[int]) -> None:
        for number in numbers:
            self._tracks[number], self._others[number] = None, set()
