"""Following several people by place, size and track."""

from __future__ import annotations

import pytest

from mien.faces.analyser import Observed
from mien.faces.people import FARTHEST, PeopleFollower, assign, distance
from mien.faces.reference import FaceReference
from mien.types import Box, Face
from tests.faces.conftest import make_face

LEFT, RIGHT = Box(100, 100, 200, 200), Box(400, 100, 500, 200)
PEOPLE = (FaceReference(0, LEFT), FaceReference(0, RIGHT))


def at(x: float, track: int | None = None, size: float = 100) -> Face:
    return make_face((x, 100, x + size, 100 + size), track=track)


def who(follower: PeopleFollower, index: int, *faces: Face, cut: bool = False) -> list[int | None]:
    """The tracks of the people."""
    people = follower.select(Observed(faces, cut, index))
    return [found[0].track if found else None for found in people]


def test_distance_counts_in_face_sizes() -> None:
    assert distance(LEFT, LEFT) == 0
    assert distance(LEFT, RIGHT) == pytest.approx(3)
    assert distance(LEFT, Box(50, 50, 250, 250)) == pytest.approx(0.693, abs=0.001)


def test_everybody_gets_the_nearest_face_and_nobody_the_same() -> None:
    near, far = at(120), at(330)
    assert assign((LEFT, RIGHT), (far, near), FARTHEST) == (near, far)
    assert assign((LEFT, RIGHT), (near,), FARTHEST) == (near, None)
    assert assign((LEFT,), (at(1000),), FARTHEST) == (None,)


def test_people_keep_to_their_tracks_when_they_change_sides() -> None:
    follower = PeopleFollower(PEOPLE)
    assert who(follower, 0, at(100, 1), at(400, 2)) == [1, 2]
    for index in range(1, 31):
        assert who(follower, index, at(100 + 10 * index, 1), at(400 - 10 * index, 2)) == [1, 2]


def test_others_are_left_alone() -> None:
    follower = PeopleFollower(PEOPLE[:1])
    assert who(follower, 0, at(110, 1), at(250, 2)) == [1]
    assert who(follower, 1, at(250, 2)) == [None]
    assert who(follower, 2, at(130, 3), at(250, 2)) == [3]


def test_after_a_cut_people_are_those_nearest_to_where_they_were() -> None:
    follower = PeopleFollower(PEOPLE)
    who(follower, 0, at(100, 1), at(400, 2))
    assert who(follower, 1, at(380, 3), at(140, 4), cut=True) == [4, 3]
    assert who(follower, 2, at(1500, 5), cut=True) == [None, None]


def test_the_frame_of_the_box_decides() -> None:
    follower = PeopleFollower((FaceReference(5, LEFT), FaceReference(5, RIGHT)))
    assert who(follower, 0, at(380, 1), at(120, 2)) == [2, 1]
    assert who(follower, 4, at(120, 1), at(380, 2)) == [2, 1]
    assert who(follower, 5, at(100, 1), at(400, 2)) == [1, 2]
    assert who(follower, 6, at(120, 1), at(380, 2)) == [1, 2]


def test_a_box_takes_the_face_from_who_had_it() -> None:
    follower = PeopleFollower((FaceReference(5, LEFT), FaceReference(0, Box(110, 100, 210, 200))))
    assert who(follower, 0, at(110, 1), at(350, 2)) == [2, 1]
    assert who(follower, 5, at(100, 1), at(350, 2)) == [1, 2]
    assert who(follower, 6, at(100, 1)) == [1, None]


def test_faces_without_tracks_are_found_by_place_alone() -> None:
    follower = PeopleFollower(PEOPLE)
    first, second = at(100), at(400)
    assert follower.select(Observed((second, first), index=0)) == ((first,), (second,))
    moved = at(150)
    assert follower.select(Observed((moved,), index=1)) == ((moved,), ())
