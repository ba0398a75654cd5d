"""Resizing and flattening of whole frames."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Frame


def resized(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """The image (H×W or H×W×3, uint8) in another size: averaged when smaller, Lanczos when larger."""
    if image.shape[:2] == (height, width):
        return image
    smaller = width * height < image.shape[0] * image.shape[1]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)


def even(length: float) -> int:
    """The even number that is nearest to a length in pixels; halfway cases go to a multiple of four, as elsewhere."""
    return max(round(int(length) / 2) * 2, 2)


def even_sizes(width: int, height: int, scale: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """FaceFusion's sizes to work in and to write.

    Both are even, also where nothing is scaled. It works in the smaller of target and output, going by the width first.
    """
    final = even(width * scale), even(height * scale)
    work = min((width, height), final)
    return (even(work[0]), even(work[1])), final


def on_white(image: Frame, alpha: NDArray[np.uint8]) -> Frame:
    """The image (H×W×3) with its opacity (H×W, 255 opaque) over white."""
    share = alpha[:, :, None].astype(np.uint16)
    return np.asarray((image * share + 255 * (255 - share) + 127) // 255, np.uint8)
