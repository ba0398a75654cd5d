"""Which faces to work on, where no model recognises people: by order and position, followed by their tracks.

Orders, modes and defaults are FaceFusion's. Mode ``reference`` means the face at ``reference_face_position``,
in the chosen order, of the reference frame. A still picture is its own reference frame; in a video the face
is then followed by its track. Where a model recognises people, the caller says which faces match
(``matches``), and position counts for nothing but the choice of the reference face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from mien.errors import OptionError
from mien.faces.options import SelectorOptions, SelectorOrder
from mien.types import Box, Face

if TYPE_CHECKING:
    from mien.faces.analyser import Observed

Matches: TypeAlias = Callable[[Face], bool]
"""Says whether a face shows the person of the reference face."""

SAME_PLACE = 0.3
"""Overlap with the reference face from which a face counts as being at its place."""

_KEYS: Mapping[SelectorOrder, tuple[Callable[[Face], float], bool]] = MappingProxyType(
    {
        "left-right": (lambda face: face.box.x1, False),
        "right-left": (lambda face: face.box.x1, True),
        "top-bottom": (lambda face: face.box.y1, False),
        "bottom-top": (lambda face: face.box.y1, True),
        "small-large": (lambda face: face.box.area, False),
        "large-small": (lambda face: face.box.area, True),
        "best-worst": (lambda face: face.score, True),
        "worst-best": (lambda face: face.score, False),
    }
)
"""Sort key of each order, and whether large keys come first."""


def sort_faces(faces: Iterable[Face], order: SelectorOrder) -> tuple[Face, ...]:
    """Sort faces; those with equal keys keep their order."""
    key, descending = _KEYS[order]
    return tuple(sorted(faces, key=key, reverse=descending))


def face_at(faces: Sequence[Face], position: int) -> Face | None:
    """The face at a position, the last one if there are fewer; negative positions count from the end."""
    if not faces:
        return None
    return faces[min(max(position, -len(faces)), len(faces) - 1)]


def make_selector(options: SelectorOptions, *, reference: Face | None = None) -> Selector:
    """Make the selector of a step.

    ``reference`` is the face that the options mean on the reference frame of a video, where that frame was
    looked at (``face_at(sort_faces(faces, order), position)``). Raises OptionError for filters by age, gender
    or race, which need a model that tells them.
    """
    for name in ("age_start", "age_end", "gender", "race"):
        if getattr(options, name):
            raise OptionError(
                f"face_selector_{name} needs a model that tells age, gender and race, which the built-in models do "
                "not: leave it out, or choose faces by order and position."
            )
    return Selector(options, reference.box if reference else None)


@dataclass(frozen=True, slots=True)
class Selector:
    """Selects the faces of one picture; for a video, ``follow()`` selects frame by frame."""

    options: SelectorOptions
    place: Box | None = None
    """Where the reference face is on the reference frame."""

    def __call__(self, faces: Sequence[Face], matches: Matches | None = None) -> tuple[Face, ...]:
        """The faces to work on. ``matches`` decides in mode ``reference``, where people are recognised."""
        if self.options.mode == "reference" and matches is not None:
            return tuple(face for face in faces if matches(face))
        ordered = sort_faces(faces, self.options.order)
        if self.options.mode == "reference":
            found = self.reference(ordered)
            return () if found is None else (found,)
        return ordered if self.options.mode == "many" else ordered[:1]

    def reference(self, ordered: Sequence[Face]) -> Face | None:
        """The face that is meant, of faces in the chosen order: the one at its place, or by position."""
        if self.place is not None:
            place = self.place
            near = max(ordered, key=lambda face: face.box.iou(place), default=None)
            if near is not None and near.box.iou(place) > SAME_PLACE:
                return near
        return face_at(ordered, self.options.reference_position)

    def follow(self, place: Box | None = None) -> Follower:
        """Start selecting in a clip; ``place`` is where the reference face was just before it."""
        return Follower(self if place is None else Selector(self.options, place))


class Follower:
    """Selects in the frames of one clip, in their order: keeps to the track that was chosen first.

    The face is chosen anew after a cut, and when its track has ended: then among the tracks that were never
    seen in one frame with it, since those are surely other people.
    """

    def __init__(self, selector: Selector) -> None:
        self._selector = selector
        self._track: int | None = None
        self._others: set[int] = set()
        self.place = selector.place
        """Where the reference face was last seen; the start for the next part of the same clip."""
        self.needs_place: bool | None = None
        """Whether the first choice was among several faces, so that the place decided; None before it."""

    def select(self, observed: Observed, matches: Matches | None = None) -> tuple[Face, ...]:
        """The faces of the next frame to work on."""
        if self._selector.options.mode != "reference" or matches is not None:
            return self._selector(observed.faces, matches)
        if observed.cut:
            self._track, self._others = None, set()
        found = self._followed(observed.faces) or self._chosen(observed.faces)
        if found is None:
            return ()
        self._track, self.place = found.track, found.box
        self._others.update(face.track for face in observed.faces if face.track not in (None, found.track))
        return (found,)

    def _followed(self, faces: Iterable[Face]) -> Face | None:
        return next((face for face in faces if face.track is not None and face.track == self._track), None)

    def _chosen(self, faces: Iterable[Face]) -> Face | None:
        options = self._selector.options
        candidates = [face for face in faces if face.track is None or face.track not in self._others]
        if candidates and self.needs_place is None:
            self.needs_place = len(candidates) > 1
        return Selector(options, self.place).reference(sort_faces(candidates, options.order))
