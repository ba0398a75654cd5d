"""Pixel boost: a large crop through a small network, as interleaved sub-pictures.

Sub-picture ``a * k + b`` holds the pixels whose row is a and whose column is b modulo k (FaceFusion's convention;
each is the whole face, shifted by a fraction of a pixel).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def split(crop: NDArray[Any], size: int) -> NDArray[Any]:
    """(k·size)×(k·size)×C into k²×size×size×C."""
    k, channels = crop.shape[0] // size, crop.shape[2]
    parts = crop.reshape(size, k, size, k, channels).transpose(1, 3, 0, 2, 4)
    return np.ascontiguousarray(parts.reshape(k * k, size, size, channels))


def join(parts: NDArray[Any]) -> NDArray[Any]:
    """k²×size×size×C into (k·size)×(k·size)×C; the inverse of ``split``."""
    count, size, _, channels = parts.shape
    k = round(count**0.5)
    crop = parts.reshape(k, k, size, size, channels).transpose(2, 0, 3, 1, 4)
    return np.ascontiguousarray(crop.reshape(k * size, k * size, channels))
