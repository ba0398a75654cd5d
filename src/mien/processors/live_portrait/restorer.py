"""Puts the expression of the original face back onto the face that another processor has made of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from mien.faces.align import align_matrix, paste_back, scale_face, warp
from mien.faces.masks import Masker, combine, occlusion_mask
from mien.processors.base import FrameContext
from mien.processors.live_portrait.motion import KeyPoints, limited
from mien.processors.live_portrait.networks import CROP, LivePortrait
from mien.types import Face

TEMPLATE = "arcface_128"

ALWAYS_KEPT = (0, 4, 5, 8, 9)
"""Key-points that follow the head rather than the expression: those of the new face stay."""
UPPER = (1, 2, 6, 10, 11, 12, 13, 15, 16)
LOWER = (3, 7, 14, 17, 18, 19, 20)

FACTOR_SPAN = 1.2
"""Share of the original expression at factor 100: a little is lost on the way (FaceFusion 3.8.1)."""


def kept_points(areas: Collection[str]) -> tuple[int, ...]:
    """Key-points that keep the new face's own expression if only these areas are restored."""
    upper = () if "upper-face" in areas else UPPER
    lower = () if "lower-face" in areas else LOWER
    return (*ALWAYS_KEPT, *upper, *lower)


def mixed(original: KeyPoints, own: KeyPoints, share: float, kept: Collection[int]) -> KeyPoints:
    """The expression between the face's own (share 0) and that of the original face, within the limits."""
    wanted = original.copy()
    wanted[list(kept)] = own[list(kept)]
    return limited(np.asarray(wanted * share + own * (1 - share), np.float32))


@dataclass(frozen=True, slots=True)
class ExpressionRestorer:
    """Restores the expressions of faces; made once per step."""

    portrait: LivePortrait
    masker: Masker
    share: float
    """0 to 1.2: how much of the original expression comes back."""
    kept: tuple[int, ...]
    compat: bool = False

    def restore(self, frame: FrameContext, face: Face) -> None:
        """Restore one face of ``frame.target`` in ``frame.image``."""
        x = frame.image.shape[1] / frame.target.shape[1]
        y = frame.image.shape[0] / frame.target.shape[0]
        side = (CROP, CROP)
        five = scale_face(face, x, y).landmarks.five_of_68
        # FaceFusion looks for the original at the place of the enlarged face, which misses it where sizes differ.
        there = five if self.compat else face.landmarks.five_of_68
        matrix = align_matrix(five, TEMPLATE, side, compat=self.compat)
        original = warp(
            frame.target, align_matrix(there, TEMPLATE, side, compat=self.compat), side, compat=self.compat
        )
        crop = warp(frame.image, matrix, side, compat=self.compat)
        masks = [self.masker.box(crop, padded=False)]
        if "occlusion" in self.masker.types:
            masks.append(occlusion_mask(crop, self.masker.occluders(), compat=self.compat))
        motion = self.portrait.motion(crop)
        expression = mixed(
            self.portrait.motion(original).expression, motion.expression, self.share, self.kept
        )
        drawn = self.portrait.draw(
            self.portrait.features(crop), motion.key_points(expression), motion.key_points()
        )
        paste_back(frame.image, drawn, combine(masks), matrix, compat=self.compat)
