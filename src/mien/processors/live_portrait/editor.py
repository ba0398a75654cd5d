"""LivePortrait as the face editor sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mien.faces.align import align_matrix, paste_back, scale_five, warp
from mien.faces.masks import Masker
from mien.processors.live_portrait.motion import KeyPoints
from mien.processors.live_portrait.networks import CROP, LivePortrait
from mien.processors.live_portrait.sliders import edited_angles, edited_expression, eye_numbers, lip_numbers
from mien.types import Face, Frame

if TYPE_CHECKING:
    from mien.processors.face_editor import FaceEditorOptions

TEMPLATE = "ffhq_512"
SPREAD = 1.5
"""The crop shows this much more than the template's: the edit moves hair and chin too."""


@dataclass(frozen=True, slots=True)
class LivePortraitEditor:
    """Edits faces with LivePortrait; made once per step."""

    portrait: LivePortrait
    masker: Masker
    options: FaceEditorOptions
    is_still: bool
    """True if no slider is set, so that there is nothing to do."""
    compat: bool = False

    def edit(self, image: Frame, face: Face) -> None:
        """Edit a face in the image itself. With all sliders at 0 the face is left as it is, but not with ``compat``."""
        if self.is_still and not self.compat:
            return
        side = (CROP, CROP)
        five = scale_five(face.landmarks.five_of_68, SPREAD)
        matrix = align_matrix(five, TEMPLATE, side, compat=self.compat)
        crop = warp(image, matrix, side, compat=self.compat)
        motion = self.portrait.motion(crop)
        original = motion.key_points()
        wanted = motion.key_points(
            edited_expression(motion.expression, self.options), edited_angles(motion.angles, self.options)
        )
        wanted = self.portrait.stitch(wanted + self._openings(face, original), original)
        drawn = self.portrait.draw(self.portrait.features(crop), wanted, original)
        paste_back(image, drawn, self.masker.box(crop, padded=False), matrix, compat=self.compat)

    def _openings(self, face: Face, original: KeyPoints) -> KeyPoints:
        """How eyes and lips move the key-points; their networks run only for sliders that are set."""
        points = face.landmarks.sixty_eight
        eyes, lips = self.options.eye_open_ratio, self.options.lip_open_ratio
        total = np.zeros_like(original)
        if eyes or self.compat:
            numbers = eye_numbers(points, eyes, compat=self.compat)
            total += self.portrait.retarget("eye_retargeter", original, numbers) * np.float32(abs(eyes))
        if lips or self.compat:
            numbers = lip_numbers(points, lips)
            total += self.portrait.retarget("lip_retargeter", original, numbers) * np.float32(abs(lips))
        return total
