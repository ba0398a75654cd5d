"""Who is replaced by whom: a face map gives faces of the target sources of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import OptionError
from mien.faces.reference import FaceReference
from mien.types import Box

if TYPE_CHECKING:
    from mien.processors.base import FrameContext, Processor

KEY = "face_map"
"""The key of a face map in job files and requests."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the target, by a face of them, and the pictures of the face that they get."""

    face: FaceReference
    sources: tuple[Path, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(map(Path, self.sources)))
        if not self.sources:
            raise OptionError(f"The face {self.face.id} of the face map has no source.")


def people_of(value: object) -> tuple[Person, ...]:
    """The people of a face map in its plain form, as it stands in job files and requests.

    A list of ``{"face": {"frame": 0, "box": [left, top, right, bottom]}, "sources": [path, …]}``; a face may be given
    by its id instead. None and an empty list mean that there is no face map. Raises OptionError for anything else.
    """
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise OptionError(f"A face map is a list of faces with their sources, not {value!r}.")
    people = tuple(_person_of(number, item) for number, item in enumerate(value))
    for person in people:
        if sum(other.face == person.face for other in people) > 1:
            raise OptionError(f"The face {person.face.id} stands in the face map more than once.")
    return people


def face_map_of(people: Iterable[Person]) -> list[dict[str, Any]]:
    """The plain form of people; the opposite of ``people_of``."""
    return [
        {
            "face": {"frame": person.face.frame, "box": list(person.face.box.as_tuple())},
            "sources": [str(path) for path in person.sources],
        }
        for person in people
    ]


def _person_of(number: int, item: object) -> Person:
    try:
        if not isinstance(item, Mapping) or set(item) != {"face", "sources"}:
            raise TypeError
        sources = item["sources"]
        if isinstance(sources, str) or not all(isinstance(source, str) for source in sources):
            raise TypeError
        return Person(_face_of(item["face"]), tuple(map(Path, sources)))
    except OptionError:
        raise
    except (TypeError, ValueError, KeyError, OverflowError):
        raise OptionError(
            f"Entry {number} of the face map cannot be read: it needs a face (its id, or frame and box) "
            "and a list of sources."
        ) from None


def _face_of(value: Any) -> FaceReference:
    if isinstance(value, str):
        return FaceReference.parse(value)
    if (
        not isinstance(value, Mapping)
        or isinstance(value["frame"], bool)
        or int(value["frame"]) != value["frame"]
    ):
        raise TypeError
    x1, y1, x2, y2 = map(float, value["box"])
    return FaceReference(int(value["frame"]), Box(x1, y1, x2, y2))


@dataclass(frozen=True, slots=True)
class PerPerson:
    """What one processor prepared for each person of a face map."""

    states: tuple[Any, ...]

    def process(self, processor: Processor[Any, Any], frame: FrameContext) -> None:
        """Run the processor on the frame once for each person, with that person's faces alone."""
        for faces, state in zip(
            frame.people, self.states, strict=False
        ):  # nobody on a first try without faces
            part = replace(frame, _selected=faces)
            processor.process(part, state)
            frame.image, frame.alpha = part.image, part.alpha
