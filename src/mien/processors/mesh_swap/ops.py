"""The OpenCV calls of this package, with the types that OpenCV's own annotations leave open."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.canonical import Floats
from mien.types import Frame

A = TypeVar("A", bound=NDArray[Any])

Size = tuple[int, int]
"""(width, height), or (columns, rows)."""


def gaussian(values: A, sigma: float) -> A:
    """Blur by a Gaussian; borders are replicated."""
    return cast(A, cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def soften(values: Floats, sigma: float) -> Floats:
    """Blur about as a Gaussian does, at a cost that does not grow with ``sigma``."""
    if sigma < 2.0:
        return gaussian(values, sigma)
    # Two boxes of n pixels have the variance (n² - 1) / 6.
    size = 2 * round((6.0 * sigma * sigma + 1.0) ** 0.5 / 2 - 0.5) + 1
    return box_mean(box_mean(values, size), size)


def stretch(values: A, size: Size) -> A:
    """Resize bilinearly, pixel centres kept."""
    return cast(A, cv2.resize(values, size, interpolation=cv2.INTER_LINEAR))


def shrink(values: A, size: Size) -> A:
    """Resize to fewer pixels by averaging areas."""
    return cast(A, cv2.resize(values, size, interpolation=cv2.INTER_AREA))


def convert(picture: Frame, code: int) -> Frame:
    """Convert colours, uint8 to uint8."""
    return cast(Frame, cv2.cvtColor(picture, code))


def split(values: Floats) -> tuple[Floats, Floats, Floats]:
    """The three channels of rows×columns×3."""
    first, second, third = cv2.split(values)
    return cast(Floats, first), cast(Floats, second), cast(Floats, third)


def remap(values: A, x: Floats, y: Floats, how: int = cv2.INTER_LINEAR) -> A:
    """Look up ``values`` at (x, y) for each pixel; borders are replicated."""
    return cast(A, cv2.remap(values, x, y, how, borderMode=cv2.BORDER_REPLICATE))


def box_mean(values: Floats, size: int) -> Floats:
    """Mean over a square of ``size`` pixels."""
    return cast(Floats, cv2.blur(values, (size, size), borderType=cv2.BORDER_REPLICATE))


def box_sum(values: Floats, size: int) -> Floats:
    """Sum over a square of ``size`` pixels; nothing lies beyond the border."""
    summed = cv2.boxFilter(values, -1, (size, size), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return cast(Floats, summed)


def lookup(plane: Frame, table: Floats) -> Floats:
    """Replace each byte of H×W by its entry of ``table`` (256)."""
    return cast(Floats, cv2.LUT(plane, np.ascontiguousarray(table)))


def grey(picture: Frame) -> Floats:
    """BGR uint8 to grey, float32 0…1."""
    return np.asarray(convert(picture, cv2.COLOR_BGR2GRAY) * np.float32(1 / 255), np.float32)
