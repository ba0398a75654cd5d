"""A visible badge in a corner: light text on a dark, half-transparent ground."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.safety.options import Corner
from mien.types import Frame

_HEIGHT: Final = 1 / 28
"""Height of the letters relative to the shorter side of the picture."""
_SMALLEST: Final = 9
_WIDEST: Final = 0.9
"""Share of the width that the badge may take; longer texts are drawn smaller."""
_GROUND: Final = 0.6
"""How dark the ground is."""
_MAX_LENGTH: Final = 80


@dataclass(frozen=True, slots=True)
class Badge:
    """A text and its corner. Raises OptionError for a text that cannot be drawn."""

    corner: Corner
    text: str

    def __post_init__(self) -> None:
        if not self.text.strip() or len(self.text) > _MAX_LENGTH or not self.text.isprintable():
            raise OptionError(f"output_badge_text must be one line of 1 to {_MAX_LENGTH} characters.")

    def draw(self, image: Frame) -> tuple[Frame, tuple[int, int, int, int]]:
        """The picture (H×W×3 BGR uint8) with the badge on it, and its box (left, top, right, bottom)."""
        height, width = image.shape[:2]
        plate = _plate(self.text, width, height)
        rows, columns = plate.shape
        margin = min(max(min(width, height) // 50, 1), width - columns, height - rows)
        top = height - rows - margin if self.corner.startswith("bottom") else margin
        left = width - columns - margin if self.corner.endswith("right") else margin
        result = image.copy()
        place = result[top : top + rows, left : left + columns]
        dark = place.astype(np.float32) * (1 - _GROUND)
        white = plate[:, :, None]
        place[:] = np.asarray(dark * (1 - white) + 255 * white + 0.5, np.uint8)
        return result, (left, top, left + columns, top + rows)


@functools.lru_cache(8)
def _plate(text: str, width: int, height: int) -> NDArray[np.float32]:
    """Coverage (0 to 1) of the letters on a plate for a picture of that size."""
    font = cv2.FontFace("sans")
    letter = max(round(min(width, height) * _HEIGHT), _SMALLEST)
    while True:
        pad = max(letter // 2, 1)
        # Measured as if for a large picture: a size of 0 is refused.
        x, y, w, h = cv2.getTextSize((0, 0), text, (0, 0), font, letter)
        columns, rows = w + 2 * pad, max(h, letter) + 2 * pad
        if (columns <= width * _WIDEST and rows <= height) or letter <= 2:
            break
        letter -= 1
    canvas = np.zeros((rows, columns, 3), np.uint8)
    cv2.putText(canvas, text, (pad - x, pad - y), (255, 255, 255), font, letter)
    plate = (canvas[:height, :width, 0] / np.float32(255)).astype(np.float32)
    plate.setflags(write=False)
    return plate
