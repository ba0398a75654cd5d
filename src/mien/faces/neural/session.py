"""What the networks of this package need from an inference session, and how pictures become their input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelCorrupt

Pixels: TypeAlias = NDArray[np.float32]
"""1×3×H×W float32."""

Triple: TypeAlias = tuple[float, float, float]

# Statistics of ImageNet's colours (RGB, 0 to 1), with which most classifiers are trained.
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


class Runs(Protocol):
    """The part of an inference session that is needed here: inputs and outputs by position."""

    def run(self, feeds: Sequence[NDArray[Any]], /) -> list[NDArray[Any]]:
        """Run the model once."""
        ...


Open: TypeAlias = Callable[[str], Runs]
"""Opens the session of a model by its id; called on first use, and expected to keep what it opened."""


def planes(image: NDArray[Any], mean: Triple, std: Triple, *, rgb: bool, full: float = 255.0) -> Pixels:
    """A BGR picture (0…255) as network input: ``(value / full - mean) / std``, planar, in RGB or BGR order.

    Statistics are given in the order of the planes. Bytes are looked up in tables, so as exact as float64
    arithmetic; a picture of floats (a crop that a network made) is computed.
    """
    pixels = np.empty((1, 3, *image.shape[:2]), np.float32)
    channels = cv2.split(image)[::-1] if rgb else cv2.split(image)
    for plane, channel in enumerate(channels):
        if image.dtype == np.uint8:
            table = ((np.arange(256) / full - mean[plane]) / std[plane]).astype(np.float32)
            cv2.LUT(channel, table, dst=pixels[0, plane])
        else:
            pixels[0, plane] = (channel / full - mean[plane]) / std[plane]
    return pixels


def only_output(name: str, outputs: Sequence[NDArray[Any]], shape: tuple[int | None, ...]) -> NDArray[Any]:
    """The first output, checked against a shape (None: any length). Raises ModelCorrupt for another one."""
    check(name, len(outputs) >= 1 and _fits(outputs[0].shape, shape), outputs)
    return outputs[0]


def check(name: str, fits: bool, outputs: Sequence[NDArray[Any]]) -> None:
    """Raise ModelCorrupt, with what the model gave, unless its outputs fit."""
    if not fits:
        shapes = ", ".join("×".join(map(str, output.shape)) or "a number" for output in outputs) or "nothing"
        raise ModelCorrupt(
            f"The file of model {name} is not that model: its outputs have the wrong shape ({shapes})."
        )


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        size is None or size == given for given, size in zip(shape, wanted, strict=True)
    )
