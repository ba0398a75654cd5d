"""The eight ways in which a picture can be stored: EXIF numbers and display matrices, applied to arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Orientation:
    """What makes a stored picture upright: swap rows and columns first, then mirror."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def is_upright(self) -> bool:
        """Whether nothing has to be done."""
        return not (self.transpose or self.flip_x or self.flip_y)

    @property
    def rotation(self) -> int:
        """Degrees counter-clockwise (0, 90, 180, 270); of a mirrored picture the turn that comes
        nearest.
        """
        if self.transpose:
            return 90 if self.flip_y else 270
        return 180 if self.flip_y else 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the upright picture."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, image: NDArray[Any]) -> NDArray[Any]:
        """The upright picture: contiguous, a copy unless nothing has to be done."""
        import cv2

        if self.transpose and self.flip_x != self.flip_y:
            return cv2.rotate(
                image, cv2.ROTATE_90_CLOCKWISE if self.flip_x else cv2.ROTATE_90_COUNTERCLOCKWISE
            )
        if self.transpose:
            image = cv2.transpose(image)
        if self.flip_x or self.flip_y:
            image = cv2.flip(image, -1 if self.flip_x and self.flip_y else int(self.flip_x))
        return image


UPRIGHT: Final = Orientation()

# EXIF 2.3, tag 0x0112.
_EXIF: Final = {
    2: Orientation(False, True, False),
    3: Orientation(False, True, True),
    4: Orientation(False, False, True),
    5: Orientation(True, False, False),
    6: Orientation(True, True, False),
    7: Orientation(True, True, True),
    8: Orientation(True, False, True),
}


def from_exif(number: int) -> Orientation:
    """The orientation of an EXIF number 1 to 8; anything else is upright."""
    return _EXIF.get(number, UPRIGHT)


def from_display_matrix(matrix: Sequence[int]) -> Orientation:
    """The orientation of a 3×3 display matrix (row-major, x' = a·x + c·y, y' = b·x + d·y); turns
    round to 90°.
    """
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)
