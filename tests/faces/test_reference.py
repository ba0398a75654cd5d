"""Names of faces."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import OptionError
from mien.faces.reference import FaceReference, face_id
from mien.types import Box

NUMBERS = st.integers(-9999, 99999)


def test_a_face_is_named_by_frame_and_box() -> None:
    assert face_id(0, Box(123.4, 45.0, 209.6, 160.0)) == "f0-123-45-210-160"


@given(st.integers(0, 10**9), NUMBERS, NUMBERS, st.integers(1, 5000), st.integers(1, 5000))
def test_a_name_says_which_face_it_is(frame: int, x: int, y: int, width: int, height: int) -> None:
    box = Box(float(x), float(y), float(x + width), float(y + height))
    reference = FaceReference(frame, box)
    if box.x2 < 10**6 and box.y2 < 10**6:
        assert FaceReference.parse(reference.id) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "f0",
        "f0-1-2-3",
        "f0-1-2-3-4-5",
        "f-1-1-2-3-4",
        "0-1-2-3-4",
        "f0-1-2-3-x",
        "f0-1-2-3-4 ",
        "f٣-1-2-3-4",
    ],
)
def test_other_texts_name_no_face(text: str) -> None:
    with pytest.raises(OptionError, match="names no face"):
        FaceReference.parse(text)


@pytest.mark.parametrize("text", ["f0-10-10-10-20", "f0-10-30-20-20"])
def test_an_empty_box_holds_no_face(text: str) -> None:
    with pytest.raises(OptionError, match="No face can be"):
        FaceReference.parse(text)


@given(st.text(max_size=40))
def test_no_text_does_harm(text: str) -> None:
    with contextlib.suppress(OptionError):
        assert FaceReference.parse(text).frame >= 0
