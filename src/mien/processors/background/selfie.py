"""The built-in matte: MediaPipe's selfie segmentation at 256×256, sharpened along the edges of the picture.

Made for one or two people from the waist up. Groups, furniture and whole bodies come out patchy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mien.processors.background.matte import Matted
from mien.processors.mesh_swap.ops import box_mean, grey, shrink, stretch
from mien.types import Frame, Mask

if TYPE_CHECKING:
    from mien.inference.session import Session

SIZE = 256
"""Side of the model's input; the aspect is not kept, as the model was trained."""
RADIUS = 4
EPS = 1e-3
"""Guided filter, at the model's size, grey values 0 to 1 (measured: hair stays, a wall's noise does not)."""
SURE = (0.15, 0.85)
"""Opacities below and above become 0 and 1."""
SURER = 4
"""Power of the opacity that weighs these colours: half covered pixels hold too much of the other side."""
COLORS_AT = 256
"""Longer side of the picture in which foreground and background colours are looked for."""
SPREAD = 0.025
"""Radius of that search, as a share of the longer side."""


@dataclass(frozen=True, slots=True)
class SelfieMatter:
    """Selfie segmentation with a guided filter."""

    session: Session

    def matte(self, image: Frame) -> Matted:
        """Find the people in a picture (H×W×3 BGR)."""
        small = shrink(image, (SIZE, SIZE))
        rgb = np.ascontiguousarray(small[..., ::-1], np.float32) / 255
        probability = np.asarray(self.session.run([rgb[None]])[0], np.float32).reshape(SIZE, SIZE)
        alpha = refined(image, small, probability)
        return Matted(foreground(image, alpha), np.asarray(np.round(alpha * 255), np.uint8))


def refined(image: Frame, small: Frame, probability: Mask) -> Mask:
    """Bring a coarse mask to the size of the picture along its edges (fast guided filter, He and Sun 2015).

    ``small`` is the picture at the size of ``probability``. Returns H×W float32, 0 to 1.
    """
    height, width = image.shape[:2]
    guide, box = grey(small), 2 * RADIUS + 1
    mean_guide, mean_mask = box_mean(guide, box), box_mean(probability, box)
    covariance = box_mean(guide * probability, box) - mean_guide * mean_mask
    variance = box_mean(guide * guide, box) - mean_guide * mean_guide
    slopes = np.asarray(covariance / (variance + EPS), np.float32)
    offsets = box_mean(np.asarray(mean_mask - slopes * mean_guide, np.float32), box)
    slope, offset = (stretch(part, (width, height)) for part in (box_mean(slopes, box), offsets))
    low, high = SURE
    share = np.clip((slope * grey(image) + offset - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def foreground(image: Frame, alpha: Mask) -> Frame:
    """Take the background's colour out of the pixels along the edge (blur fusion, Forte 2021).

    ``alpha`` H×W float32, 0 to 1. Pixels that are wholly foreground keep their values.
    """
    height, width = image.shape[:2]
    factor = max(max(height, width) / COLORS_AT, 1)
    size = max(round(width / factor), 1), max(round(height / factor), 1)
    small = shrink(image, size).astype(np.float32)
    weight = shrink(alpha, size)[..., None]
    radius = max(round(SPREAD * max(size)), 1)
    fronts = _mean_of(small, weight**SURER, radius)
    backs = _mean_of(small, (1 - weight) ** SURER, radius)
    soft = np.flatnonzero((alpha > 0) & (alpha < 1))
    front, back = (
        stretch(part, (width, height)).reshape(-1, 3)[soft].astype(np.float32) for part in (fronts, backs)
    )
    share = alpha.ravel()[soft, None]
    result = np.ascontiguousarray(image).copy()
    pixels = result.reshape(-1, 3)
    found = front + share * (pixels[soft] - share * front - (1 - share) * back)
    pixels[soft] = np.round(np.clip(found, 0, 255)).astype(np.uint8)
    return result


def _mean_of(values: Mask, weight: Mask, radius: int) -> Frame:
    """Mean of H×W×3 values around each pixel, weighted by H×W×1; bytes, which resize several times faster."""
    box = 2 * radius + 1
    total = box_mean(weight, box)[..., None]
    mean = (box_mean(values * weight, box) + 1e-3 * values) / (total + 1e-3)
    return np.asarray(np.round(np.clip(mean, 0, 255)), np.uint8)
