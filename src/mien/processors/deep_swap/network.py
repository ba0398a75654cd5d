"""A DeepFaceLive network on one aligned crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelCorrupt
from mien.faces.neural.session import check
from mien.inference.session import Session
from mien.types import Frame, Mask

FACE, MORPH = "in_face:0", "morph_value:0"
SHARPEN, SHARPEN_SIGMA = 0.75, 2.0
ERODE_SIDE, ERODE_TIMES, MASK_SIGMA = 3, 2, 6.25


@dataclass(frozen=True, slots=True)
class DeepNetwork:
    """A loaded network: 1×H×W×3 BGR float32, 0 to 1, to a mask of the target, a face and a mask of the person."""

    name: str
    session: Session
    size: tuple[int, int]
    """Width and height of the crop."""
    morph: float | None
    """How much of the person there is, 0 to 1; None where the network takes no such value."""
    compat: bool

    @classmethod
    def of(cls, name: str, session: Session, morph: float, compat: bool) -> DeepNetwork:
        """Raises ModelCorrupt for a file that is no DeepFaceLive model."""
        specs = {spec.name: spec for spec in session.inputs}
        shape = specs[FACE].shape if FACE in specs else ()
        if set(specs) - {FACE, MORPH} or len(shape) != 4 or shape[3] != 3 or len(session.outputs) < 3:
            raise ModelCorrupt(
                f"The model file of {name} is no DeepFaceLive model: it needs an input {FACE} of one picture and "
                "three outputs."
            )
        height, width = shape[1:3]
        if height is None or width is None:
            raise ModelCorrupt(f"The model file of {name} does not say how large its picture is.")
        return cls(name, session, (width, height), morph if MORPH in specs else None, compat)

    def swap(self, crop: Frame) -> tuple[Frame, Mask]:
        """The person's face for an H×W×3 BGR crop, uint8, and where it may cover the frame. Raises ModelCorrupt."""
        width, height = self.size
        feeds: dict[str, NDArray[Any]] = {FACE: (_sharpened(crop).astype(np.float32) / 255)[None]}
        if self.morph is not None:
            feeds[MORPH] = np.array([self.morph], np.float32)
        outputs = self.session.run(feeds)[:3]
        sizes = [output.size for output in outputs]
        check(self.name, sizes == [height * width, height * width * 3, height * width], outputs)
        target, face, person = (output.reshape(height, width, -1) for output in outputs)
        levels = face.astype(np.float32) * np.float32(255) + np.float32(0 if self.compat else 0.5)
        return levels.clip(0, 255).astype(np.uint8), _mask(np.minimum(person, target)[..., 0])


def _sharpened(crop: Frame) -> Frame:
    blurred = cv2.GaussianBlur(crop, (0, 0), SHARPEN_SIGMA)
    return np.asarray(cv2.addWeighted(crop, 1 + SHARPEN, blurred, -SHARPEN, 0), np.uint8)


def _mask(both: NDArray[Any]) -> Mask:
    """Where both faces are, drawn in a little and softened."""
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (ERODE_SIDE, ERODE_SIDE))
    mask = cv2.erode(both.clip(0, 1).astype(np.float32), element, iterations=ERODE_TIMES)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), MASK_SIGMA), np.float32)
