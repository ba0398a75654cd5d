"""Put something behind a foreground. Colours are red, green, blue, opacity or strength, 0 to 255 each."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np

from mien.processors.background.matte import Alpha, Matted
from mien.processors.mesh_swap.ops import gaussian, shrink, stretch
from mien.types import Frame, Mask

Composed: TypeAlias = tuple[Frame, Alpha | None]
"""The new frame, and its opacity where it has any."""

COARSEST = 6.0
"""Sigma in pixels at which a wide blur is computed; larger ones are done on a smaller picture."""


def filled(matted: Matted, color: tuple[int, int, int, int]) -> Composed:
    """Lay the foreground over a colour; the picture stays as transparent as the colour is.

    With an opacity of 0 the pixels keep their values and only the alpha tells the foreground.
    """
    opacity = color[3]
    if opacity == 0:
        return matted.foreground, matted.alpha
    share = (255 - matted.alpha.astype(np.float32)) * (opacity / 255**2)
    backdrop = np.full_like(matted.foreground, color[2::-1])
    image = _mixed(matted.foreground, backdrop, 1 - share)
    return image, None if opacity == 255 else np.maximum(matted.alpha, np.uint8(opacity))


def filled_with_mask(matted: Matted, color: tuple[int, int, int, int]) -> Composed:
    """FaceFusion's way: values are truncated, and the foreground stays the alpha even of an opaque colour."""
    share = ((1 - matted.alpha.astype(np.float32) / 255) * (color[3] / 255))[..., None]
    backdrop = np.array(color[2::-1], np.float32)
    image = matted.foreground * (1 - share) + backdrop * share
    return np.asarray(image, np.uint8), matted.alpha


def before_blur(matted: Matted, image: Frame, sigma: float) -> Composed:
    """Lay the foreground over the blurred background of ``image``, into which it does not bleed."""
    height, width = image.shape[:2]
    factor = max(sigma / COARSEST, 1.0)
    size = max(round(width / factor), 1), max(round(height / factor), 1)
    small = shrink(image, size).astype(np.float32)
    weight = 1 - shrink(matted.alpha, size).astype(np.float32) / 255
    # Squared: half covered pixels hold too much of the foreground to tell the background's colour.
    weight = (weight * weight)[..., None] + np.float32(1e-4)
    sigma = max(sigma / factor, 0.3)
    total = gaussian(weight, sigma).reshape(*weight.shape)
    soft = np.asarray(gaussian(small * weight, sigma) / total, np.float32)
    backdrop = np.round(np.clip(stretch(soft, (width, height)), 0, 255)).astype(np.uint8)
    return _mixed(matted.foreground, backdrop, _share(matted.alpha)), None


def before_picture(matted: Matted, picture: Frame) -> Composed:
    """Lay the foreground over another picture, which fills the frame (cut off where its aspect differs)."""
    height, width = matted.alpha.shape
    backdrop = covering(picture, width, height)
    return _mixed(matted.foreground, backdrop, _share(matted.alpha)), None


def covering(picture: Frame, width: int, height: int) -> Frame:
    """The middle of a picture, scaled so that it fills width×height."""
    own_height, own_width = picture.shape[:2]
    scale = max(width / own_width, height / own_height)
    part_width = min(max(round(width / scale), 1), own_width)
    part_height = min(max(round(height / scale), 1), own_height)
    left, top = (own_width - part_width) // 2, (own_height - part_height) // 2
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    part = picture[top : top + part_height, left : left + part_width]
    return np.asarray(cv2.resize(part, (width, height), interpolation=how), np.uint8)


def despilled(matted: Matted, color: tuple[int, int, int, int]) -> Matted:
    """Limit the channels of a cast colour to the mean of the other two, as far as its strength says."""
    values = matted.foreground.astype(np.float32)
    largest = max(*color[:3], 1)
    weight = np.array(color[2::-1], np.float32) / largest * (color[3] / 255)
    others = (values.sum(axis=2, keepdims=True) - values) / 2
    # FaceFusion truncates here, so the same pictures come out.
    limited = values + (np.minimum(values, others) - values) * weight
    return Matted(limited.astype(np.uint8), matted.alpha)


def lower_of(one: Alpha | None, other: Alpha | None) -> Alpha | None:
    """The lower opacity at each pixel; None is opaque."""
    if one is None or other is None:
        return other if one is None else one
    return np.minimum(one, other)


def _mixed(front: Frame, back: Frame, share: Mask) -> Frame:
    share = np.ascontiguousarray(share, np.float32)
    return np.asarray(cv2.blendLinear(front, np.ascontiguousarray(back), share, 1 - share), np.uint8)


def _share(alpha: Alpha) -> Mask:
    return np.asarray(alpha, np.float32) / np.float32(255)
