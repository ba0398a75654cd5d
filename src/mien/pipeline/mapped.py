"""How the people of a face map are found: by who they are, or by where they are, frame after frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mien.errors import InputError, OptionError
from mien.faces.analyser import Observed, Tracker
from mien.faces.fill import fill
from mien.faces.options import SelectorOptions
from mien.faces.people import AT_PLACE, PeopleFollower, assign
from mien.faces.reference import FaceReference
from mien.pipeline.finding import ClipFinder, Finder, Following, Found, ReadFrame
from mien.pipeline.plan import Plan
from mien.types import Box, Face, Frame, Place

if TYPE_CHECKING:
    from mien.faces.neural.analyser import Analysis, NeuralAnalyser
    from mien.faces.neural.selection import PeopleSelector

People = Callable[[tuple[Face, ...]], tuple[tuple[Face, ...], ...]]
"""Of all faces of a frame, those of each person of the face map."""


def together(people: Sequence[Sequence[Face]]) -> tuple[Face, ...]:
    """The faces of all people."""
    return tuple(face for faces in people for face in faces)


@dataclass(frozen=True, slots=True)
class Boxes:
    """The boxes of a face map, for a target whose pictures may be looked at in another size."""

    plan: Plan

    def of(self, image: Frame) -> tuple[FaceReference, ...]:
        """The faces of the map, in pixels of a picture of the target as it is looked at."""
        share = image.shape[1] / self.plan.target.width
        return tuple(
            replace(person.face, box=Box(*(value * share for value in person.face.box.as_tuple())))
            for person in self.plan.step.people
        )

    def faces(self, image: Frame, faces: Sequence[Face], frame: int | None) -> dict[int, Face]:
        """The faces that are named on one frame, by the number of their person; None: on any.

        Raises InputError where there is no face in a box.
        """
        named = [
            (number, face)
            for number, face in enumerate(self.of(image))
            if frame is None or face.frame == frame
        ]
        found = assign([face.box for _, face in named], faces, AT_PLACE)
        for (number, _), face in zip(named, found, strict=True):
            if face is None:
                reference = self.plan.step.people[number].face
                x1, y1, x2, y2 = reference.box.as_tuple()
                raise InputError(
                    f"The face map names a face at ({x1:g}, {y1:g}, {x2:g}, {y2:g}) of frame {reference.frame}, but "
                    f"{self.plan.step.target} shows none there: take the boxes from mien faces, by the same models."
                )
        return {number: face for (number, _), face in zip(named, found, strict=True) if face is not None}

    def still(self, image: Frame) -> People:
        """Finds the people of a picture, by their boxes alone."""

        def people(faces: tuple[Face, ...]) -> tuple[tuple[Face, ...], ...]:
            found = self.faces(image, faces, None)
            return tuple((found[number],) for number in range(len(self.plan.step.people)))

        return people


@dataclass(frozen=True, slots=True)
class ByPlace:
    """People who are followed by a tracker, each from the box by which they were named."""

    following: Following
    """How faces are looked for."""
    boxes: Boxes
    references: tuple[FaceReference, ...] = ()
    """Where people were found on the frames by which they are named."""
    remembers: bool = True
    follows: bool = True

    @property
    def lookahead(self) -> int:
        """How many later frames must have been seen before a frame's faces are known."""
        return self.following.lookahead

    def still(self, image: Frame) -> Found:
        """The faces of a picture."""
        return _still(self.following, self.boxes, image)

    def clip(self, rate: float, place: Place | None) -> _PlaceClip:
        """Start on a part of a clip: where people were, or else with the boxes of the face map.

        Raises OptionError for a place of another number of people.
        """
        if place is not None and len(place) != 4 * len(self.references):
            raise OptionError(f"A place has four numbers for each of the {len(self.references)} people.")
        places = None if place is None else [Box(*place[at : at + 4]) for at in range(0, len(place), 4)]
        small = True if self.following.hold else None
        tracker = self.following.analyser.tracker(rate, interval=self.following.interval, small_faces=small)
        return _PlaceClip(self.following, tracker, PeopleFollower(self.references, places))


@dataclass(frozen=True, slots=True)
class _PlaceClip:
    finder: Following
    tracker: Tracker
    follower: PeopleFollower
    needs_place: bool = True
    """Who is who is told by where they were."""

    @property
    def place(self) -> Place:
        return tuple(side for box in self.follower.places for side in box.as_tuple())

    def see(self, image: Frame, index: int) -> Observed:
        return self.tracker.update(image, index)

    def found(self, seen: Sequence[Observed], middle: int) -> Found:
        observed = seen[middle]
        if self.finder.lookahead:
            observed = replace(observed, faces=fill(seen, middle, hold=self.finder.hold))
        people = self.follower.select(observed)
        return Found(
            faces=lambda: observed.faces,
            select=lambda faces: together(people),
            analysis=getattr(observed, "analysis", None),
            cut=observed.cut,
            people=lambda faces: people,
        )


@dataclass(frozen=True, slots=True)
class ByIdentity:
    """People who are recognised in every frame, by downloaded networks."""

    finder: Finder
    """Finds the faces of all of them."""
    boxes: Boxes
    selector: PeopleSelector
    """Knows nobody in a picture, where boxes tell who is who."""

    @property
    def lookahead(self) -> int:
        """How many later frames must have been seen before a frame's faces are known."""
        return self.finder.lookahead

    @property
    def remembers(self) -> bool:
        """Whether what is found depends on frames further back."""
        return self.finder.remembers

    @property
    def follows(self) -> bool:
        """Whether one part of a clip hands the place of a face to the next."""
        return False

    def still(self, image: Frame) -> Found:
        """The faces of a picture."""
        return _still(self.finder, self.boxes, image)

    def clip(self, rate: float, place: Place | None) -> _IdentityClip:
        """Start on a part of a clip."""
        return _IdentityClip(self.finder.clip(rate, None), self.selector)


@dataclass(frozen=True, slots=True)
class _IdentityClip:
    clip: ClipFinder
    selector: PeopleSelector
    place: Place | None = None
    needs_place: bool = False

    def see(self, image: Frame, index: int) -> Any:
        return self.clip.see(image, index)

    def found(self, seen: Sequence[Any], middle: int) -> Found:
        found = self.clip.found(seen, middle)
        analysis = found.analysis
        assert analysis is not None
        return replace(found, people=lambda faces: self.selector.people(analysis, faces))


def _still(finder: Finder, boxes: Boxes, image: Frame) -> Found:
    people = boxes.still(image)
    return replace(finder.still(image), select=lambda faces: together(people(faces)), people=people)


def by_place(plan: Plan, following: Following, read_frame: ReadFrame | None) -> ByPlace:
    """Follow the people of the plan's face map; ``read_frame`` is None for a picture.

    Raises InputError for a box in which there is no face, and what ``read_frame`` raises.
    """
    boxes = Boxes(plan)
    if read_frame is None:
        return ByPlace(following, boxes)
    references: dict[int, FaceReference] = {}
    for number in sorted({person.face.frame for person in plan.step.people}):
        image = read_frame(number)
        named = boxes.faces(image, following.analyser.faces(image), number)
        references |= {person: FaceReference(number, face.box) for person, face in named.items()}
    return ByPlace(following, boxes, tuple(references[person] for person in sorted(references)))


def recognised(
    plan: Plan, analyser: NeuralAnalyser, read_frame: ReadFrame | None
) -> tuple[PeopleSelector, tuple[int, Analysis] | None]:
    """Who is who in a clip, and the first frame by which somebody is named, with its analysis.

    ``read_frame`` is None for a picture. Raises InputError for a box in which there is no face, and what
    ``read_frame`` raises.
    """
    from mien.faces.neural.selection import PeopleSelector, Reference

    boxes = Boxes(plan)
    references: dict[int, Reference] = {}
    known: tuple[int, Analysis] | None = None
    named_on = sorted({person.face.frame for person in plan.step.people})
    for number, image in [] if read_frame is None else [(number, read_frame(number)) for number in named_on]:
        analysis = analyser.analyse(image)
        known = known or (number, analysis)
        named = boxes.faces(image, analysis.faces, number)
        references |= {person: Reference(analysis, face) for person, face in named.items()}
    distance = plan.settings_of(SelectorOptions).reference_distance
    return PeopleSelector(tuple(references[person] for person in sorted(references)), distance), known
