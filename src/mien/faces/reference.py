"""Names for the faces of a picture or video."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from mien.errors import OptionError
from mien.types import Box

_ID = re.compile(r"f([0-9]{1,10})" + r"-(-?[0-9]{1,6})" * 4)


@dataclass(frozen=True, slots=True)
class FaceReference:
    """A face of a picture or video, by where it is: the frame (counted from 0) and the box there, in its pixels."""

    frame: int
    box: Box

    def __post_init__(self) -> None:
        finite = all(map(math.isfinite, self.box.as_tuple()))
        if self.frame < 0 or not (finite and self.box.width > 0 and self.box.height > 0):
            x1, y1, x2, y2 = self.box.as_tuple()
            raise OptionError(
                f"No face can be in the box ({x1:g}, {y1:g}, {x2:g}, {y2:g}) of frame {self.frame}: "
                "give left, top, right and bottom in pixels, and a frame counted from 0."
            )

    @property
    def id(self) -> str:
        """The name of the face, such as ``f0-123-45-210-160``."""
        return face_id(self.frame, self.box)

    @classmethod
    def parse(cls, id: str) -> FaceReference:
        """The face of that name. Raises OptionError for a text that is no name of a face."""
        match = _ID.fullmatch(id)
        if match is None:
            raise OptionError(
                f"{id!r} names no face: such a name is f, the number of the frame, and left, top, right and bottom "
                "of the box, as in f0-123-45-210-160."
            )
        frame, *sides = map(int, match.groups())
        return cls(frame, Box(*map(float, sides)))


def face_id(frame: int, box: Box) -> str:
    """The name of a face of a picture or video: frame and box, in whole pixels.

    The same face, found again by the same models, has the same name; another asset may have a face of that name too.
    """
    return "-".join([f"f{frame}", *(str(round(value)) for value in box.as_tuple())])
