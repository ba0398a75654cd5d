from __future__ import annotations

import pytest

from mien.errors import OptionError
from mien.faces.analyser import Observed
from mien.faces.options import SelectorOptions
from mien.faces.select import face_at, make_selector, sort_faces
from mien.types import Box, Face
from tests.faces.conftest import make_face

LEFT_LARGE = make_face((0, 50, 40, 90), score=0.7, track=1)
RIGHT_SMALL = make_face((100, 10, 120, 30), score=0.9, track=2)
MIDDLE = make_face((50, 100, 80, 130), score=0.8, track=3)
ALL = (LEFT_LARGE, RIGHT_SMALL, MIDDLE)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("left-right", (LEFT_LARGE, MIDDLE, RIGHT_SMALL)),
        ("right-left", (RIGHT_SMALL, MIDDLE, LEFT_LARGE)),
        ("top-bottom", (RIGHT_SMALL, LEFT_LARGE, MIDDLE)),
        ("bottom-top", (MIDDLE, LEFT_LARGE, RIGHT_SMALL)),
        ("small-large", (RIGHT_SMALL, MIDDLE, LEFT_LARGE)),
        ("large-small", (LEFT_LARGE, MIDDLE, RIGHT_SMALL)),
        ("best-worst", (RIGHT_SMALL, MIDDLE, LEFT_LARGE)),
        ("worst-best", (LEFT_LARGE, MIDDLE, RIGHT_SMALL)),
    ],
)
def test_orders(order: str, expected: tuple[Face, ...]) -> None:
    assert sort_faces(ALL, order) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["small-large", "large-small", "best-worst"])
def test_equal_faces_keep_their_order(order: str) -> None:
    twins = tuple(make_face((x, 0, x + 10, 10), score=0.5) for x in (30, 10, 20))
    assert sort_faces(twins, order) == twins  # type: ignore[arg-type]


def test_positions() -> None:
    assert face_at((), 0) is None
    assert [face_at(ALL, position) for position in (0, 2, 9, -1, -9)] == [
        LEFT_LARGE,
        MIDDLE,
        MIDDLE,
        MIDDLE,
        LEFT_LARGE,
    ]


def test_modes_in_a_still_picture() -> None:
    assert make_selector(SelectorOptions(mode="many"))(ALL) == (LEFT_LARGE, MIDDLE, RIGHT_SMALL)
    assert make_selector(SelectorOptions(mode="one", order="left-right"))(ALL) == (LEFT_LARGE,)
    assert make_selector(SelectorOptions())(ALL) == (LEFT_LARGE,)
    assert make_selector(SelectorOptions(reference_position=1))(ALL) == (MIDDLE,)
    assert make_selector(SelectorOptions(reference_position=7))(ALL) == (RIGHT_SMALL,)
    for mode in ("many", "one", "reference"):
        assert make_selector(SelectorOptions(mode=mode))(()) == ()


def test_a_recogniser_decides_where_there_is_one() -> None:
    selector = make_selector(SelectorOptions())
    assert selector(ALL, lambda face: face.score > 0.75) == (RIGHT_SMALL, MIDDLE)
    assert selector.follow().select(Observed(ALL), lambda face: False) == ()
    assert make_selector(SelectorOptions(mode="one"))(ALL, lambda face: False) == (LEFT_LARGE,)


@pytest.mark.parametrize(
    ("name", "value"), [("gender", "female"), ("race", "auto"), ("age_start", 20), ("age_end", 40)]
)
def test_filters_need_a_classifier(name: str, value: object) -> None:
    with pytest.raises(OptionError, match=f"face_selector_{name} needs a model"):
        make_selector(SelectorOptions(**{name: value}))


def test_the_reference_face_is_the_one_at_its_place_on_another_frame() -> None:
    selector = make_selector(SelectorOptions(), reference=RIGHT_SMALL)
    moved = make_face((104, 12, 124, 32), track=8)
    assert selector((LEFT_LARGE, moved)) == (moved,)
    assert selector((LEFT_LARGE, MIDDLE)) == (LEFT_LARGE,), "nobody there: by position"


def test_following_keeps_to_the_track_when_the_order_changes() -> None:
    follower = make_selector(SelectorOptions()).follow()
    assert follower.select(Observed(ALL)) == (LEFT_LARGE,)
    shrunk = make_face((10, 60, 20, 70), track=1)
    assert follower.select(Observed((shrunk, RIGHT_SMALL, MIDDLE))) == (shrunk,)
    assert follower.place == shrunk.box


def test_following_never_jumps_to_somebody_who_was_there_too() -> None:
    follower = make_selector(SelectorOptions()).follow()
    follower.select(Observed(ALL))
    assert follower.select(Observed((RIGHT_SMALL, MIDDLE))) == ()
    back = make_face((2, 52, 42, 92), track=9)
    assert follower.select(Observed((RIGHT_SMALL, MIDDLE, back))) == (back,)


def test_following_starts_afresh_after_a_cut() -> None:
    follower = make_selector(SelectorOptions()).follow()
    follower.select(Observed((LEFT_LARGE, MIDDLE)))
    elsewhere = make_face((300, 300, 340, 340), track=7)
    small = make_face((400, 300, 410, 310), track=6)
    assert follower.select(Observed((small, elsewhere), cut=True)) == (elsewhere,)


def test_following_goes_on_in_the_next_part_of_a_clip() -> None:
    first = make_selector(SelectorOptions(order="right-left")).follow()
    first.select(Observed(ALL))
    grown = make_face((99, 9, 121, 31), track=1)
    second = make_selector(SelectorOptions()).follow(first.place)
    assert second.select(Observed((make_face((0, 0, 99, 99), track=2), grown))) == (grown,)
    assert isinstance(first.place, Box)


def test_following_in_the_other_modes_is_frame_by_frame() -> None:
    follower = make_selector(SelectorOptions(mode="one", order="best-worst")).follow()
    assert follower.select(Observed(ALL)) == (RIGHT_SMALL,)
    assert follower.select(Observed((LEFT_LARGE, MIDDLE))) == (MIDDLE,)
