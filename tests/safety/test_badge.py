from __future__ import annotations

import numpy as np
import pytest

from mien.errors import OptionError
from mien.safety.badge import Badge
from mien.safety.options import Corner


@pytest.mark.parametrize("corner", ["top-left", "top-right", "bottom-left", "bottom-right"])
def test_the_badge_is_in_its_corner(corner: Corner) -> None:
    image = np.full((360, 640, 3), 200, np.uint8)
    drawn, (left, top, right, bottom) = Badge(corner, "Edited with AI").draw(image)
    assert (image == 200).all()
    outside = drawn.copy()
    outside[top:bottom, left:right] = 200
    assert (outside == 200).all()
    plate = drawn[top:bottom, left:right]
    assert plate.min() < 100
    assert plate.max() > 240
    assert (top + bottom < 360) == corner.startswith("top")
    assert (left + right < 640) == corner.endswith("left")
    assert 40 < right - left < 320


@pytest.mark.parametrize("size", [(8, 8), (20, 300), (300, 20), (1, 1), (64, 64)])
def test_small_pictures_get_what_fits(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    drawn, (left, top, right, bottom) = Badge(
        "bottom-right", "A rather long text for so small a picture"
    ).draw(image)
    assert drawn.shape == image.shape
    assert 0 <= left < right <= size[1]
    assert 0 <= top < bottom <= size[0]


def test_other_scripts_can_be_written() -> None:
    image = np.zeros((200, 400, 3), np.uint8)
    texts = [Badge("top-left", text).draw(image)[0] for text in ("Verändert", "编辑", "A")]
    assert len({text.tobytes() for text in texts}) == 3


@pytest.mark.parametrize("text", ["", "  ", "two\nlines", "x" * 81])
def test_a_text_that_is_no_badge(text: str) -> None:
    with pytest.raises(OptionError, match="output_badge_text"):
        Badge("top-left", text)
