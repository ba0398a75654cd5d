"""Which faces to work on, by identity and attributes: the full selector, over analyses that know both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from mien.faces.neural.analyser import Analysis
from mien.faces.neural.classifier import Attributes
from mien.faces.options import SelectorOptions
from mien.faces.select import face_at, sort_faces
from mien.types import Face

OLDEST = 100
"""Upper end of an age filter that gives none."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filters of a selector, with ``auto`` resolved; None lets everybody pass."""

    gender: str | None = None
    race: str | None = None
    ages: range | None = None

    @property
    def everybody(self) -> bool:
        """True if nobody is left out, so that no attribute is needed."""
        return self.gender is None and self.race is None and self.ages is None

    def accepts(self, person: Attributes) -> bool:
        """True for a person that all filters let pass."""
        return (
            self.gender in (None, person.gender)
            and self.race in (None, person.race)
            and (self.ages is None or any(age in self.ages for age in person.age))
        )


def wanted(options: SelectorOptions, sources: Sequence[Analysis] = ()) -> Wanted:
    """The filters that the options ask for; ``auto`` takes over what the largest source face has.

    Without a source face ``auto`` lets everybody pass. An age filter with one end is open at the other.
    """
    gender, race = options.gender, options.race
    if "auto" in (gender, race):
        person = _largest(sources)
        if gender == "auto":
            gender = person.gender if person else None
        if race == "auto":
            race = person.race if person else None
    ages = None
    if options.age_start or options.age_end:
        ages = range(options.age_start or 0, options.age_end or OLDEST + 1)
    return Wanted(gender, race, ages)


def _largest(sources: Sequence[Analysis]) -> Attributes | None:
    faces = [(face, source) for source in sources for face in source.faces]
    if not faces:
        return None
    face, source = max(faces, key=lambda pair: pair[0].box.area)
    return source.attributes(face)


@dataclass(frozen=True, slots=True)
class Reference:
    """A face, in the picture that shows it, to which other faces are compared."""

    analysis: Analysis
    face: Face

    def matches(self, analysis: Analysis, face: Face, distance: float) -> bool:
        """True if a face is nearer than ``distance`` (0 to 1)."""
        return self.distance(analysis, face) < distance

    def distance(self, analysis: Analysis, face: Face) -> float:
        """How unlike the face of this reference a face is, 0 to 1; that it is like itself needs no recogniser."""
        if face is self.face:
            return 0.0
        own = self.analysis.embedding(self.face)
        return analysis.embedding(face).distance(own)


def reference(analysis: Analysis, options: SelectorOptions, filters: Wanted) -> Reference | None:
    """The reference face of a picture: by position (the last, if there are fewer) among those that pass."""
    passing = tuple(_passing(analysis, analysis.faces, options, filters))
    face = face_at(passing, options.reference_position)
    return None if face is None else Reference(analysis, face)


@dataclass(frozen=True, slots=True)
class PersonSelector:
    """Selects the faces of one step. ``reference`` is needed for the mode of that name only."""

    options: SelectorOptions
    filters: Wanted = Wanted()
    reference: Reference | None = None

    def __call__(self, analysis: Analysis, faces: Sequence[Face] | None = None) -> tuple[Face, ...]:
        """The faces to work on, of ``faces`` (by default all of the picture); looks at no more than it must.

        As FaceFusion has it, order and filters choose the reference face in mode ``reference``, and leave the
        faces that match it alone.
        """
        given = analysis.faces if faces is None else faces
        if self.options.mode != "reference":
            passing = _passing(analysis, given, self.options, self.filters)
            return tuple(islice(passing, 1 if self.options.mode == "one" else None))
        if self.reference is None:
            return ()
        model, distance = self.reference, self.options.reference_distance
        return tuple(face for face in given if model.matches(analysis, face, distance))


@dataclass(frozen=True, slots=True)
class PeopleSelector:
    """Gives each face to the person whom it is most like, if it is like anybody."""

    references: tuple[Reference, ...]
    distance: float
    """From which distance (0 to 1) a face is nobody's."""

    def __call__(self, analysis: Analysis, faces: Sequence[Face] | None = None) -> tuple[Face, ...]:
        """The faces of all people, of ``faces`` (by default all of the picture)."""
        people = self.people(analysis, analysis.faces if faces is None else faces)
        return tuple(face for found in people for face in found)

    def people(self, analysis: Analysis, faces: Sequence[Face]) -> tuple[tuple[Face, ...], ...]:
        """The faces of each person; none belongs to two."""
        found: list[list[Face]] = [[] for _ in self.references]
        for face in faces:
            distances = [reference.distance(analysis, face) for reference in self.references]
            nearest = min(range(len(distances)), key=distances.__getitem__)
            if distances[nearest] < self.distance:
                found[nearest].append(face)
        return tuple(map(tuple, found))


def _passing(
    analysis: Analysis, faces: Iterable[Face], options: SelectorOptions, filters: Wanted
) -> Iterator[Face]:
    for face in sort_faces(tuple(faces), options.order):
        if filters.everybody or filters.accepts(analysis.attributes(face)):
            yield face
