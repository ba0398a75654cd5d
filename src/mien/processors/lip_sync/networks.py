"""Two families of lip networks, each on an aligned crop of 512 pixels: Wav2Lip and EDTalk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelCorrupt
from mien.faces.align import box_matrix, invert, warp, warp_black
from mien.faces.masks import Masker, area_mask, occlusion_mask
from mien.faces.neural.session import only_output, planes
from mien.inference.session import Session
from mien.types import Box, Frame, Mask

Kind: TypeAlias = Literal["wav2lip", "edtalk"]
Sound: TypeAlias = NDArray[np.float32]
"""80×16, -4 to 4."""

CROP = 512
TEMPLATE = "ffhq_512"

_INPUTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {"wav2lip": frozenset({"source", "target"}), "edtalk": frozenset({"source", "target", "weight"})}
)
_ZERO, _ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class LipNetwork:
    """A loaded lip network and how it is fed; may be used from many threads at once."""

    name: str
    kind: Kind
    session: Session
    size: int
    lead: float
    """Seconds by which the sound that it hears begins before the frame."""
    weight: float
    """0 to 1; 0.5 is as trained."""
    compat: bool = False

    @classmethod
    def of(
        cls, name: str, params: Mapping[str, Any], session: Session, weight: float, *, compat: bool
    ) -> LipNetwork:
        """From a catalogue entry. Raises ModelCorrupt for a file with other inputs."""
        kind = params["kind"]
        names = {spec.name for spec in session.inputs}
        if names != _INPUTS[kind]:
            raise ModelCorrupt(
                f"The model file of {name} has the inputs {', '.join(sorted(names))} instead of "
                f"{', '.join(sorted(_INPUTS[kind]))}: it is not the model that it should be; fetch it again."
            )
        return cls(name, kind, session, params["size"], params["lead"], weight, compat)

    def speak(self, crop: Frame, points: NDArray[np.float64], sound: Sound) -> NDArray[Any]:
        """The crop (512×512×3 BGR) with lips that say ``sound``: BGR, 0 to 255, bytes with ``compat``.

        ``points`` are the 68 landmarks in crop pixels.
        """
        return _SPEAK[self.kind](self, crop, points, sound)

    def masks(self, crop: Frame, points: NDArray[np.float64], masker: Masker) -> list[Mask]:
        """Which part of the crop is redrawn, given the options of the step."""
        masks = []
        if "occlusion" in masker.types:
            masks.append(occlusion_mask(crop, masker.occluders(), compat=self.compat))
        if self.kind == "edtalk":
            return [*masks, masker.box(crop)]
        return [*masks, area_mask((CROP, CROP), points, ("lower-face",), compat=self.compat)]

    def run(self, feeds: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """The picture that the network draws: S×S×3 in its own order of colours, 0 to 255. Raises ModelCorrupt."""
        output = only_output(self.name, self.session.run(feeds), (1, 3, self.size, self.size))[0]
        pixels = output.transpose(1, 2, 0).clip(0, 1) * np.float32(255)
        return np.ascontiguousarray(pixels, np.uint8 if self.compat else np.float32)


def _wav2lip(network: LipNetwork, crop: Frame, points: NDArray[np.float64], sound: Sound) -> NDArray[Any]:
    """Sees the box round the landmarks, its lower half blacked out, beside the same box as it is. BGR."""
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    matrix = box_matrix(Box(float(x1), float(y1), float(x2), float(y2)), (network.size, network.size))
    close = warp_black(crop, matrix, (network.size, network.size), compat=network.compat)
    whole = planes(close, _ZERO, _ONE, rgb=False)
    hidden = whole.copy()
    hidden[:, :, network.size // 2 :] = 0
    feeds = {
        "source": (sound * np.float32(network.weight * 2))[None, None],
        "target": np.concatenate([hidden, whole], axis=1),
    }
    return warp(network.run(feeds), invert(matrix), (CROP, CROP), compat=network.compat)


def _edtalk(network: LipNetwork, crop: Frame, points: NDArray[np.float64], sound: Sound) -> NDArray[Any]:
    """Sees and redraws the whole crop. RGB."""
    small = cv2.resize(crop, (network.size, network.size), interpolation=cv2.INTER_AREA)
    feeds = {
        "source": sound[None, None],
        "target": planes(small, _ZERO, _ONE, rgb=True),
        "weight": np.array([network.weight], np.float32),
    }
    drawn = np.ascontiguousarray(network.run(feeds)[..., ::-1])
    return cv2.resize(drawn, (CROP, CROP), interpolation=cv2.INTER_CUBIC).clip(0, 255)


_SPEAK: Mapping[str, Callable[[LipNetwork, Frame, NDArray[np.float64], Sound], NDArray[Any]]] = (
    MappingProxyType({"wav2lip": _wav2lip, "edtalk": _edtalk})
)
