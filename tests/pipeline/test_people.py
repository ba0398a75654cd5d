"""Face maps in their plain form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import OptionError
from mien.faces.reference import FaceReference
from mien.pipeline.people import Person, face_map_of, people_of
from mien.types import Box

SIDES = st.floats(-1000, 1000)
FACES = st.builds(
    lambda frame, x, y, width, height: FaceReference(frame, Box(x, y, x + width, y + height)),
    st.integers(0, 10**6),
    SIDES,
    SIDES,
    st.floats(1, 500),
    st.floats(1, 500),
)
SOURCES = st.lists(st.text("abc/., =:", min_size=1).map(Path), min_size=1, max_size=3).map(tuple)
PLAIN = {"face": {"frame": 3, "box": [1, 2, 30.5, 40]}, "sources": ["me.jpg", "me too.jpg"]}


def test_a_face_is_given_by_its_box_or_its_id() -> None:
    (person,) = people_of([PLAIN])
    assert person.face == FaceReference(3, Box(1, 2, 30.5, 40))
    assert person.sources == (Path("me.jpg"), Path("me too.jpg"))
    (named,) = people_of([{"face": "f3-1-2-30-40", "sources": ["me.jpg"]}])
    assert named.face == FaceReference(3, Box(1, 2, 30, 40))


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_there_may_be_no_face_map(nothing: Any) -> None:
    assert people_of(nothing) == ()


@given(st.lists(st.builds(Person, FACES, SOURCES), max_size=4, unique_by=lambda person: person.face))
def test_the_plain_form_survives_json(people: list[Person]) -> None:
    assert people_of(json.loads(json.dumps(face_map_of(people)))) == tuple(people)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "f0-1-2-3-4",
        {},
        {"face": PLAIN["face"]},
        {"sources": ["me.jpg"]},
        {**PLAIN, "target": "x"},
        {**PLAIN, "sources": "me.jpg"},
        {**PLAIN, "sources": [3]},
        {**PLAIN, "sources": None},
        {**PLAIN, "face": None},
        {**PLAIN, "face": {"frame": 0}},
        {**PLAIN, "face": {"frame": 0, "box": [1, 2, 3]}},
        {**PLAIN, "face": {"frame": 0, "box": [1, 2, 3, "x"]}},
        {**PLAIN, "face": {"frame": 0, "box": 7}},
        {**PLAIN, "face": {"frame": 0.5, "box": [1, 2, 3, 4]}},
        {**PLAIN, "face": {"frame": True, "box": [1, 2, 3, 4]}},
        {**PLAIN, "face": {"frame": None, "box": [1, 2, 3, 4]}},
    ],
)
def test_what_cannot_be_read_is_refused_by_its_number(entry: Any) -> None:
    with pytest.raises(OptionError, match="Entry 1 of the face map"):
        people_of([PLAIN, entry])


def test_other_mistakes_are_named() -> None:
    with pytest.raises(OptionError, match="a list of faces"):
        people_of("f0-1-2-3-4=me.jpg")
    with pytest.raises(OptionError, match="a list of faces"):
        people_of(PLAIN)
    with pytest.raises(OptionError, match="more than once"):
        people_of([PLAIN, PLAIN])
    with pytest.raises(OptionError, match="has no source"):
        people_of([{**PLAIN, "sources": []}])
    with pytest.raises(OptionError, match="No face can be"):
        people_of([{**PLAIN, "face": {"frame": 0, "box": [9, 9, 1, 1]}}])
    with pytest.raises(OptionError, match="names no face"):
        people_of([{**PLAIN, "face": "left one"}])
    with pytest.raises(OptionError, match="No face can be"):
        people_of([{**PLAIN, "face": {"frame": 0, "box": [0, 0, float("inf"), 1]}}])
