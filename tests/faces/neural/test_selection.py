from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mien.faces.neural.classifier import Attributes
from mien.faces.neural.recogniser import Embedding
from mien.faces.neural.selection import (
    PeopleSelector,
    PersonSelector,
    Reference,
    Wanted,
    reference,
    wanted,
)
from mien.faces.options import SelectorOptions
from mien.types import Box, Face, Landmarks

NONE = np.zeros((5, 2), np.float32)


def face(x: float, width: float = 10.0, score: float = 0.9) -> Face:
    return Face(Box(x, 0, x + width, 10), score, Landmarks(NONE, NONE, NONE, NONE))


class Known:
    """An analysis that knows who everybody is, and remembers what it was asked."""

    def __init__(self, *people: tuple[Face, Attributes, list[float]]) -> None:
        self.faces = tuple(face for face, _, _ in people)
        self._people = {id(face): (person, vector) for face, person, vector in people}
        self.asked: list[str] = []

    def attributes(self, face: Face) -> Attributes:
        self.asked.append("attributes")
        return self._people[id(face)][0]

    def embedding(self, face: Face) -> Embedding:
        self.asked.append("embedding")
        return Embedding.of(self._people[id(face)][1])


WOMAN = Attributes("female", range(20, 30), "black")
MAN = Attributes("male", range(60, 70), "asian")
LEFT, MIDDLE, RIGHT = face(0, 10), face(50, 30), face(100, 20)


@pytest.fixture
def group() -> Any:
    return Known((LEFT, WOMAN, [1, 0, 0]), (MIDDLE, MAN, [0, 1, 0]), (RIGHT, WOMAN, [0.9, 0.1, 0]))


def choose(analysis: Any, sources: tuple[Any, ...] = (), **options: Any) -> tuple[Face, ...]:
    chosen = SelectorOptions(**options)
    filters = wanted(chosen, sources)
    model = reference(analysis, chosen, filters) if chosen.mode == "reference" else None
    return PersonSelector(chosen, filters, model)(analysis)


def test_many_are_sorted_and_need_nobody_known(group: Any) -> None:
    assert choose(group, mode="many") == (MIDDLE, RIGHT, LEFT)
    assert choose(group, mode="many", order="right-left") == (RIGHT, MIDDLE, LEFT)
    assert group.asked == []


def test_one_is_the_first(group: Any) -> None:
    assert choose(group, mode="one") == (MIDDLE,)
    assert choose(Known(), mode="one") == ()
    assert group.asked == []


def test_filters_look_no_further_than_they_must(group: Any) -> None:
    assert choose(group, mode="one", gender="female") == (RIGHT,)
    assert group.asked == ["attributes"] * 2


def test_filters_leave_people_out(group: Any) -> None:
    assert choose(group, mode="many", gender="female") == (RIGHT, LEFT)
    assert choose(group, mode="many", race="asian") == (MIDDLE,)
    assert choose(group, mode="many", race="white") == ()
    assert choose(group, mode="many", age_start=29, age_end=40) == (RIGHT, LEFT)
    assert choose(group, mode="many", age_start=30, age_end=60) == ()
    assert choose(group, mode="many", age_start=0, age_end=100) == (MIDDLE, RIGHT, LEFT)


def test_an_age_filter_may_be_open(group: Any) -> None:
    assert choose(group, mode="many", age_start=40) == (MIDDLE,)
    assert choose(group, mode="many", age_end=40) == (RIGHT, LEFT)


def test_auto_follows_the_largest_source_face(group: Any) -> None:
    source = Known((face(0, 5), MAN, [1]), (face(0, 50), WOMAN, [1]))
    assert wanted(SelectorOptions(gender="auto", race="auto"), (source,)) == Wanted("female", "black")
    assert wanted(SelectorOptions(gender="male", race="auto"), (source,)) == Wanted("male", "black")
    assert wanted(SelectorOptions(gender="auto"), (Known(),)) == Wanted()
    assert choose(group, (source,), mode="many", gender="auto") == (RIGHT, LEFT)


def test_those_who_look_like_the_reference(group: Any) -> None:
    assert choose(group, order="left-right") == (LEFT, RIGHT)
    assert choose(group, order="left-right", reference_position=1) == (MIDDLE,)
    assert choose(group, order="left-right", reference_position=9) == (LEFT, RIGHT)
    assert choose(group, order="left-right", reference_distance=1.0) == (LEFT, MIDDLE, RIGHT)
    assert choose(group, order="left-right", reference_distance=0.0) == ()


def test_filters_choose_the_reference_only(group: Any) -> None:
    assert choose(group, order="left-right", gender="male") == (MIDDLE,)
    assert choose(group, order="left-right", gender="male", reference_distance=0.6) == (LEFT, MIDDLE, RIGHT)


def test_a_single_face_is_its_own_reference_unrecognised() -> None:
    alone = Known((LEFT, MAN, [1, 0]))
    assert choose(alone) == (LEFT,)
    assert alone.asked == []


def test_without_a_reference_nobody_is_chosen(group: Any) -> None:
    assert PersonSelector(SelectorOptions(mode="reference"))(group) == ()
    assert choose(Known()) == ()


def test_faces_of_other_frames_are_compared(group: Any) -> None:
    options = SelectorOptions(order="left-right")
    model = reference(group, options, Wanted())
    other: Any = Known((face(3), MAN, [0, 0, 1]), (face(60), MAN, [1, 0.2, 0]))
    selector = PersonSelector(options, Wanted(), model)
    assert selector(other) == (other.faces[1],)
    assert selector(other, other.faces[:1]) == ()


def test_each_face_goes_to_the_person_it_is_most_like() -> None:
    here = Known((LEFT, WOMAN, [1, 0, 0]), (MIDDLE, MAN, [0, 1, 0]))
    elsewhere = [face(number * 10) for number in range(4)]
    vectors = [[0.9, 0.3, 0], [0.2, 0.9, 0], [0, 0, 1], [0.95, 0, 0.1]]
    there: Any = Known(*((item, MAN, vector) for item, vector in zip(elsewhere, vectors, strict=True)))
    people = PeopleSelector((Reference(here, LEFT), Reference(here, MIDDLE)), 0.3)  # type: ignore[arg-type]
    assert people.people(there, there.faces) == ((elsewhere[0], elsewhere[3]), (elsewhere[1],))
    assert people(there) == (elsewhere[0], elsewhere[3], elsewhere[1])


def test_a_reference_is_itself_without_asking() -> None:
    here: Any = Known((LEFT, WOMAN, [1, 0, 0]))
    assert PeopleSelector((Reference(here, LEFT),), 0.3).people(here, (LEFT,)) == ((LEFT,),)
    assert here.asked == []
