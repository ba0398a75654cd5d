"""The fifteen downloaded networks that find a foreground, all fed in the same way.

The picture is squeezed to the network's square, as these networks were trained. With ``compat`` it is squeezed with
plain bilinear sampling and the mask is rounded to bytes before it is enlarged, as FaceFusion 3.8.1 does; otherwise
a large picture is averaged down, and the mask keeps its precision until the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelCorrupt
from mien.faces.neural.session import Triple, check, planes
from mien.inference.session import Session
from mien.processors.background.matte import Alpha, Matted
from mien.types import Frame

Kind: TypeAlias = Literal[
    "ben",
    "birefnet",
    "corridor_key",
    "isnet",
    "modnet",
    "ormbg",
    "rmbg",
    "silueta",
    "u2net",
    "u2net_cloth",
    "u2netp",
]


@dataclass(frozen=True, slots=True)
class NeuralMatter:
    """A loaded network; may be used from many threads at once."""

    name: str
    session: Session
    kind: Kind
    size: int
    mean: Triple
    std: Triple
    compat: bool = False

    @classmethod
    def of(cls, name: str, params: Mapping[str, Any], session: Session, *, compat: bool) -> NeuralMatter:
        """From a catalogue entry. Raises ModelCorrupt for a file that takes another picture."""
        kind, size = params["kind"], params["size"]
        planes_in = 4 if kind == "corridor_key" else 3
        if len(session.inputs) != 1 or not session.inputs[0].fits((1, planes_in, size, size)):
            raise ModelCorrupt(
                f"The model file of {name} does not take one picture of {size}×{size} in {planes_in} planes: "
                "it is not the model that it should be; fetch it again."
            )
        return cls(name, session, kind, size, tuple(params["mean"]), tuple(params["std"]), compat)

    def matte(self, image: Frame) -> Matted:
        """Find the foreground of a picture (H×W×3 BGR). Raises ModelCorrupt."""
        pixels = planes(self._shrunk(image), self.mean, self.std, rgb=True)
        if self.kind == "corridor_key":
            pixels = np.concatenate([pixels, self._shrunk(coarse_matte(image))[None, None]], axis=1)
        outputs = self.session.run([pixels])
        size = (image.shape[1], image.shape[0])
        alpha = self._alpha(outputs, size)
        if self.kind != "corridor_key":
            return Matted(image, alpha)
        return Matted(self._foreground(outputs, size), alpha)

    def _shrunk(self, image: NDArray[Any]) -> NDArray[Any]:
        side = (self.size, self.size)
        if not self.compat:
            height, width = image.shape[:2]
            # One side after the other: each is averaged where it shrinks and sampled where it grows.
            image = cv2.resize(image, (self.size, height), interpolation=_interpolation(width, self.size))
            return cv2.resize(image, side, interpolation=_interpolation(height, self.size))
        return cv2.resize(image, side)

    def _alpha(self, outputs: list[NDArray[Any]], size: tuple[int, int]) -> Alpha:
        check(self.name, bool(outputs), outputs)
        mask = outputs[0]
        if self.kind == "u2net_cloth":
            check(self.name, mask.ndim == 4, outputs)
            mask = mask.argmax(axis=1)
        mask = mask.squeeze()
        check(self.name, mask.shape == (self.size, self.size), outputs)
        mask = mask.clip(0, 1).astype(np.float32)
        if self.compat:
            return np.asarray(cv2.resize((mask * 255).astype(np.uint8), size), np.uint8)
        return np.asarray(np.round(cv2.resize(mask, size) * 255), np.uint8)

    def _foreground(self, outputs: list[NDArray[Any]], size: tuple[int, int]) -> Frame:
        shape = (3, self.size, self.size)
        check(self.name, len(outputs) > 1 and outputs[1].squeeze().shape == shape, outputs)
        front = outputs[1].squeeze().transpose(1, 2, 0)[..., ::-1].clip(0, 1) * np.float32(255)
        if self.compat:
            return np.asarray(cv2.resize(np.ascontiguousarray(front, np.uint8), size), np.uint8)
        return np.asarray(np.round(cv2.resize(np.ascontiguousarray(front, np.float32), size)), np.uint8)


def coarse_matte(image: Frame) -> NDArray[np.float32]:
    """Where a picture is not green: H×W float32, 1 for what is surely no green screen."""
    blue, green, red = cv2.split(image)
    excess = (green.astype(np.float32) - np.maximum(red, blue)) / np.float32(255)
    return np.asarray(1 - np.clip(2 * excess, 0, 1), np.float32)


def _interpolation(before: int, after: int) -> int:
    return cv2.INTER_AREA if before > after else cv2.INTER_LINEAR
