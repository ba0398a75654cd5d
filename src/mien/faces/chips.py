"""Small square pictures of faces, for lists and buttons."""

from __future__ import annotations

import numpy as np

from mien.faces.align import box_matrix, warp
from mien.types import Box, Face, Frame

MARGIN = 0.35
"""What is shown around a face on every side, as a share of its longer side."""


def crop(image: Frame, face: Face | Box, size: int = 128, *, margin: float = MARGIN) -> Frame:
    """A picture of ``size`` × ``size`` pixels of a face and a little around it.

    What lies outside the picture repeats its rim. ``margin``: share of the longer side of the face's box that is shown
    around it on every side.
    """
    box = face.box if isinstance(face, Face) else face
    x, y = box.center
    half = max(box.width, box.height, 1.0) * (0.5 + margin)
    square = Box(x - half, y - half, x + half, y + half)
    return np.asarray(warp(image, box_matrix(square, (size, size)), (size, size)), np.uint8)
